package node

import (
	"errors"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

func TestOpenRecords(t *testing.T) {
	n := &Node{archive: newArchive()}
	p := &process{id: ids.ProcessID{Node: 1, Number: 2}, worker: true}
	t.Setenv(recordEnv, "off")
	if f, err := n.openRecords(p); f != nil || err != nil || p.records != nil {
		t.Errorf("turned off: %v, %v", f, err)
	}
	t.Setenv(recordEnv, "")
	f, err := n.openRecords(p)
	if err != nil {
		t.Fatal(err)
	}
	its, err := recorder.Open(f) // as the process does
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	defer its.Close()
	its.Add(&recorder.Record{Number: 7})
	if p.records.Written() != 1 {
		t.Errorf("the node sees %d records", p.records.Written())
	}
	n.retireRecords(p)
}

func TestNamed(t *testing.T) {
	n := &Node{}
	p := &process{functions: map[uint64]string{}}
	for i := range uint64(maxFunctions) {
		if i < 10 || i > maxFunctions-3 {
			continue
		}
		p.functions[i] = "f"
	}
	before := p.functions
	for i := range uint64(10) {
		if err := n.named(p, &proto.Function{Hash: i, Name: "g"}); err != nil || p.functions[i] != "g" {
			t.Fatal(err)
		}
	}
	if len(before) != maxFunctions-12 {
		t.Errorf("a map that others read has changed: %d names", len(before))
	}
	for i := range uint64(3) {
		err := n.named(p, &proto.Function{Hash: maxFunctions + i, Name: "g"})
		if (err != nil) != (i == 2) || err != nil && !errors.Is(err, ErrBadFrame) {
			t.Errorf("name %d: %v", i, err)
		}
	}
}
