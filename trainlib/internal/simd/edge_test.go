//go:build unix

package simd

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// fenced returns memory that nothing can be read or written before and behind.
func fenced(t *testing.T) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	all, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(all) })
	for _, fence := range [][]byte{all[:page], all[2*page:]} {
		if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return all[page : 2*page]
}

// slicesIn are slices of n numbers at the memories' beginnings or ends.
func slicesIn[T any](memory [][]byte, n int, end bool) (all [][]T) {
	size := int(unsafe.Sizeof(*new(T)))
	for _, m := range memory {
		if end {
			m = m[len(m)-n*size:]
		}
		all = append(all, unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(m))), n))
	}
	return all
}

// Kernels never read or write outside of their slices: it would end this process.
func TestKernelsStayInside(t *testing.T) {
	memory := [][]byte{fenced(t), fenced(t), fenced(t), fenced(t), fenced(t)}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 150 {
		for _, end := range []bool{false, true} {
			floatsInside[float32](memory, n, end)
			floatsInside[float64](memory, n, end)
			packedInside[float32](t, r, memory, n, end)
			packedInside[float64](t, r, memory, n, end)
			integersInside[int8](memory, n, end)
			integersInside[uint16](memory, n, end)
			integersInside[int32](memory, n, end)
			halvesInside(memory, n, end)
			streaming(func() { halvesInside(memory, n, end) })
		}
	}
}

func halvesInside(memory [][]byte, n int, end bool) {
	halves, wide := slicesIn[uint16](memory[:2], n, end), slicesIn[float32](memory[2:], n, end)
	ToFloat16(halves[0], wide[0])
	FromFloat16(wide[1], halves[0])
	ToBFloat16(halves[1], wide[0])
	FromBFloat16(wide[2], halves[1])
}

func floatsInside[T Float](memory [][]byte, n int, end bool) {
	x := slicesIn[T](memory, n, end)
	for _, f := range []func(dst, x []T){Add[T], Stream[T], Mul[T], Min[T], Max[T], ReLU[T], ReLUGrad[T], Sigmoid[T], SigmoidGrad[T], Tanh[T], TanhGrad[T]} {
		f(x[0], x[1])
	}
	AddTo(x[0], x[1], x[2])
	Axpy(x[0], 1, x[1])
	Blend(1, x[0], 1, x[1])
	Scale(x[0], 1)
	Exp(x[0], x[1], 1)
	Dot(x[0], x[1])
	for _, f := range []func(x []T) float64{Sum[T], SumAbs[T], SquaredNorm[T], func(x []T) float64 { return float64(MaxAbs(x)) }} {
		f(x[0])
	}
	Adam(x[0], x[1], x[2], x[3], adamStep)
	AMSGrad(x[0], x[1], x[2], x[3], x[4], adamStep)
	Momentum(x[0], x[1], x[2], MomentumStep{})
	RMSprop(x[0], x[1], x[2], RMSpropStep{})
}

func packedInside[T Float](t *testing.T, r *rand.Rand, memory [][]byte, n int, end bool) {
	t.Helper()
	x := slicesIn[T](memory, n, end)
	for _, p := range packers[T]() {
		q := slicesIn[byte](memory[3:4], (n+p.per-1)/p.per, end)[0]
		p.pack(q, x[0], x[1], 1, Rounding{r.IntN(2) == 0, 1}, 0)
		p.unpack(x[2], q, 1, r.IntN(2) == 0)
	}
	if places := AppendLarge(nil, x[0], 0); len(places) != n {
		t.Fatalf("of %d numbers, %d are at least 0", n, len(places))
	}
	SumAbove(x[0], 0)
	AddMaxAbs(x[0], x[1])
}

func integersInside[T Integer](memory [][]byte, n int, end bool) {
	x := slicesIn[T](memory, n, end)
	AddInts(x[0], x[1])
	MinInts(x[0], x[1])
	MaxInts(x[0], x[1])
}
