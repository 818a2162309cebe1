package compress

import (
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/half"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// tile is how many numbers are worked on at a time, where several kernels follow each other: they stay in the CPU's cache.
const tile = 4096

// encodeHalf appends the message of g plus kept, and leaves in kept what is lost, unless it's nil.
func encodeHalf[T model.Float](dst []byte, g, kept []T, f form) []byte {
	dst, body := grow(header{form: f, width: sizeOf[T](), n: len(g)}.append(dst), 2*len(g))
	out := numbers[uint16](body)
	if single, ok := any(g).([]float32); ok && kept == nil {
		packSingle(out, single, f)
		return dst
	}
	var scratch [tile]T
	for lo := 0; lo < len(g); lo += tile {
		hi := min(lo+tile, len(g))
		if kept == nil {
			packHalf(out[lo:hi], g[lo:hi], f)
			continue
		}
		v, sent := kept[lo:hi], scratch[:hi-lo]
		simd.Add(v, g[lo:hi])
		packHalf(out[lo:hi], v, f)
		unpackHalf(sent, out[lo:hi], f)
		simd.Axpy(v, -1, sent)
		if !finite(simd.MaxAbs(v)) {
			for i, x := range v {
				if !finite(x) {
					v[i] = 0
				}
			}
		}
	}
	return dst
}

func decodeHalf[T model.Float](out []T, h header, body []byte, add bool) error {
	if len(body) != 2*len(out) {
		return refuse("%d bytes for %d numbers of 16 bits", len(body), len(out))
	}
	in := numbers[uint16](body)
	if single, ok := any(out).([]float32); ok && !add {
		unpackSingle(single, in, h.form)
		return nil
	}
	var scratch [tile]T
	for lo := 0; lo < len(out); lo += tile {
		o := out[lo:min(lo+tile, len(out))]
		if !add {
			unpackHalf(o, in[lo:lo+len(o)], h.form)
			continue
		}
		unpackHalf(scratch[:len(o)], in[lo:lo+len(o)], h.form)
		simd.Add(o, scratch[:len(o)])
	}
	return nil
}

// packHalf rounds v, at most a tile, by way of float32.
func packHalf[T model.Float](out []uint16, v []T, f form) {
	single, ok := any(v).([]float32)
	if !ok {
		var scratch [tile]float32
		single = scratch[:len(v)]
		for i, x := range v {
			single[i] = float32(x)
		}
	}
	packSingle(out, single, f)
}

// packSingle rounds v, however long.
func packSingle(out []uint16, v []float32, f form) {
	if f == formHalf {
		half.Encode(float16s(out), v)
	} else {
		half.BEncode(bfloat16s(out), v)
	}
}

// unpackHalf is the reverse of packHalf.
func unpackHalf[T model.Float](out []T, in []uint16, f form) {
	single, ok := any(out).([]float32)
	if !ok {
		var scratch [tile]float32
		single = scratch[:len(out)]
	}
	unpackSingle(single, in, f)
	if !ok {
		for i, x := range single {
			out[i] = T(x)
		}
	}
}

func unpackSingle(out []float32, in []uint16, f form) {
	if f == formHalf {
		half.Decode(out, float16s(in))
	} else {
		half.BDecode(out, bfloat16s(in))
	}
}

func float16s(x []uint16) []half.Float16 {
	return unsafe.Slice((*half.Float16)(unsafe.SliceData(x)), len(x))
}
func bfloat16s(x []uint16) []half.BFloat16 {
	return unsafe.Slice((*half.BFloat16)(unsafe.SliceData(x)), len(x))
}
