package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/proto"
)

func TestEventsAreBounded(t *testing.T) {
	n := lonely(t)
	for i := range maxEvents + 10 {
		n.events.add(&proto.Event{Message: fmt.Sprint(i)})
	}
	l, err := (&service{n: n}).ListEvents(t.Context(), nil)
	if err != nil || len(l.Events) != maxEvents || l.Dropped != 10 || l.Events[0].Message != "10" {
		t.Errorf("%d events, %d dropped, %v", len(l.GetEvents()), l.GetDropped(), err)
	}
}

// TestEndsAreTold: of workers that nobody wanted to end, and now and then what lasts.
func TestEndsAreTold(t *testing.T) {
	n := lonely(t)
	p := recordsOf(t, n, 1, 64)
	n.mu.Lock()
	p.worker = true
	n.tellEndLocked(p, leased, &proto.Error{Signal: "killed", Message: "it was killed"})
	n.tellEndLocked(p, idle, &proto.Error{Signal: "killed"})
	p.outOfMemory = true
	n.tellEndLocked(p, leased, &proto.Error{Message: "too much"})
	for range 10 {
		n.tellSilent(p)
	}
	n.mu.Unlock()
	var kinds []string
	told, _ := n.events.ring.All()
	for _, e := range told {
		kinds = append(kinds, e.Kind)
		if e.Worker != p.name() || e.Job != 1 || e.TimeUnixMs == 0 {
			t.Errorf("%v", e)
		}
	}
	n.events.add(&proto.Event{Message: strings.Repeat("\xff", 2*maxEventText)})
	told, _ = n.events.ring.All()
	if last := told[len(told)-1].Message; last != "\uFFFD" {
		t.Errorf("%q", last)
	}
	if fmt.Sprint(kinds) != "[WORKER_CRASHED WORKER_OUT_OF_MEMORY WORKER_SILENT]" {
		t.Errorf("%v", kinds)
	}
}
