package devices

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSharesArePacked(t *testing.T) {
	s := New(3 * Unit)
	take := func(units int64, want ...uint32) []Share {
		t.Helper()
		shares, ok := s.Take(units)
		var got []uint32
		for _, sh := range shares {
			got = append(got, sh.Device)
		}
		if !ok && want != nil || !slices.Equal(got, want) {
			t.Fatalf("%d units: devices %v, want %v", units, got, want)
		}
		return shares
	}
	half := take(Unit/2, 0)
	take(Unit/4, 0) // where the least is left
	two := take(2*Unit, 1, 2)
	take(Unit) // there is none
	take(Unit / 2)
	s.Give(half)
	take(Unit/2, 0)
	s.Give(two)
	take(Unit, 1)
	take(Unit * 3 / 2) // not whole
}

func TestPartsOfADevice(t *testing.T) {
	s := Of([]Share{{4, Unit / 2}})
	if s.Fits(Unit) || !s.Fits(Unit/2) {
		t.Error("half a device")
	}
	if sh, ok := s.Take(Unit / 4); !ok || sh[0].Device != 4 {
		t.Errorf("took %v", sh)
	}
	if n := New(Unit + Unit/2).Len(); n != 2 {
		t.Errorf("one and a half is on %d devices", n)
	}
}

// TestRandom checks the invariants over random histories.
func TestRandom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := New(int64(1+r.IntN(8)) * Unit)
		var held [][]Share
		for range 200 {
			if len(held) > 0 && r.IntN(2) == 0 {
				i := r.IntN(len(held))
				s.Give(held[i])
				held = slices.Delete(held, i, i+1)
			} else {
				units := int64(r.IntN(4)) * Unit
				if r.IntN(2) == 0 {
					units = int64(r.IntN(Unit))
				}
				fits := s.Fits(units)
				shares, ok := s.Take(units)
				if ok != fits {
					t.Fatalf("seed %d: %d units: took %v, fits %v", seed, units, ok, fits)
				}
				var sum int64
				for _, sh := range shares {
					sum += sh.Units
				}
				if ok && sum != units || units >= Unit && len(shares) > 0 && len(shares) != int(units/Unit) || units < Unit && len(shares) > 1 {
					t.Fatalf("seed %d: %d units are %v", seed, units, shares)
				}
				if ok {
					held = append(held, shares)
				}
			}
			if err := s.Check(slices.Concat(held...)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}
