package compress

import (
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// blockBits is how many bits a number has in the forms that have blocks.
var blockBits = [...]int{formInt8: 8, formInt4: 4, formOneBit: 1, formTernary: 2}

var blockForms = map[Kind]form{KindInt8: formInt8, KindInt4: formInt4, KindOneBit: formOneBit, KindTernary: formTernary}

// layout is where what is in a body of blocks.
type layout struct {
	block, blocks int
	scales, bits  int // bytes
}

func layoutOf(f form, n, block, width int) layout {
	if block == 0 {
		block = (n + 7) &^ 7
	}
	l := layout{block: block, bits: (n*blockBits[f] + 7) / 8}
	if n > 0 {
		l.blocks = (n + block - 1) / block
	}
	l.scales = l.blocks * width
	return l
}

// encodeBlocks appends the message of g plus kept, and leaves in kept what is lost, unless it's nil.
func encodeBlocks[T model.Float](dst []byte, g, kept []T, spec Spec, r simd.Rounding) []byte {
	h := header{blockForms[spec.Kind], sizeOf[T](), len(g), spec.Block}
	l := layoutOf(h.form, len(g), spec.Block, h.width)
	dst, body := grow(h.append(dst), l.scales+l.bits)
	scales, bits := numbers[T](body[:l.scales]), body[l.scales:]
	for b := range l.blocks {
		lo, hi := b*l.block, min((b+1)*l.block, len(g))
		var lost []T
		if kept != nil {
			lost = kept[lo:hi]
		}
		q := bits[lo*blockBits[h.form]/8 : (hi*blockBits[h.form]+7)/8]
		scales[b] = encodeBlock(h.form, q, lost, g[lo:hi], r, uint32(lo))
		if lost != nil && !finite(scales[b]) {
			clear(lost)
		}
	}
	return dst
}

// encodeBlock packs v plus kept, and returns the block's scale. If that isn't finite, neither are the numbers that are
// decoded.
func encodeBlock[T model.Float](f form, q []byte, kept, v []T, r simd.Rounding, at uint32) T {
	if f == formInt8 || f == formInt4 || r.Stochastic {
		var most T
		if kept == nil {
			most = simd.MaxAbs(v)
		} else {
			most, v = simd.AddMaxAbs(kept, v), kept
		}
		switch f {
		case formInt8:
			scale, inverse := scaleOf(most, 127)
			simd.PackInt8(q, kept, v, scale, inverse, r, at)
			return scale
		case formInt4:
			scale, inverse := scaleOf(most, 7)
			simd.PackInt4(q, kept, v, scale, inverse, r, at)
			return scale
		}
		scale, inverse := scaleOf(most, 1)
		simd.PackChosen(q, v, inverse, r, at)
		return scale
	}
	if kept != nil {
		simd.Add(kept, v)
		v = kept
	}
	mean := T(simd.SumAbs(v) / float64(len(v)))
	if f == formOneBit {
		simd.PackSigns(q, kept, v, mean)
		return mean
	}
	if !finite(mean) {
		return mean
	}
	least := T(0.7 * float64(mean))
	sum, above := simd.SumAbove(v, least)
	scale := T(sum / float64(max(above, 1)))
	simd.PackTernary(q, kept, v, scale, least)
	return scale
}

// scaleOf is the scale by which a block's numbers are at most top, of which most is the largest, and its inverse. Of
// a block so small that it has no inverse nothing is sent.
func scaleOf[T model.Float](most, top T) (scale, inverse T) {
	scale, inverse = most/top, top/most
	if math.IsInf(float64(inverse), 0) {
		return 0, 0
	}
	return scale, inverse
}

func fill[T model.Float](out []T, v T) {
	for i := range out {
		out[i] = v
	}
}

// finite reports whether x is a number, and not infinite.
func finite[T model.Float](x T) bool { return x-x == 0 }

func decodeBlocks[T model.Float](out []T, h header, body []byte, add bool) error {
	if h.param%8 != 0 {
		return refuse("block %d isn't a multiple of 8", h.param)
	}
	l := layoutOf(h.form, len(out), h.param, h.width)
	if len(body) != l.scales+l.bits {
		return refuse("%d bytes for %d numbers in blocks of %d", len(body), len(out), l.block)
	}
	scales, bits := numbers[T](body[:l.scales]), body[l.scales:]
	for b, scale := range scales {
		lo, hi := b*l.block, min((b+1)*l.block, len(out))
		o, q := out[lo:hi], bits[lo*blockBits[h.form]/8:(hi*blockBits[h.form]+7)/8]
		if !finite(scale) {
			fill(o, T(math.NaN()))
			continue
		}
		switch h.form {
		case formInt8:
			simd.UnpackInt8(o, q, scale, add)
		case formInt4:
			simd.UnpackInt4(o, q, scale, add)
		case formOneBit:
			simd.UnpackSigns(o, q, scale, add)
		default:
			simd.UnpackTernary(o, q, scale, add)
		}
	}
	return nil
}
