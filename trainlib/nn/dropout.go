package nn

import "github.com/gray-runtime/gray/trainlib/model"

// dropout drops by a hash of seed, step, sample and place, so that a sample meets the same however a batch is cut.
type dropout[T model.Float] struct {
	rate  float64
	seed  uint64 // the layer's own
	width int
	mask  []T // what each number is multiplied by
	y     []T
	on    bool
}

func (d *dropout[T]) forward(c *call[T], x []T) []T {
	d.on = c.train && d.rate > 0
	if !d.on {
		return x
	}
	d.mask, d.y = grow(d.mask, len(x)), grow(d.y, len(x))
	drop, keep := uint64(d.rate*(1<<53)), T(1/(1-d.rate))
	for s, id := range c.ids {
		state := mix(d.seed ^ mix(uint64(c.step)^mix(uint64(id))))
		x, y, mask := x[s*d.width:(s+1)*d.width], d.y[s*d.width:(s+1)*d.width], d.mask[s*d.width:(s+1)*d.width]
		for i, v := range x {
			state += golden
			var k T
			if mix(state)>>11 >= drop {
				k = keep
			}
			mask[i] = k
			y[i] = v * k
		}
	}
	return d.y
}

func (d *dropout[T]) backward(_ *call[T], dy []T) []T {
	if d.on {
		for i, k := range d.mask {
			dy[i] *= k
		}
	}
	return dy
}

const golden = 0x9e3779b97f4a7c15

// mix is SplitMix64's output function.
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
