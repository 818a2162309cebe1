package head

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// listEvents answers with what has happened, the newest first: as this head knows it, and
// on the nodes that live.
func (h *Head) listEvents(w http.ResponseWriter, r *http.Request) {
	lists, warnings := gather(r.Context(), h, func(ctx context.Context, i *proto.NodeInfo, c proto.NodeClient) (*proto.EventList, error) {
		l, err := c.ListEvents(ctx, &proto.ListRequest{})
		for _, e := range l.GetEvents() {
			e.Node = i.Id // what it says of others isn't taken from it
		}
		return l, err
	})
	latest, dropped := h.events.latest()
	all := make([]madeEvent, 0, len(latest))
	for _, e := range latest {
		all = append(all, madeEvent{e, "head"})
	}
	for _, l := range lists {
		dropped += l.Dropped
		for _, e := range slices.Backward(l.Events) {
			all = append(all, madeEvent{e, ids.NodeID(e.Node).String()})
		}
	}
	slices.SortStableFunc(all, func(a, b madeEvent) int { return cmp.Compare(b.TimeUnixMs, a.TimeUnixMs) })
	if dropped > 0 {
		warnings = append(warnings, fmt.Sprintf("%d older events were dropped", dropped))
	}
	answerOf(w, r, all, eventRow, warnings)
}

// madeEvent is an event with who says so.
type madeEvent struct {
	*proto.Event
	maker string
}

func eventRow(e madeEvent) api.EventRow {
	source, _, _ := strings.Cut(e.Kind, "_")
	row := api.EventRow{
		EventID: e.maker + "-" + strconv.FormatUint(e.Number, 10), TimeMs: e.TimeUnixMs, Severity: e.Severity.String(), SourceType: source, Kind: e.Kind,
		Message: e.Message, ActorID: text(e.Actor), GroupID: text(e.Group), TaskID: text(e.Task), WorkerID: text(e.Worker),
	}
	if e.Node != 0 {
		row.NodeID = text(ids.NodeID(e.Node).String())
	}
	if e.Job != 0 {
		row.JobID = text(ids.JobID(e.Job).String())
	}
	return row
}

// getActor tells all that is known of one actor, by its id or name.
func (h *Head) getActor(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	a := h.findActor(r.PathValue("id"))
	if a == nil {
		writeJSON(w, http.StatusNotFound, api.DetailResponse[api.ActorDetail]{Msg: fmt.Sprintf("no actor %q is known", r.PathValue("id"))})
		return
	}
	row := h.actorRow(a)
	d := &api.ActorDetail{Actor: row, History: []api.ActorMoment{}, Why: h.whyActor(r.Context(), row.ActorID)}
	for _, e := range h.events.ofActor(row.ActorID) {
		m := api.ActorMoment{
			TimeMs: e.TimeUnixMs, State: strings.TrimPrefix(e.Kind, "ACTOR_"), PID: int(e.Pid), Incarnation: int(e.Incarnation), Message: e.Message,
		}
		if e.Node != 0 {
			m.NodeID = text(ids.NodeID(e.Node).String())
		}
		d.History = append(d.History, m)
	}
	if len(d.History) == 0 { // from before this head began
		d.History, d.Earlier = knownMoments(a, &row), true
	} else {
		first := d.History[0]
		d.Earlier = first.Incarnation > 1 || first.State != "PENDING" && first.State != "PLACED"
	}
	writeJSON(w, http.StatusOK, api.DetailResponse[api.ActorDetail]{Result: true, Data: d})
}

// knownMoments is the history that an actor's record tells by itself.
func knownMoments(a *fsm.Actor, row *api.ActorRow) []api.ActorMoment {
	moments := []api.ActorMoment{}
	if a.StartedMs != 0 {
		moments = append(moments, api.ActorMoment{TimeMs: a.StartedMs, State: "ALIVE", NodeID: row.NodeID, PID: row.PID, Incarnation: row.Incarnation})
	}
	if a.Dead() {
		m := api.ActorMoment{TimeMs: a.EndedMs, State: "DEAD", NodeID: row.NodeID, Incarnation: row.Incarnation}
		if row.DeathCause != nil {
			m.Message = *row.DeathCause
		}
		moments = append(moments, m)
	}
	return moments
}
