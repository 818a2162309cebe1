package link

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestPair(t *testing.T) {
	a, b := Pair()
	passes(t, a, b, 3<<20)
	passes(t, b, a, 3<<20)
	closes(t, a, b)
}

// passes sends random pieces one way, received in other pieces, some folded.
func passes(t *testing.T, from, to *Conn, total int) {
	t.Helper()
	seed := rand.Uint64()
	t.Log("seed", seed)
	want := random(seed, total)
	got := make([]byte, 0, total)
	var ends errgroup.Group
	ends.Go(func() error {
		r := rand.New(rand.NewPCG(seed, 1))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), size(r))
			if err := from.Send(t.Context(), rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
	ends.Go(func() error {
		r := rand.New(rand.NewPCG(seed, 2))
		for len(got) < total {
			n := min(total-len(got), size(r))
			if r.IntN(2) == 0 {
				got = got[:len(got)+n]
				if err := to.Recv(t.Context(), got[len(got)-n:]); err != nil {
					return err
				}
				continue
			}
			unit := 1 << r.IntN(4)
			n -= n % unit
			err := Run(t.Context(), Transfer{Conn: to, Bytes: n, Unit: unit, Fold: func(b []byte) {
				if len(b) == 0 || len(b)%unit != 0 {
					t.Errorf("a piece of %d bytes in units of %d", len(b), unit)
				}
				got = append(got, b...)
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := ends.Wait(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes arrived changed", total)
	}
}

func size(r *rand.Rand) int {
	switch r.IntN(3) {
	case 0:
		return r.IntN(20)
	case 1:
		return r.IntN(5000)
	}
	return r.IntN(600_000)
}

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

// closes closes one end: what was sent is received, then both ends know.
func closes(t *testing.T, a, b *Conn) {
	t.Helper()
	if err := a.Send(t.Context(), []byte("last")); err != nil {
		t.Fatal(err)
	}
	if a.Err() != nil || b.Err() != nil {
		t.Fatal("broken before the end:", a.Err(), b.Err())
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	<-b.Broken()
	got := make([]byte, 4)
	if err := b.Recv(t.Context(), got); err != nil || string(got) != "last" {
		t.Fatalf("what was sent before the end: %q, %v", got, err)
	}
	var failed *Error
	if err := b.Recv(t.Context(), got); !errors.Is(err, ErrPeerGone) || !errors.As(err, &failed) || failed.Conns[0] != b {
		t.Fatal("receive from a closed peer:", err)
	}
	if err := b.Send(t.Context(), got); !errors.Is(err, ErrPeerGone) {
		t.Fatal("send to a closed peer:", err)
	}
	if err := a.Recv(t.Context(), got); !errors.Is(err, ErrClosed) {
		t.Fatal("receive when closed:", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDeadline: who waits in vain ends by its context; a connection that had moved nothing can be used after.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pair()
		c, d := Pair()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var failed *Error
		err := SendRecv(ctx, a, []byte("x"), d, make([]byte, 2))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &failed) || len(failed.Conns) != 1 || failed.Conns[0] != d {
			t.Fatalf("%v of %v", err, failed)
		}
		if err := SendRecv(t.Context(), c, []byte("yz"), d, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), []byte("h")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Recv(ctx, make([]byte, 2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if d.Err() == nil || !errors.Is(d.Err(), context.DeadlineExceeded) {
			t.Fatal("half received, and not broken:", d.Err())
		}
		for _, x := range []*Conn{a, b, c, d} {
			_ = x.Close()
		}
	})
}

// TestCloseWakes: closing ends a transfer under way on the same connection.
func TestCloseWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pair()
		done := make(chan error)
		go func() { done <- a.Recv(t.Context(), make([]byte, 1)) }()
		synctest.Wait()
		_ = a.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		_ = b.Close()
	})
}

// TestCancelledInProgress: a context ends a transfer that always goes on.
func TestCancelledInProgress(t *testing.T) {
	a, b := Pair()
	ctx, cancel := context.WithCancel(t.Context())
	var sender errgroup.Group
	sender.Go(func() error {
		for piece := make([]byte, 1<<20); ; {
			if err := a.Send(t.Context(), piece); err != nil {
				return err
			}
		}
	})
	got := 0
	err := Run(ctx, Transfer{Conn: b, Bytes: 1 << 50, Fold: func(p []byte) {
		if got += len(p); got > 10<<20 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_ = b.Close()
	if err := sender.Wait(); !errors.Is(err, ErrPeerGone) {
		t.Error(err)
	}
	_ = a.Close()
}

// TestAllocations: a transfer that doesn't sleep makes no garbage.
func TestAllocations(t *testing.T) {
	a, b := Pair()
	x, y := make([]byte, 1000), make([]byte, 1000)
	fold := func(p []byte) { y[0] = p[0] }
	n := testing.AllocsPerRun(100, func() {
		if err := SendRecv(t.Context(), a, x, b, y); err != nil {
			t.Fatal(err)
		}
		if err := SendFold(t.Context(), b, x, a, len(x), 8, fold); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	_, _ = a.Close(), b.Close()
}

// TestDamage: nonsense in what both processes write breaks the connection, and nothing else.
func TestDamage(t *testing.T) {
	for _, far := range []uint64{1 << 63, 1 << 40, pairBytes + 1} {
		a, b := Pair()
		b.in.wire.(*ringReader).head.written.Store(far)
		if err := b.Recv(t.Context(), make([]byte, 100)); !errors.Is(err, errDamaged) {
			t.Error("receive:", err)
		}
		c, d := Pair()
		c.out.wire.(*ringWriter).head.read.Store(far)
		if err := c.Send(t.Context(), make([]byte, pairBytes+100)); !errors.Is(err, errDamaged) {
			t.Error("send:", err)
		}
		for _, x := range []*Conn{a, b, c, d} {
			_ = x.Close()
		}
	}
}
