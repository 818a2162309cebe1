package node

import (
	"context"
	"errors"
	"os/exec"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

// TestDriverLingers: what a driver makes or reads whose connection has ended isn't
// given to others before the driver itself has ended.
func TestDriverLingers(t *testing.T) {
	n := lonely(t)
	program := exec.Command("cat")
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	p := join(t, n, 1)
	if p.life, err = newLifeline(program.Process.Pid); err != nil {
		t.Fatal(err)
	}
	id := ids.ObjectID{Cluster: 1, Owner: p.id, Number: 1}
	if _, err := n.store.Create(atOnce, id, 1000, p.id); err != nil {
		t.Fatal(err)
	}
	idle := join(t, n, 2) // holds nothing
	if idle.life, err = newLifeline(program.Process.Pid); err != nil {
		t.Fatal(err)
	}
	n.ended(idle)
	if _, err := n.store.Create(atOnce, id, 1, idle.id); !errors.Is(err, objectstore.ErrExists) {
		t.Error(err)
	}
	other := ids.ObjectID{Cluster: 1, Owner: idle.id, Number: 1}
	if _, err := n.store.Create(atOnce, other, 1, idle.id); !errors.Is(err, objectstore.ErrReleased) {
		t.Error("an idle driver lingers:", err)
	}
	n.ended(p)
	if u := n.store.Usage(); u.Making != 1 {
		t.Fatalf("%+v", u)
	}
	stdin.Close()
	until(t, "the driver's memory is free", func() bool { return n.store.Usage().Making == 0 })
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
}

// TestLifelineOfTheLiving: a wait ends with its context and its limit.
func TestLifelineOfTheLiving(t *testing.T) {
	program := exec.Command("cat")
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	l, err := newLifeline(program.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.wait(t.Context(), 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.wait(ctx, lingerLimit)
	}()
	cancel()
	<-done
	stdin.Close()
	l.wait(t.Context(), lingerLimit)
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := newLifeline(program.Process.Pid); err == nil {
		t.Error("a process that was reaped has a lifeline")
	}
}
