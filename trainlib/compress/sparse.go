package compress

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/gray-runtime/gray/trainlib/model"
)

// appendSparse appends the message of v's numbers at places, which rise.
func appendSparse[T model.Float](dst []byte, v []T, places []uint32) []byte {
	width := sizeOf[T]()
	dst, body := grow(header{formSparse, width, len(v), len(places)}.append(dst), len(places)*width)
	values := numbers[T](body)
	for j, i := range places {
		values[j] = v[i]
	}
	next := uint32(0)
	for _, i := range places {
		dst = binary.AppendUvarint(dst, uint64(i-next))
		next = i + 1
	}
	return dst
}

func decodeSparse[T model.Float](out []T, h header, body []byte, add bool) error {
	if h.param > len(out) || len(body) < h.param*(h.width+1) {
		return refuse("%d bytes for %d of %d numbers", len(body), h.param, len(out))
	}
	values, gaps := numbers[T](body[:h.param*h.width]), body[h.param*h.width:]
	if !add {
		clear(out)
	}
	next := 0
	for _, x := range values {
		gap, n := binary.Uvarint(gaps)
		if n <= 0 || gap >= uint64(len(out)-next) {
			return refuse("a place is beyond %d numbers", len(out))
		}
		gaps = gaps[n:]
		out[next+int(gap)] += x
		next += int(gap) + 1
	}
	if len(gaps) != 0 {
		return refuse("%d bytes are left", len(gaps))
	}
	return nil
}

// randomPlaces has one place in each of k stretches of n numbers, whose lengths differ by one at most.
type randomPlaces struct {
	key  uint64
	n, k int
}

// at returns the j-th place, and how many numbers it was chosen from.
func (p randomPlaces) at(j int) (place, from int) {
	lo, hi := j*p.n/p.k, (j+1)*p.n/p.k
	chosen, _ := bits.Mul64(mix(p.key+uint64(j)), uint64(hi-lo))
	return lo + int(chosen), hi - lo
}

// mix is splitmix64's.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// take sets values to v's numbers at the places. If v is what's kept, they aren't any more; else they're multiplied by
// how many they stand for, so that the expected value is right.
func take[T model.Float](values, v []T, p randomPlaces, kept bool) {
	for j := range values {
		i, from := p.at(j)
		if kept {
			values[j], v[i] = v[i], 0
		} else {
			values[j] = v[i] * T(from)
		}
	}
}

// put sets or adds the values at the places.
func put[T model.Float](out, values []T, p randomPlaces, add bool) {
	if !add {
		clear(out)
	}
	for j, x := range values {
		i, _ := p.at(j)
		out[i] += x
	}
}

func appendRandom[T model.Float](dst []byte, v []T, p randomPlaces, kept bool) []byte {
	h := header{formRandom, sizeOf[T](), p.n, p.k}
	dst = binary.LittleEndian.AppendUint64(h.append(dst), p.key)
	dst, body := grow(dst, p.k*h.width)
	take(numbers[T](body), v, p, kept)
	return dst
}

func decodeRandom[T model.Float](out []T, h header, body []byte, add bool) error {
	if h.param > len(out) || len(body) != 8+h.param*h.width {
		return refuse("%d bytes for %d of %d random numbers", len(body), h.param, len(out))
	}
	put(out, numbers[T](body[8:]), randomPlaces{binary.LittleEndian.Uint64(body), len(out), h.param}, add)
	return nil
}

// clearAt sets v, unless it's nil, to 0 at places.
func clearAt[T model.Float](v []T, places []uint32) {
	if v == nil {
		return
	}
	for _, i := range places {
		v[i] = 0
	}
}

// seedOf is the low part of the key of a step's chances.
func seedOf(seed uint64, step int64) uint64 { return mix(seed ^ mix(uint64(step)+math.MaxUint32)) }
