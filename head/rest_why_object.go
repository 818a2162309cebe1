package head

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/head/diagnose"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// maxInspected is how many tasks that wait for inputs are asked for which.
const maxInspected = 20

// whyObject says where an object is, who holds it, and who waits for it.
func (h *Head) whyObject(ctx context.Context, id string) *api.Why {
	o, err := ids.ParseObjectID(id)
	if err != nil || o.Cluster != h.ClusterID() {
		return nil
	}
	rows := h.objectRowsOf(ctx, id)
	why := &api.Why{Kind: api.WhyObject, ID: id, State: "UNKNOWN"}
	if len(rows) == 0 {
		if h.leader.info(uint32(o.Owner.Node)) == nil {
			why.State, why.Summary = "LOST", fmt.Sprintf("the node of its owner %s isn't there any more: "+
				"with it went the tasks that were submitted there, and objects without replicas", o.Owner)
			return why
		}
		return nil
	}
	var places, held []string
	for _, r := range rows {
		why.State, why.Name = r.State, r.FunctionName
		if r.InStore {
			where := r.NodeID
			if r.State == "SPILLED" {
				where += " (on disk only)"
			}
			if r.Pins > 0 {
				where += fmt.Sprintf(" (read by %d)", r.Pins)
			}
			places = append(places, where)
		}
		for _, x := range r.HeldBy {
			if name := x.String(); !slices.Contains(held, name) {
				held = append(held, name)
			}
			if why.JobID == "" {
				why.JobID = x.JobID
			}
		}
	}
	first := rows[0]
	var says []string
	if len(places) > 0 {
		says = append(says, fmt.Sprintf("its %d bytes are on %s", first.ObjectSize, strings.Join(places, ", ")))
	} else {
		says = append(says, "no node has it in its store")
	}
	if len(held) > 0 {
		says = append(says, fmt.Sprintf("it is held by %s", strings.Join(held[:min(len(held), maxRelated)], ", ")))
	} else {
		says = append(says, "nobody is known to hold it")
	}
	if first.CallSite != "" {
		says = append(says, "it was made at "+first.CallSite)
	}
	why.Summary = strings.Join(says, "; ")
	why.Related = h.waitersFor(ctx, id)
	return why
}

// objectRowsOf are what the nodes say of one object.
func (h *Head) objectRowsOf(ctx context.Context, id string) []api.ObjectRow {
	lists, _ := gather(ctx, h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) (*proto.ObjectList, error) {
		return c.ListObjects(ctx, &proto.ListRequest{Limit: factRows, Owners: true})
	})
	all := whole{}
	var rows []api.ObjectRow
	for _, l := range lists {
		for _, o := range l.Objects {
			if o.Id == id {
				rows = append(rows, objectRow(o, ""))
				all.add(o)
			}
		}
		for _, o := range l.Owned {
			if o.Id == id {
				all.own(o)
			}
		}
	}
	for i := range rows {
		all.complete(&rows[i])
	}
	return rows
}

// waitersFor are tasks whose input an object is, as far as they're among the first that wait.
func (h *Head) waitersFor(ctx context.Context, id string) []api.Related {
	f, _ := h.facts(ctx, false)
	var out []api.Related
	asked := 0
	for i := range f.Tasks {
		t := &f.Tasks[i]
		if t.State != diagnose.Held {
			continue
		}
		if asked++; asked > maxInspected {
			break
		}
		info, _ := h.findTask(ctx, t.ID)
		if slices.ContainsFunc(info.GetWaitsFor(), func(in string) bool { return strings.HasPrefix(in, id) }) {
			out = append(out, api.Related{Kind: api.WhyTask, ID: t.ID, What: "it waits for the object: " + t.Function})
		}
	}
	return out
}

// object tells who is to make an object that isn't there.
func (s *story) object(id string) []string { return s.task(id) }
