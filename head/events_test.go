package head

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

// TestEvents: what happens to nodes, jobs and actors is told in order, with a cause.
func TestEvents(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 2)
	n.events = []*proto.Event{{TimeUnixMs: 1, Severity: proto.Event_ERROR, Kind: "WORKER_CRASHED", Worker: "n1.p3", Node: 99, Message: "gone"}}
	n.connect(nil)
	job := submit(t, h, "one", n)
	id := actorID(1)
	create(t, n, &proto.ActorSpec{Id: id, Job: job, Class: "main.Counter", MaxRestarts: 1})
	start := func(incarnation uint32) {
		t.Helper()
		n.await("the order", func(o *proto.NodeOrder) bool { return o.GetStartActor().GetIncarnation() == incarnation })
		n.actorIs(id, incarnation, proto.ActorReport_ALIVE)
	}
	start(1)
	n.actorIs(id, 1, proto.ActorReport_DIED)
	start(2)
	n.actorIs(id, 2, proto.ActorReport_DIED)
	c := client(t, h)
	var got *api.ActorDetail
	eventually(t, "it is dead", func() bool {
		var err error
		got, err = c.Actor(t.Context(), actorName(id))
		return err == nil && got.Actor.State == "DEAD"
	})
	var states []string
	for _, m := range got.History {
		states = append(states, m.State)
	}
	text := strings.Join(states, " ")
	if want := "ALIVE RESTARTING PLACED ALIVE DEAD"; !strings.HasSuffix(text, want) || got.Why == nil {
		t.Errorf("history %s, want it to end in %s; why %v", text, want, got.Why)
	}
	if last := got.History[len(got.History)-1]; !strings.Contains(last.Message, "because") || last.TimeMs == 0 || last.Incarnation != 2 {
		t.Errorf("the end: %+v", last)
	}
	if got.Earlier {
		t.Errorf("history %s, though it's all there is", text)
	}
	h.events.mu.Lock()
	h.events.byActor = nil // as after a restart from a snapshot
	h.events.mu.Unlock()
	if got, err := c.Actor(t.Context(), actorName(id)); err != nil || !got.Earlier || got.History[len(got.History)-1].State != "DEAD" {
		t.Errorf("by its record alone: %+v, %v", got, err)
	}
	all, err := c.Events(t.Context(), api.ListOptions{Limit: 1000})
	if err != nil || !slices.IsSortedFunc(all.Result, func(a, b api.EventRow) int { return int(b.TimeMs - a.TimeMs) }) {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, kind := range []string{"HEAD_LEADS", "NODE_JOINED", "JOB_PLACED", "ACTOR_DEAD", "WORKER_CRASHED"} {
		if !slices.ContainsFunc(all.Result, func(e api.EventRow) bool { return e.Kind == kind }) {
			t.Errorf("no %s", kind)
		}
	}
	if last := all.Result[len(all.Result)-1]; last.Kind != "WORKER_CRASHED" || *last.NodeID != "n1" || last.SourceType != "WORKER" || last.EventID != "n1-0" {
		t.Errorf("the node's: %+v", last)
	}
	bad, err := c.Events(t.Context(), api.ListOptions{Search: "BECAUSE", Filters: []api.Filter{{Key: "severity", Op: "=", Value: "ERROR"}}})
	if err != nil || len(bad.Result) != 1 || bad.Result[0].Kind != "ACTOR_DEAD" || *bad.Result[0].JobID != "j1" {
		t.Errorf("searched: %+v, %v", bad, err)
	}
	if code, _ := rest(t, h, "GET", "/api/v0/actors/none", "", nil); code != 404 {
		t.Errorf("an unknown actor: %d", code)
	}
}

func TestEventsAreBounded(t *testing.T) {
	var h events
	for i := range maxEvents + 10 {
		h.add(&proto.Event{Actor: "a", Message: fmt.Sprint(i)})
	}
	list, dropped := h.latest()
	if len(list) != maxEvents || dropped != 10 || list[0].Message != fmt.Sprint(maxEvents+9) || list[maxEvents-1].Message != "10" {
		t.Errorf("%d events, %d dropped, from %s to %s", len(list), dropped, list[len(list)-1].Message, list[0].Message)
	}
	if of := h.ofActor("a"); len(of) != maxHistory || of[0].Message != fmt.Sprint(maxEvents+10-maxHistory) {
		t.Errorf("%d of the actor, from %s", len(of), of[0].Message)
	}
	for i := range maxHistories {
		h.add(&proto.Event{Actor: fmt.Sprint(i), Message: strings.Repeat("x", 2*maxEventText)})
	}
	if len(h.byActor) != maxHistories || h.ofActor("a") != nil || len(h.ofActor("7")) != 1 || len(h.ofActor("7")[0].Message) > maxEventText+3 {
		t.Errorf("%d actors", len(h.byActor))
	}
}
