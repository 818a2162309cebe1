package head

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// listObjects answers with the objects in stores and directories; with detail, also
// who made them, where, and what holds them anywhere.
func (h *Head) listObjects(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, detail := h.nodeLimit(q), strings.EqualFold(q.Get("detail"), "true") || q.Get("detail") == "1"
	rows, total, warnings := h.objectRows(r.Context(), limit, detail)
	answer(w, r, rows, total, warnings)
}

// objectRows are the first objects of each node, and how many there are.
func (h *Head) objectRows(ctx context.Context, limit int, detail bool) (rows []api.ObjectRow, total int, warnings []string) {
	type list struct {
		ip string
		*proto.ObjectList
	}
	lists, warnings := gather(ctx, h, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (list, error) {
		l, err := c.ListObjects(ctx, &proto.ListRequest{Limit: uint32(limit), Owners: detail})
		return list{i.Ip, l}, err
	})
	all := whole{}
	for _, l := range lists {
		total += int(l.Total)
		for _, o := range l.Objects {
			rows = append(rows, objectRow(o, l.ip))
			all.add(o)
		}
		for _, o := range l.Owned {
			all.own(o)
		}
	}
	if detail {
		for i := range rows {
			all.complete(&rows[i])
		}
	}
	return rows, max(total, len(rows)), warnings
}

func objectRow(o *proto.ObjectInfo, ip string) api.ObjectRow {
	row := api.ObjectRow{
		ObjectID: o.Id, ObjectSize: o.Size, TaskStatus: "FINISHED", ReferenceType: "LOCAL_REFERENCE", IP: ip,
		NodeID: ids.NodeID(o.Node).String(), State: o.State, Holders: slices.Clone(o.Holders), Pins: int(o.Pins), InStore: o.InStore,
	}
	if o.State == "PENDING" {
		row.TaskStatus = "PENDING"
	}
	if row.Holders == nil {
		row.Holders = []string{}
	}
	return row
}

// whole is what all nodes say of the objects, by object.
type whole map[string]*wholeObject

type wholeObject struct {
	owner   string
	made    *proto.ObjectInfo // what the owner says
	holders map[string]*proto.ObjectHolder
}

func (a whole) of(id string) *wholeObject {
	w := a[id]
	if w == nil {
		w = &wholeObject{holders: map[string]*proto.ObjectHolder{}}
		a[id] = w
	}
	return w
}

func (a whole) add(o *proto.ObjectInfo) {
	w := a.of(o.Id)
	for _, h := range o.HeldBy {
		w.holders[h.Name] = h
	}
}

func (a whole) own(o *proto.ObjectInfo) {
	a.add(o)
	w := a.of(o.Id)
	w.made = o
	if len(o.Holders) > 0 {
		w.owner = o.Holders[0]
	}
}

// complete gives a row what is known elsewhere. A node as holder is left out when it
// has said which of its processes hold the object.
func (a whole) complete(row *api.ObjectRow) {
	w := a.of(row.ObjectID)
	if m := w.made; m != nil {
		row.CallSite, row.FunctionName, row.CreatedTimeMs, row.Owner = m.CallSite, m.Function, m.CreatedUnixMs, w.owner
	}
	for _, h := range w.holders {
		if h.Kind == "NODE" && w.says(h.Name) {
			continue
		}
		x := api.ObjectHolder{Name: h.Name, Kind: h.Kind, Process: h.Process, PID: int(h.Pid), ActorID: h.Actor}
		if h.Job != 0 {
			x.JobID = ids.JobID(h.Job).String()
		}
		row.HeldBy = append(row.HeldBy, x)
	}
	slices.SortFunc(row.HeldBy, func(a, b api.ObjectHolder) int { return cmp.Compare(a.Name, b.Name) })
}

func (w *wholeObject) says(node string) bool {
	for name, h := range w.holders {
		if h.Kind != "NODE" && strings.HasPrefix(name, node+".") {
			return true
		}
	}
	return false
}
