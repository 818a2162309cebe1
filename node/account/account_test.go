package account

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/sched"
)

func cpus(n float64) Amounts { return Amounts{CPU: int64(n * Unit)} }

// TestLedgerRandom runs random histories and checks the invariants after each
// step, and that everything returns to zero.
func TestLedgerRandom(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		total := Amounts{CPU: 4 * Unit, "GPU": 2 * Unit, "memory": 100 * Unit}
		l := NewLedger(total)
		var live []HoldID
		pick := func() HoldID {
			if len(live) == 0 {
				return 0
			}
			return live[r.IntN(len(live))]
		}
		shapes := []Amounts{nil, cpus(1), cpus(0.5), {"GPU": Unit}, {"GPU": Unit / 4}, {"GPU": 2 * Unit}, {CPU: Unit, "memory": 30 * Unit}, {"memory": Unit}}
		for range 300 {
			a, job := shapes[r.IntN(len(shapes))], ids.JobID(1+r.IntN(3))
			switch r.IntN(7) {
			case 0, 1:
				before := l.Used()
				fits := l.Fits(job, a)
				h, ok := l.Take(job, a)
				if ok != fits {
					t.Fatalf("seed %d: Fits %v, Take %v", seed, fits, ok)
				}
				if ok {
					live = append(live, h)
					for name, n := range a {
						if before[name]+n > total[name] {
							t.Fatalf("seed %d: took %s over the total", seed, name)
						}
					}
				}
			case 2:
				live = append(live, l.Force(job, a))
			case 3:
				l.Lend(pick())
			case 4:
				l.Reclaim(pick())
			default:
				if h := pick(); h != 0 {
					l.Free(h)
					l.Free(h) // harmless
					live = slices.DeleteFunc(live, func(o HoldID) bool { return o == h })
				}
			}
			if err := l.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for name, n := range l.Available() {
				if n < 0 || n > total[name] {
					t.Fatalf("seed %d: %s available %d", seed, name, n)
				}
			}
		}
		for _, h := range live {
			l.Free(h)
		}
		if len(l.Used()) != 0 || l.Holds() != 0 || len(l.capped) != 0 {
			t.Fatalf("seed %d: used %v after the last hold went", seed, l.Used())
		}
	}
}

func TestLendGivesCPUsOnly(t *testing.T) {
	l := NewLedger(Amounts{CPU: Unit, "GPU": Unit})
	a := Amounts{CPU: Unit, "GPU": Unit}
	h, _ := l.Take(1, a)
	l.Lend(h)
	if l.Fits(1, a) || !l.Fits(1, cpus(1)) {
		t.Fatalf("lent: used %v", l.Used())
	}
	h2, _ := l.Take(1, cpus(1))
	l.Reclaim(h)
	if l.Used()[CPU] != 2*Unit || l.Available()[CPU] != 0 {
		t.Fatalf("overcommitted: used %v available %v", l.Used(), l.Available())
	}
	l.Free(h2)
	l.Free(h)
	if len(l.Used()) != 0 {
		t.Fatal(l.Used())
	}
}

func TestTasksWithoutCPUAreBounded(t *testing.T) {
	l := NewLedger(cpus(1))
	var holds []HoldID
	for {
		h, ok := l.Take(1, nil)
		if !ok {
			break
		}
		holds = append(holds, h)
	}
	if len(holds) != 16 {
		t.Fatalf("%d tasks without CPU at once, want 16", len(holds))
	}
	if _, ok := l.Take(2, nil); !ok {
		t.Fatal("another job is bounded with the first")
	}
	l.Lend(holds[0])
	if _, ok := l.Take(1, nil); !ok {
		t.Fatal("a blocked task still counts")
	}
	if _, ok := l.TakeForLife(1, nil); !ok {
		t.Fatal("an actor is bounded")
	}
}

func key(p, class uint32) Key { return Key{ids.ProcessID{Node: 1, Number: p}, class} }

// inTurn prefers no job.
func inTurn(_, _ ids.JobID) int { return 0 }

func TestQueueJobsTakeTurns(t *testing.T) {
	q := NewQueue()
	q.Set(Demand{Key: key(1, 1), Job: 1, Want: 3})
	q.Set(Demand{Key: key(1, 2), Job: 1, Want: 1})
	q.Set(Demand{Key: key(2, 1), Job: 2, Want: 2})
	q.Set(Demand{Key: key(3, 1), Job: 3, Want: 1})
	var got []Key
	q.Visit(inTurn, func(d *Demand) bool {
		got = append(got, d.Key)
		q.Granted(d)
		return true
	})
	want := []Key{key(1, 1), key(2, 1), key(3, 1), key(1, 1), key(2, 1), key(1, 1), key(1, 2)}
	if !slices.Equal(got, want) {
		t.Fatalf("order %v, want %v", got, want)
	}
	if q.Len() != 0 || len(q.jobs) != 0 {
		t.Fatalf("%d demands left", q.Len())
	}
}

func TestQueueSkipsWhatHasNoPlace(t *testing.T) {
	q := NewQueue()
	q.Set(Demand{Key: key(1, 1), Job: 1, Want: 5, Shape: "big"})
	q.Set(Demand{Key: key(1, 2), Job: 1, Want: 2, Shape: "small"})
	big, small := 0, 0
	q.Visit(inTurn, func(d *Demand) bool {
		if d.Shape == "big" {
			big++
			return false
		}
		small++
		q.Granted(d)
		return true
	})
	if big != 1 || small != 2 {
		t.Fatalf("big offered %d times, small %d", big, small)
	}
	if w := q.Waiting(); len(w) != 1 || w[0].Shape != "big" {
		t.Fatalf("waiting %v", w)
	}
}

func TestQueuePending(t *testing.T) {
	q := NewQueue()
	d := q.Set(Demand{Key: key(1, 1), Job: 1, Want: 2})
	q.Begin(d)
	q.Begin(d)
	if q.HasWaiting() {
		t.Fatal("offered though all is pending")
	}
	q.Set(Demand{Key: key(1, 1), Job: 1, Want: 0}) // withdrawn while pending
	if q.Settle(d.Key, true) {
		t.Fatal("a withdrawn demand was granted")
	}
	q.Set(Demand{Key: key(1, 1), Job: 1, Want: 1}) // and wanted again
	if !q.Settle(d.Key, true) {
		t.Fatal("a wanted lease was refused")
	}
	if q.Len() != 0 {
		t.Fatal("demand not forgotten")
	}
	if q.Settle(d.Key, true) {
		t.Fatal("a forgotten demand wanted something")
	}
}

// TestQueueRandom checks that a random history never offers what isn't open,
// and that every demand is met in the end.
func TestQueueRandom(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		q := NewQueue()
		pending := map[Key]int{}
		for range 200 {
			k := key(uint32(r.IntN(4)), uint32(r.IntN(3)))
			switch r.IntN(5) {
			case 0, 1:
				q.Set(Demand{Key: k, Job: ids.JobID(k.Process.Number % 2), Want: r.IntN(4)})
			case 2:
				room := r.IntN(6)
				q.Visit(inTurn, func(d *Demand) bool {
					if d.Open() <= 0 {
						t.Fatalf("seed %d: offered %+v", seed, d)
					}
					if room == 0 {
						return false
					}
					room--
					pending[d.Key]++
					q.Begin(d)
					return true
				})
			case 3:
				if pending[k] > 0 {
					pending[k]--
					q.Settle(k, r.IntN(2) == 0)
				}
			case 4:
				if r.IntN(10) == 0 {
					q.RemoveProcess(k.Process)
				}
			}
			for _, d := range q.demands {
				if d.Pending < 0 || d.Want < 0 {
					t.Fatalf("seed %d: %+v", seed, d)
				}
			}
		}
		for k, n := range pending {
			for range n {
				q.Settle(k, true)
			}
		}
		for k := range pending {
			q.Set(Demand{Key: k, Want: 0})
		}
		q.Visit(inTurn, func(d *Demand) bool { q.Granted(d); return true })
		for _, d := range q.demands {
			if d.Want > 0 {
				t.Fatalf("seed %d: left %+v", seed, d)
			}
		}
	}
}

func TestOneOfWhatIsKeptApart(t *testing.T) {
	l := NewLedger(Amounts{CPU: 4 * Unit})
	apart := Amounts{sched.AvoidPrefix + "x": Unit}
	id, ok := l.Take(1, apart)
	if !ok {
		t.Fatal("refused though there's none")
	}
	if _, ok := l.Take(2, apart); ok {
		t.Fatal("a second one")
	}
	if got := l.Available()[sched.AvoidPrefix+"x"]; got != -Unit {
		t.Errorf("%d are said to be left", got)
	}
	l.Free(id)
	if _, ok := l.TakeForLife(2, apart); !ok {
		t.Fatal("refused though the first is gone")
	}
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
}
