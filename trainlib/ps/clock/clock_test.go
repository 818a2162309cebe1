package clock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestVerdicts(t *testing.T) {
	c := New(Rules{Bound: 0, Backups: 1})
	for w := range 3 {
		c.Join(w, uint64(w))
	}
	for _, p := range []struct {
		worker int
		token  uint64
		clock  int64
		want   Verdict
		floor  int64
	}{
		{0, 0, 0, Counts, 0},
		{0, 0, 0, Known, 0},
		{0, 0, 1, Foreign, 0}, // it may not read yet, so this can't be
		{1, 9, 0, Foreign, 0}, // another life
		{7, 0, 0, Foreign, 0},
		{1, 1, 0, Counts, 1}, // two of three are enough
		{2, 2, 0, Late, 1},
		{2, 2, 1, Counts, 1},
	} {
		if got := c.Push(p.worker, p.token, p.clock); got != p.want || c.Floor() != p.floor {
			t.Fatalf("push %d of worker %d: verdict %d, floor %d; want %d, %d", p.clock, p.worker, got, c.Floor(), p.want, p.floor)
		}
	}
}

func TestJoinAndLeave(t *testing.T) {
	c := New(Rules{Bound: 2})
	c.Join(0, 1)
	for k := range int64(5) {
		if v := c.Push(0, 1, k); v != Counts {
			t.Fatalf("push %d: %d", k, v)
		}
	}
	if at := c.Join(1, 2); at != 5 {
		t.Fatalf("a late worker begins at %d", at)
	}
	if at := c.Join(0, 1); at != 5 {
		t.Fatalf("a worker that comes back is at %d", at)
	}
	for k := int64(5); c.MayRead(0); k++ {
		c.Push(0, 1, k)
	}
	if m, _ := c.Of(0); m.Clock != 8 {
		t.Fatalf("the fast worker stops at %d, want 8", m.Clock)
	}
	if !c.Leave(1, 2) || c.Leave(1, 2) || !c.MayRead(0) {
		t.Fatal("who left is still waited for")
	}
}

// TestModel has random workers do random things, and compares with what is written in doc.go.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		rules := Rules{Bound: r.IntN(5) - 1, Backups: r.IntN(3)}
		c := New(rules)
		round := map[int]bool{} // with Bound 0: whose gradients of the floor's clock are in
		for step := range 300 {
			before, w := c.Floor(), r.IntN(6)
			members := len(c.Members())
			switch m, in := c.Of(w); {
			case !in || r.IntN(40) == 0:
				delete(round, w)
				c.Join(w, r.Uint64())
			case r.IntN(40) == 0:
				delete(round, w)
				c.Leave(w, m.Token)
			case c.MayRead(w) || r.IntN(2) == 0:
				ahead := m.Clock - before
				switch v := c.Push(w, m.Token, m.Clock); v {
				case Counts:
					if b := int64(rules.Bound); rules.Bound != Unbounded && (ahead > b || ahead < -b) {
						t.Fatalf("%+v step %d: a gradient %d ahead counts", rules, step, ahead)
					}
					round[w] = true
					if rules.Bound == 0 && c.Floor() > before && len(round) != max(1, members-rules.Backups) {
						t.Fatalf("%+v step %d: a round of %d workers has %d gradients", rules, step, members, len(round))
					}
				case Late:
					if rules.Bound == Unbounded || rules.Bound == 0 && rules.Backups == 0 {
						t.Fatalf("%+v step %d: late, where nobody can be", rules, step)
					}
				case Known:
					t.Fatalf("%+v step %d: gradient %d is new", rules, step, m.Clock)
				case Foreign:
					if c.MayRead(w) {
						t.Fatalf("%+v step %d: refused, though it may read", rules, step)
					}
				}
			}
			if c.Floor() > before {
				clear(round)
			}
			if c.Floor() < before {
				t.Fatalf("%+v step %d: the floor fell from %d to %d", rules, step, before, c.Floor())
			}
			slower, may := 0, 0
			for _, m := range c.Members() {
				if m.Clock < c.Floor() {
					slower++
				}
				if c.MayRead(m.Worker) {
					may++
					if rules.Bound != Unbounded && m.Clock > c.Floor()+int64(rules.Bound) {
						t.Fatalf("%+v step %d: worker %d at %d may read, the floor is %d", rules, step, m.Worker, m.Clock, c.Floor())
					}
				}
			}
			if may == 0 && len(c.Members()) > 0 {
				t.Fatalf("%+v step %d: nobody may read: %v", rules, step, c.Members())
			}
			if n := len(c.Members()); slower > rules.Backups && n > rules.Backups {
				t.Fatalf("%+v step %d: %d are slower than the floor", rules, step, slower)
			}
		}
	}
}

// TestBoundOverTime runs workers of random speeds over virtual time: nobody reads while over the bound ahead of
// anybody else, and all come to the end.
func TestBoundOverTime(t *testing.T) {
	for _, bound := range []int{0, 1, 3, Unbounded} {
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { overTime(t, bound) })
		})
	}
}

func overTime(t *testing.T, bound int) {
	const workers, gradients = 5, 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	c, changed := New(Rules{Bound: bound}), make(chan struct{})
	pushed := [workers]int64{} // what the test itself counts
	apart := int64(0)
	for w := range workers {
		c.Join(w, 1)
	}
	var all sync.WaitGroup
	for w := range workers {
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		all.Go(func() {
			for k := range int64(gradients) {
				for {
					mu.Lock()
					may, wait := c.MayRead(w), changed
					if may {
						slowest := pushed[0]
						for _, p := range pushed {
							slowest = min(slowest, p)
						}
						apart = max(apart, pushed[w]-slowest)
					}
					mu.Unlock()
					if may {
						break
					}
					<-wait
				}
				pause(t.Context(), time.Duration(r.ExpFloat64()*float64(time.Second))*time.Duration(w+1))
				mu.Lock()
				if v := c.Push(w, 1, k); v != Counts {
					t.Errorf("push %d of %d: verdict %d", k, w, v)
				}
				pushed[w]++
				close(changed)
				changed = make(chan struct{})
				mu.Unlock()
			}
		})
	}
	all.Wait()
	switch {
	case bound != Unbounded && apart > int64(bound):
		t.Errorf("a worker read %d ahead of the slowest: the bound is %d", apart, bound)
	case bound > 0 && apart < int64(bound), bound == Unbounded && apart < 10:
		t.Errorf("with a bound of %d, nobody was over %d ahead: the test shows nothing", bound, apart)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
