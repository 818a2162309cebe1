package devices

import "fmt"

// Unit is how many units of accounting one whole device has.
const Unit = 10_000

// Share is a part of a device, or all of it.
type Share struct {
	Device uint32
	Units  int64
}

// Set is devices, and what is free of each.
type Set struct{ devices []device }

type device struct {
	number    uint32
	has, free int64
}

// New makes a Set of the devices 0, 1, 2… that make up total units; the last may be a
// part of one.
func New(total int64) *Set {
	s := &Set{}
	for n := uint32(0); total > 0; n++ {
		has := min(total, Unit)
		s.devices = append(s.devices, device{n, has, has})
		total -= has
	}
	return s
}

// Of makes a Set of what a demand got.
func Of(shares []Share) *Set {
	s := &Set{}
	for _, sh := range shares {
		s.devices = append(s.devices, device{sh.Device, sh.Units, sh.Units})
	}
	return s
}

// Len is how many devices there are, in whole or in part.
func (s *Set) Len() int { return len(s.devices) }

// Fits reports whether Take would succeed.
func (s *Set) Fits(units int64) bool {
	if units <= 0 {
		return true
	}
	if units < Unit {
		return s.fullest(units) >= 0
	}
	return units%Unit == 0 && s.whole() >= units
}

// fullest is the index of the device with the least room that is enough, or -1.
func (s *Set) fullest(units int64) int {
	best := -1
	for i, d := range s.devices {
		if d.free >= units && (best < 0 || d.free < s.devices[best].free) {
			best = i
		}
	}
	return best
}

// whole is how much is free on devices of which nothing is taken.
func (s *Set) whole() int64 {
	var units int64
	for _, d := range s.devices {
		if d.free == Unit {
			units += Unit
		}
	}
	return units
}

// Take takes devices for a demand, if it fits.
func (s *Set) Take(units int64) ([]Share, bool) {
	switch {
	case !s.Fits(units):
		return nil, false
	case units <= 0:
		return nil, true
	case units < Unit:
		d := &s.devices[s.fullest(units)]
		d.free -= units
		return []Share{{d.number, units}}, true
	}
	shares := make([]Share, 0, units/Unit)
	for i := range s.devices {
		if d := &s.devices[i]; d.free == Unit && int64(len(shares)) < units/Unit {
			d.free = 0
			shares = append(shares, Share{d.number, Unit})
		}
	}
	return shares, true
}

// Give returns what Take gave.
func (s *Set) Give(shares []Share) {
	for _, sh := range shares {
		for i := range s.devices {
			if d := &s.devices[i]; d.number == sh.Device {
				d.free += sh.Units
				break
			}
		}
	}
}

// Check verifies that what is taken is just what these shares are.
func (s *Set) Check(taken []Share) error {
	sum := map[uint32]int64{}
	for _, sh := range taken {
		if sh.Units <= 0 {
			return fmt.Errorf("a share of %d units of device %d", sh.Units, sh.Device)
		}
		sum[sh.Device] += sh.Units
	}
	for _, d := range s.devices {
		if d.free < 0 || d.has-d.free != sum[d.number] {
			return fmt.Errorf("device %d has %d, %d free, but %d are held", d.number, d.has, d.free, sum[d.number])
		}
		delete(sum, d.number)
	}
	for n := range sum {
		return fmt.Errorf("device %d is held, but isn't there", n)
	}
	return nil
}
