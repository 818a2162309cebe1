package blas

import (
	"sync"
	"unsafe"
)

// Blocks: kc rows of a panel of b stay in the first cache, mc rows of a in the second, nc columns of b in the third.
const (
	kc = 256 // as many elements of either type: a panel of b is two registers wide
	nc = 3072
)

// shape is how a kernel cuts matrices up: rows and columns of a tile, elements of a register, rows of a block.
type shape struct{ mr, nr, lane, mc int }

func shapeOf[T Float](n int) shape {
	size := sizeOf[T]()
	if use == avx512 && n*size > 64 {
		return shape{mr: 12, nr: 128 / size, lane: 64 / size, mc: 960 / size}
	}
	return shape{mr: 6, nr: 64 / size, lane: 32 / size, mc: 960 / size}
}

func sizeOf[T Float]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

func pointer[T Float](s []T, i int) unsafe.Pointer { return unsafe.Pointer(&s[i]) }

// workspace is where blocks of a and b are packed.
type workspace[T Float] struct{ a, b []T }

var (
	spaces32 = sync.Pool{New: func() any { return new(workspace[float32]) }}
	spaces64 = sync.Pool{New: func() any { return new(workspace[float64]) }}
)

func spaces[T Float]() *sync.Pool {
	if sizeOf[T]() == 4 {
		return &spaces32
	}
	return &spaces64
}

// grow makes *s n elements long, on a cache line's boundary, and some more that may be written.
func grow[T Float](s *[]T, n int) []T {
	line := 64 / sizeOf[T]()
	if len(*s) < n+2*line {
		fresh := make([]T, n+3*line)
		skip := int(uintptr(unsafe.Pointer(&fresh[0])) & 63)
		*s = fresh[(64-skip)%64/sizeOf[T]():]
	}
	return *s
}

func (x matrix[T]) at(i, j int) unsafe.Pointer { return pointer(x.data, i*x.rs+j*x.cs) }

// product is one under way: c, m by n, becomes alpha times the product of a and b, and k terms, added to what's there if add.
type product[T Float] struct {
	shape
	m, n, k      int
	a, b         matrix[T]
	add          bool
	c            []T
	ldc          int
	packA, packB bool
	panels       int // of b that are kept: all, if there are several blocks of a
	space        *workspace[T]
	tile         tile
}

func multiply[T Float](m, n, k int, alpha T, a, b matrix[T], add bool, c []T, ldc int) {
	p := product[T]{shape: shapeOf[T](n), m: m, n: n, k: k, a: a, b: b, add: add, c: c, ldc: ldc, panels: 1}
	*(*T)(unsafe.Pointer(&p.tile.alpha)) = alpha
	p.tile.ldc = ldc * sizeOf[T]()
	blocks := (k + kc - 1) / kc
	most := (k + blocks - 1) / blocks
	p.packA = a.cs != 1 && m > p.mr && n > p.nr && k > 8 || n >= 8*p.nr && m*k > 4096
	p.packB = b.cs != 1 || m > 2*p.mr && b.rs*most > 2048
	if p.packA || p.packB {
		p.space = spaces[T]().Get().(*workspace[T])
		defer spaces[T]().Put(p.space)
	}
	if m > p.mc {
		p.panels = (min(n, nc) + p.nr - 1) / p.nr
	}
	if p.packB {
		grow(&p.space.b, p.panels*p.nr*most)
	}
	for j0 := 0; j0 < n; j0 += nc {
		for p0 := 0; p0 < k; p0 += most {
			for i0 := 0; i0 < m; i0 += p.mc {
				p.block(i0, min(p.mc, m-i0), j0, min(nc, n-j0), p0, min(most, k-p0))
			}
		}
	}
}

// block computes rows i0…i0+m of c, columns j0…j0+n, of terms p0…p0+k.
func (p *product[T]) block(i0, m, j0, n, p0, k int) {
	t, size := &p.tile, sizeOf[T]()
	t.k, t.add = k, 0
	if p.add || p0 > 0 {
		t.add = 1
	}
	if p.packA {
		t.a = packRowsOf(p.shape, p.space, p.a, i0, m, p0, k)
		t.ars, t.acs, t.next = size, p.mr*size, p.mr*size*k
	} else {
		t.a = p.a.at(i0, p0)
		t.ars, t.acs, t.next = p.a.rs*size, p.a.cs*size, p.mr*p.a.rs*size
	}
	for j := 0; j < n; j += p.nr {
		width := min(p.nr, n-j)
		if p.packB {
			at := 0
			if p.panels > 1 {
				at = j * k
			}
			if i0 == 0 {
				packColumns(p.shape, p.space.b[at:], p.b, p0, k, j0+j, width)
			}
			t.b, t.brs = pointer(p.space.b, at), p.nr*size
		} else {
			t.b, t.brs = p.b.at(p0, j0+j), p.b.rs*size
		}
		t.m, t.done, t.c = m, 0, pointer(p.c, i0*p.ldc+j0+j)
		call[T](t, width, p.shape)
	}
}

// call computes a panel of c, of so many columns.
func call[T Float](t *tile, width int, s shape) {
	single := sizeOf[T]() == 4
	if s.mr == 12 {
		first := min(width, s.lane)
		t.lanes = 1<<first - 1 | (1<<(width-first)-1)<<16
		switch {
		case single && width == s.nr:
			wide32x512(t)
		case single:
			cut32x512(t)
		case width == s.nr:
			wide64x512(t)
		default:
			cut64x512(t)
		}
		return
	}
	t.part = width
	if width > s.lane {
		t.part -= s.lane
	}
	t.mask = maskOf(t.part * sizeOf[T]())
	switch {
	case single && width == s.nr:
		wide32(t)
	case single && width > s.lane:
		cut32(t)
	case single:
		slim32(t)
	case width == s.nr:
		wide64(t)
	case width > s.lane:
		cut64(t)
	default:
		slim64(t)
	}
}

// ones is what masks are cut from.
var ones = func() (b [128]byte) {
	for i := range 64 {
		b[i] = 0xff
	}
	return b
}()

// maskOf lets the first n bytes of 64 through.
func maskOf(n int) unsafe.Pointer { return unsafe.Pointer(&ones[64-n]) }

// packRowsOf packs rows i0…i0+m of a, columns p0…p0+k: of each mr rows, column after column.
func packRowsOf[T Float](s shape, w *workspace[T], a matrix[T], i0, m, p0, k int) unsafe.Pointer {
	dst := grow(&w.a, (m+s.mr-1)/s.mr*s.mr*k)
	for i := 0; i < m; i += s.mr {
		height := min(s.mr, m-i)
		panel := dst[i*k:]
		if a.rs == 1 {
			packWide(panel, s.mr, a.at(i0+i, p0), a.cs, k, height)
			continue
		}
		turn(panel, s.mr, s.mr, a.data[(i0+i)*a.rs+p0:], a.rs, height, k)
	}
	return pointer(dst, 0)
}

// packColumns packs columns j…j+width of b, rows p0…p0+k, as one panel.
func packColumns[T Float](s shape, dst []T, b matrix[T], p0, k, j, width int) {
	if b.cs == 1 {
		packWide(dst, s.nr, b.at(p0, j), b.rs, k, width)
		return
	}
	turn(dst, s.nr, s.nr, b.data[j*b.cs+p0:], b.cs, width, k)
}

// packWide copies k rows of width elements, from elements apart, to rows stride apart. What is between may become anything.
func packWide[T Float](dst []T, stride int, src unsafe.Pointer, from, k, width int) {
	size := sizeOf[T]()
	to := pointer(dst, 0)
	// Two registers at a time: the last may reach into the next row, which is written later.
	for left := width * size; left > 0; left -= 64 {
		mask := maskOf(min(left, 64))
		switch {
		case size == 4 && left > 32:
			packRows32(to, stride*size, src, from*size, k, mask)
		case size == 4:
			packSlim32(to, stride*size, src, from*size, k, mask)
		case left > 32:
			packRows64(to, stride*size, src, from*size, k, mask)
		default:
			packSlim64(to, stride*size, src, from*size, k, mask)
		}
		if left > 64 {
			to, src = unsafe.Add(to, 64), unsafe.Add(src, 64)
		}
	}
}

// turn packs height rows of k elements, from apart, as columns: element (i, p) goes to p*stride+i. What is between
// height and most becomes anything.
func turn[T Float](dst []T, stride, most int, src []T, from, height, k int) {
	size := sizeOf[T]()
	lane := 32 / size
	whole := k / lane
	var rows [8]unsafe.Pointer
	// From the last rows to the first: a register may reach into the next column, whose elements are written later.
	for i := (most - 1) / lane * lane; i >= 0 && whole > 0; i -= lane {
		for r := range lane {
			rows[r] = pointer(src, min(i+r, height-1)*from)
		}
		if size == 4 {
			turn32(pointer(dst, i), stride*size, &rows, whole)
		} else {
			turn64(pointer(dst, i), stride*size, &rows, whole)
		}
	}
	for p := whole * lane; p < k; p++ {
		column := dst[p*stride : p*stride+most]
		for i := range column {
			column[i] = src[min(i, height-1)*from+p]
		}
	}
}
