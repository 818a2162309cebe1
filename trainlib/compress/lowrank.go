package compress

import (
	"encoding/binary"
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// maxRank bounds what a message may ask of who decodes it.
const maxRank = 1024

// tensor is a part of a gradient. One that is a matrix of rows and columns is sent as factors P and Q, whose product P Qᵀ
// is near it, if they're smaller; else rank is 0.
type tensor struct {
	at, size         int
	rows, cols, rank int
}

func tensorOf(at int, shape []int, rank int) tensor {
	t := tensor{at: at, size: 1}
	for _, d := range shape {
		t.size *= d
	}
	if len(shape) < 2 || t.size == 0 {
		return t
	}
	return t.factored(shape[0], t.size/shape[0], rank)
}

func (t tensor) factored(rows, cols, rank int) tensor {
	if r := min(rank, rows, cols); r*(rows+cols) < rows*cols {
		t.rows, t.cols, t.rank = rows, cols, r
	}
	return t
}

// first and second are how many numbers are sent of the tensor: P, or all of it; and Q.
func (t tensor) first() int {
	if t.rank == 0 {
		return t.size
	}
	return t.rank * t.rows
}

func (t tensor) second() int { return t.rank * t.cols }

// lowRank is the state of PowerSGD. Factors are stored column by column, so that each column lies in one piece.
type lowRank[T model.Float] struct {
	rank    int
	tensors []tensor
	first   []T // the tensors' P, or numbers as they are
	second  []T // the tensors' Q, with which the next step begins
	scratch []T // another Q
	seed    uint64
}

func newLowRank[T model.Float](spec Spec) *lowRank[T] {
	l := &lowRank[T]{rank: spec.Rank, seed: spec.Seed}
	at, first, second := 0, 0, 0
	for _, shape := range spec.Shapes {
		t := tensorOf(at, shape, spec.Rank)
		l.tensors = append(l.tensors, t)
		at += t.size
		first += t.first()
		second += t.second()
	}
	l.first, l.second, l.scratch = make([]T, first), make([]T, second), make([]T, second)
	return l
}

// each calls f with each tensor's factors, or with its numbers as they are for p.
func each[T any](tensors []tensor, first, second []T, f func(t tensor, p, q []T)) {
	for _, t := range tensors {
		f(t, first[:t.first()], second[:t.second()])
		first, second = first[t.first():], second[t.second():]
	}
}

// project sets first from v: P = M Q.
func (l *lowRank[T]) project(v []T) {
	l.fillEmpty()
	each(l.tensors, l.first, l.second, func(t tensor, p, q []T) {
		m := v[t.at : t.at+t.size]
		if t.rank == 0 {
			copy(p, m)
			return
		}
		for k := range t.rank {
			column := q[k*t.cols : (k+1)*t.cols]
			for i := range t.rows {
				p[k*t.rows+i] = simd.Dot(m[i*t.cols:(i+1)*t.cols], column)
			}
		}
	})
}

// fillEmpty has each column of Q that is 0 begin with random numbers: there would be none for it for ever.
func (l *lowRank[T]) fillEmpty() {
	n := uint64(0)
	each(l.tensors, l.first, l.second, func(t tensor, _, q []T) {
		for k := range t.rank {
			column := q[k*t.cols : (k+1)*t.cols]
			if most := simd.MaxAbs(column); most == 0 || !finite(most) {
				for i := range column {
					n++
					column[i] = T(float64(int64(mix(l.seed+n))) / (1 << 63))
				}
			}
		}
	})
}

// orthogonalise makes P's columns orthonormal. It's the same on all CPUs: all members do it for themselves.
func (l *lowRank[T]) orthogonalise() {
	each(l.tensors, l.first, l.second, func(t tensor, p, _ []T) {
		for k := range t.rank {
			column := p[k*t.rows : (k+1)*t.rows]
			before := dot(column, column)
			for j := range k {
				other := p[j*t.rows : (j+1)*t.rows]
				addScaled(column, T(-dot(other, column)), other)
			}
			// A column that others make up but for rounding has no direction of its own.
			norm := dot(column, column)
			inverse := T(0)
			if norm > before*1e-10 && norm > math.SmallestNonzeroFloat32 {
				inverse = T(1 / math.Sqrt(norm))
			}
			if !finite(norm) {
				inverse = T(math.NaN())
			}
			simd.Scale(column, inverse)
		}
	})
}

// dot is summed up in float64, and on all CPUs the same.
func dot[T model.Float](x, y []T) float64 {
	s := 0.0
	for i, v := range x {
		s += float64(float64(v) * float64(y[i]))
	}
	return s
}

// addScaled is simd.Axpy, on all CPUs the same: it rounds the product, and then the sum.
func addScaled[T model.Float](dst []T, a T, x []T) {
	x = x[:len(dst)]
	var scratch [512]T
	for len(dst) > 0 {
		n := min(len(dst), len(scratch))
		product := scratch[:n]
		copy(product, x)
		simd.Scale(product, a)
		simd.Add(dst[:n], product)
		dst, x = dst[n:], x[n:]
	}
}

// backProject sets second from v and an orthonormal P: Q = Mᵀ P.
func (l *lowRank[T]) backProject(v []T) {
	clear(l.second)
	each(l.tensors, l.first, l.second, func(t tensor, p, q []T) {
		m := v[t.at : t.at+t.size]
		for k := range t.rank {
			column := q[k*t.cols : (k+1)*t.cols]
			for i := range t.rows {
				simd.Axpy(column, p[k*t.rows+i], m[i*t.cols:(i+1)*t.cols])
			}
		}
	})
}

// lose leaves in v what of it the factors don't say.
func (l *lowRank[T]) lose(v []T) {
	each(l.tensors, l.first, l.second, func(t tensor, p, q []T) {
		m := v[t.at : t.at+t.size]
		if t.rank == 0 {
			clear(m)
			return
		}
		for k := range t.rank {
			for i := range t.rows {
				simd.Axpy(m[i*t.cols:(i+1)*t.cols], -p[k*t.rows+i], q[k*t.cols:(k+1)*t.cols])
			}
		}
	})
	if !finite(simd.MaxAbs(v)) {
		clear(v)
	}
}

// multiply sets out to what the factors say, or adds it.
func multiply[T model.Float](out []T, tensors []tensor, first, second []T, add bool) {
	each(tensors, first, second, func(t tensor, p, q []T) {
		m := out[t.at : t.at+t.size]
		if t.rank == 0 {
			if add {
				simd.Add(m, p)
			} else {
				copy(m, p)
			}
			return
		}
		if !add {
			clear(m)
		}
		for i := range t.rows {
			for k := range t.rank {
				addScaled(m[i*t.cols:(i+1)*t.cols], p[k*t.rows+i], q[k*t.cols:(k+1)*t.cols])
			}
		}
	})
}

// encode appends the message of v.
func (l *lowRank[T]) encode(dst []byte, v []T) []byte {
	l.project(v)
	l.orthogonalise()
	l.backProject(v)
	dst = header{formLowRank, sizeOf[T](), len(v), l.rank}.append(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(l.tensors)))
	for _, t := range l.tensors {
		rows, cols := t.rows, t.cols
		if t.rank == 0 {
			cols = t.size
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(rows))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(cols))
	}
	dst = append(dst, bytesOf(l.first)...)
	return append(dst, bytesOf(l.second)...)
}

func decodeLowRank[T model.Float](out []T, h header, body []byte, add bool) error {
	tensors, body, err := parseTensors(h, body)
	if err != nil {
		return err
	}
	first, second := 0, 0
	for _, t := range tensors {
		first += t.first()
		second += t.second()
	}
	if len(body) != (first+second)*h.width {
		return refuse("%d bytes for factors of %d numbers", len(body), first+second)
	}
	multiply(out, tensors, numbers[T](body[:first*h.width]), numbers[T](body[first*h.width:]), add)
	return nil
}

func parseTensors(h header, body []byte) ([]tensor, []byte, error) {
	if h.param < 1 || h.param > maxRank || len(body) < 4 {
		return nil, nil, refuse("rank %d", h.param)
	}
	count := int(binary.LittleEndian.Uint32(body))
	if body = body[4:]; len(body)/8 < count {
		return nil, nil, refuse("%d bytes for the shapes of %d tensors", len(body), count)
	}
	tensors := make([]tensor, count)
	at := 0
	for i := range tensors {
		rows, cols := int(binary.LittleEndian.Uint32(body)), int(binary.LittleEndian.Uint32(body[4:]))
		body = body[8:]
		t := tensor{at: at, size: cols}
		if rows > 0 {
			if cols > h.n/rows {
				return nil, nil, refuse("tensor %d × %d of %d numbers", rows, cols, h.n)
			}
			t.size = rows * cols
			if t = t.factored(rows, cols, h.param); t.rank == 0 {
				return nil, nil, refuse("factors of %d × %d are no smaller", rows, cols)
			}
		}
		if t.size > h.n-at {
			return nil, nil, refuse("tensors of more than %d numbers", h.n)
		}
		at += t.size
		tensors[i] = t
	}
	if at != h.n {
		return nil, nil, refuse("tensors of %d, not %d numbers", at, h.n)
	}
	return tensors, body, nil
}
