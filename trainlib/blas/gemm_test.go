package blas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gonumblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// plain is the product as it's defined, summed up in float64.
func plain[T Float](tA, tB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	for i := range m {
		for j := range n {
			sum := 0.0
			for p := range k {
				x, y := i*lda+p, p*ldb+j
				if tA {
					x = p*lda + i
				}
				if tB {
					y = j*ldb + p
				}
				sum += float64(a[x]) * float64(b[y])
			}
			was := 0.0
			if beta != 0 {
				was = float64(beta) * float64(c[i*ldc+j])
			}
			if alpha == 0 {
				sum = 0
			}
			c[i*ldc+j] = T(float64(alpha)*sum + was)
		}
	}
}

const guard = 7 // elements around a matrix that must stay as they are

// guarded is a slice of n elements in the middle of others.
func guarded[T Float](r *rand.Rand, n int) (all, slice []T) {
	all = make([]T, n+2*guard)
	for i := range all {
		all[i] = T(r.Float64()*2 - 1)
	}
	return all, all[guard : guard+n : guard+n]
}

func checkProduct[T Float](t *testing.T, r *rand.Rand, tA, tB bool, m, n, k int, alpha, beta T, strange bool) {
	t.Helper()
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA {
		rowsA, colsA = k, m
	}
	if tB {
		rowsB, colsB = n, k
	}
	lda, ldb, ldc := colsA+r.IntN(4), colsB+r.IntN(4), n+r.IntN(4)
	_, a := guarded[T](r, (rowsA-1)*lda+colsA)
	_, b := guarded[T](r, (rowsB-1)*ldb+colsB)
	all, c := guarded[T](r, (m-1)*ldc+n)
	if strange {
		for range 2 {
			a[r.IntN(len(a))] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}[r.IntN(4)])
			b[r.IntN(len(b))] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}[r.IntN(4)])
			c[r.IntN(len(c))] = T(math.NaN())
		}
	}
	want := append([]T(nil), all...)
	plain(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, want[guard:guard+len(c)], ldc)
	trans := map[bool]gonumblas.Transpose{false: gonumblas.NoTrans, true: gonumblas.Trans}
	switch a := any(a).(type) {
	case []float32:
		implementation{}.Sgemm(trans[tA], trans[tB], m, n, k, float32(alpha), a, lda, any(b).([]float32), ldb, float32(beta), any(c).([]float32), ldc)
	case []float64:
		implementation{}.Dgemm(trans[tA], trans[tB], m, n, k, float64(alpha), a, lda, any(b).([]float64), ldb, float64(beta), any(c).([]float64), ldc)
	}
	tolerance := 1e-5
	if _, double := any(alpha).(float64); double {
		tolerance = 1e-13
	}
	tolerance *= math.Sqrt(float64(k)) + 1
	for i := range all {
		x, y := float64(all[i]), float64(want[i])
		outside := i < guard || i >= len(all)-guard || (i-guard)%ldc >= n
		if x == y || x != x && y != y || !outside && math.Abs(x-y) <= tolerance {
			continue
		}
		t.Fatalf("%T, transposed %v %v, %d×%d×%d, strides %d %d %d, alpha %v, beta %v: element %d (%d, %d) is %v, want %v",
			alpha, tA, tB, m, n, k, lda, ldb, ldc, alpha, beta, i-guard, (i-guard)/ldc, (i-guard)%ldc, x, y)
	}
}

func each(t *testing.T, f func(t *testing.T)) {
	best := use
	defer func() { use = best }()
	for _, level := range []isa{avx2, avx512} {
		if level > best {
			continue
		}
		use = level
		t.Run(fmt.Sprint(level), f)
	}
}

func TestProducts(t *testing.T) {
	each(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		size := func() int {
			switch r.IntN(10) {
			case 0:
				return 1 + r.IntN(600)
			case 1, 2, 3:
				return 1 + r.IntN(70)
			}
			return 1 + r.IntN(20)
		}
		factors := []float64{0, 1, -1, 0.5, 2}
		n := 3000
		if testing.Short() {
			n = 500
		}
		for i := range n {
			tA, tB, m, n, k := r.IntN(2) == 0, r.IntN(2) == 0, size(), size(), size()
			alpha, beta := factors[r.IntN(5)], factors[r.IntN(5)]
			if i%2 == 0 {
				checkProduct(t, r, tA, tB, m, n, k, float32(alpha), float32(beta), i%5 == 0)
			} else {
				checkProduct(t, r, tA, tB, m, n, k, alpha, beta, i%5 == 0)
			}
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	for _, d := range [][3]int{{64, 64, 64}, {128, 128, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {32, 10, 30}, {32, 1, 10}, {64, 512, 784}, {64, 512, 512}, {64, 10, 512}} {
		for _, tr := range []string{"NN", "NT", "TN"} {
			if tr != "NN" && d[0] == d[1] && d[0] > 600 {
				continue
			}
			b.Run(fmt.Sprintf("f32/%d×%d×%d/%s", d[0], d[1], d[2], tr), func(b *testing.B) { benchGemm[float32](b, tr, d) })
			b.Run(fmt.Sprintf("f64/%d×%d×%d/%s", d[0], d[1], d[2], tr), func(b *testing.B) { benchGemm[float64](b, tr, d) })
		}
	}
}

func benchGemm[T Float](b *testing.B, tr string, d [3]int) {
	m, n, k := d[0], d[1], d[2]
	x, y, c := make([]T, m*k), make([]T, k*n), make([]T, m*n)
	for i := range x {
		x[i] = T(i % 7)
	}
	for i := range y {
		y[i] = T(i % 5)
	}
	lda, ldb := k, n
	if tr[0] == 'T' {
		lda = m
	}
	if tr[1] == 'T' {
		ldb = k
	}
	for b.Loop() {
		gemm(tr[0] == 'T', tr[1] == 'T', m, n, k, 1, x, lda, y, ldb, 0, c, n)
	}
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
}

func FuzzProduct(f *testing.F) {
	f.Add(uint64(1), uint16(6), uint16(16), uint16(8), false, true)
	f.Add(uint64(2), uint16(64), uint16(10), uint16(512), true, false)
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16, tA, tB bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		rows, cols, terms := 1+int(m%300), 1+int(n%300), 1+int(k%600)
		each(t, func(t *testing.T) {
			checkProduct[float32](t, r, tA, tB, rows, cols, terms, 1, 0.5, seed%2 == 0)
			checkProduct[float64](t, r, tA, tB, rows, cols, terms, -1, 0, seed%2 == 0)
		})
	})
}

func TestThreadsGiveTheSame(t *testing.T) {
	defer SetThreads(1)
	for _, d := range [][3]int{{300, 200, 250}, {100, 700, 250}} {
		m, n, k := d[0], d[1], d[2]
		_, a := guarded[float64](rand.New(rand.NewPCG(1, 1)), m*k)
		_, b := guarded[float64](rand.New(rand.NewPCG(2, 1)), k*n)
		var results [2][]float64
		for i := range results {
			SetThreads(1 + 3*i)
			results[i] = make([]float64, m*n)
			Gemm(false, false, m, n, k, 1, a, k, b, n, 0, results[i], n)
		}
		if !slices.Equal(results[0], results[1]) {
			t.Errorf("%v: four threads give another product than one", d)
		}
	}
}

// What needs no packing needs no memory either; what does takes it from a pool.
func TestSmallProductsAllocateNothing(t *testing.T) {
	a, b, c := make([]float32, 32*30), make([]float32, 30*10), make([]float32, 32*10)
	x, y := blas32.General{Rows: 30, Cols: 32, Stride: 32, Data: a}, blas32.General{Rows: 30, Cols: 10, Stride: 10, Data: b}
	z := blas32.General{Rows: 32, Cols: 10, Stride: 10, Data: c}
	if n := testing.AllocsPerRun(100, func() {
		blas32.Gemm(gonumblas.Trans, gonumblas.NoTrans, 1, x, y, 0, z)
		Gemm(false, false, 32, 10, 30, 1, a, 30, b, 10, 1, c, 10)
	}); n > 0 {
		t.Errorf("two products allocate %v times", n)
	}
}
