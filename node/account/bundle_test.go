package account

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/ids"
)

// TestBundlesRandom runs random histories of bundles and what is taken in them.
func TestBundlesRandom(t *testing.T) {
	shapes := []Amounts{nil, cpus(1), cpus(0.5), {"GPU": Unit}, {CPU: Unit, "memory": 30 * Unit}}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		total := Amounts{CPU: 8 * Unit, "GPU": 3 * Unit, "memory": 100 * Unit}
		l := NewLedger(total)
		var holds, bundles []HoldID
		pick := func(of []HoldID) HoldID {
			if len(of) == 0 {
				return 0
			}
			return of[r.IntN(len(of))]
		}
		add := func(h HoldID, ok bool) {
			if ok {
				holds = append(holds, h)
			}
		}
		for range 400 {
			a, job := shapes[r.IntN(len(shapes))], ids.JobID(1+r.IntN(3))
			switch r.IntN(9) {
			case 0:
				add(l.Take(job, a))
			case 1:
				if h, ok := l.Reserve(shapes[1+r.IntN(len(shapes)-1)]); ok {
					bundles = append(bundles, h)
				}
			case 2, 3:
				if in := l.In(pick(bundles)); in != nil {
					before := l.Used()
					fits := in.Fits(job, a)
					h, ok := in.Take(job, a)
					if ok != fits {
						t.Fatalf("seed %d: Fits %v, Take %v", seed, fits, ok)
					}
					add(h, ok)
					for name, n := range l.Used() {
						if before[name] != n {
							t.Fatalf("seed %d: taking in a bundle took %s of the node", seed, name)
						}
					}
				}
			case 4:
				if in := l.In(pick(bundles)); in != nil {
					add(in.TakeForLife(job, a))
				}
			case 5:
				l.Lend(pick(holds))
			case 6:
				l.Reclaim(pick(holds))
			case 7:
				l.Free(pick(bundles)) // again, maybe
			default:
				if h := pick(holds); h != 0 {
					l.Free(h)
					l.Free(h) // harmless
					holds = slices.DeleteFunc(holds, func(o HoldID) bool { return o == h })
				}
			}
			if err := l.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for _, h := range append(bundles, holds...) {
			l.Free(h)
		}
		if len(l.Used()) != 0 || l.Holds() != 0 || len(l.Bundled()) != 0 || len(l.within) != 0 {
			t.Fatalf("seed %d: used %v, bundled %v after the last hold went", seed, l.Used(), l.Bundled())
		}
	}
}

func TestBundleComesBackWithItsLastHold(t *testing.T) {
	l := NewLedger(cpus(2))
	b, ok := l.Reserve(cpus(2))
	if _, more := l.Reserve(cpus(1)); !ok || more {
		t.Fatalf("reserved %v, and more than there is %v", ok, more)
	}
	h, ok := l.In(b).Take(1, cpus(2))
	if _, more := l.In(b).Take(1, cpus(1)); !ok || more {
		t.Fatalf("taken %v, and more than the bundle has %v", ok, more)
	}
	l.Lend(h)
	if !l.In(b).Fits(1, cpus(2)) || l.Available()[CPU] != 0 {
		t.Fatalf("a blocked task's CPUs are its bundle's: %v of it, %v of the node", l.In(b).Left(), l.Available())
	}
	l.Free(b)
	if l.In(b) != nil || !l.Has(b) || l.Available()[CPU] != 0 {
		t.Fatal("a freed bundle with a hold takes more, or is gone")
	}
	l.Free(h)
	if l.Has(b) || l.Available()[CPU] != 2*Unit {
		t.Fatalf("after the last hold: %v", l.Available())
	}
}
