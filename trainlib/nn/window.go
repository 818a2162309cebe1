package nn

import "github.com/gray-runtime/gray/trainlib/model"

// windows is how a kernel moves over images.
type windows struct {
	channels, rows, columns int // of an image
	kernel, stride, padding int
	outRows, outColumns     int
}

// windowsIn is how many windows of a layer fit along n numbers.
func windowsIn(n int, l Layer) int {
	if n+2*l.Padding < l.Kernel {
		return 0
	}
	return (n+2*l.Padding-l.Kernel)/l.Stride + 1
}

func newWindows(l Layer, in []int) windows {
	return windows{in[0], in[1], in[2], l.Kernel, l.Stride, l.Padding, windowsIn(in[1], l), windowsIn(in[2], l)}
}

func (w windows) in() int  { return w.channels * w.rows * w.columns }
func (w windows) out() int { return w.channels * w.outRows * w.outColumns }

// maxPool takes the largest of each window.
type maxPool[T model.Float] struct {
	windows
	y, dx []T
	at    []int32 // where in its sample each output comes from
}

func (p *maxPool[T]) forward(c *call[T], x []T) []T {
	in, out := p.in(), p.out()
	p.y, p.at = grow(p.y, c.n*out), grow(p.at, c.n*out)
	for s := range c.n {
		p.sample(x[s*in:(s+1)*in], p.y[s*out:(s+1)*out], p.at[s*out:(s+1)*out])
	}
	return p.y
}

func (p *maxPool[T]) sample(x, y []T, at []int32) {
	k := 0
	for ch := range p.channels {
		for r := range p.outRows {
			first := (ch*p.rows + r*p.stride) * p.columns
			for col := range p.outColumns {
				y[k], at[k] = p.largest(x, first+col*p.stride)
				k++
			}
		}
	}
}

// largest is the largest of a window, and where it is. A number that is none wins: it should be seen.
func (p *maxPool[T]) largest(x []T, corner int) (best T, at int32) {
	best, from := x[corner], corner
	for i := range p.kernel {
		row := corner + i*p.columns
		for j, v := range x[row : row+p.kernel] {
			if v > best || v != v {
				best, from = v, row+j
			}
		}
	}
	return best, int32(from)
}

func (p *maxPool[T]) backward(c *call[T], dy []T) []T {
	if !c.deeper {
		return nil
	}
	in, out := p.in(), p.out()
	p.dx = grow(p.dx, c.n*in)
	clear(p.dx)
	for s := range c.n {
		dx, dy, at := p.dx[s*in:(s+1)*in], dy[s*out:(s+1)*out], p.at[s*out:(s+1)*out]
		for i, v := range dy {
			dx[at[i]] += v
		}
	}
	return p.dx
}

// avgPool takes the mean of each window.
type avgPool[T model.Float] struct {
	windows
	y, dx []T
}

func (p *avgPool[T]) forward(c *call[T], x []T) []T {
	p.y = grow(p.y, c.n*p.out())
	part := 1 / T(p.kernel*p.kernel)
	p.each(c.n, func(out, row int) {
		if row < 0 {
			p.y[out] = 0
			return
		}
		var sum T
		for _, v := range x[row : row+p.kernel] {
			sum += v
		}
		p.y[out] += sum * part
	})
	return p.y
}

func (p *avgPool[T]) backward(c *call[T], dy []T) []T {
	if !c.deeper {
		return nil
	}
	p.dx = grow(p.dx, c.n*p.in())
	clear(p.dx)
	part := 1 / T(p.kernel*p.kernel)
	p.each(c.n, func(out, row int) {
		if row < 0 {
			return
		}
		d := dy[out] * part
		for i := range p.kernel {
			p.dx[row+i] += d
		}
	})
	return p.dx
}

// each calls do for each output and each row of its window, given by its first number; before the first row with -1.
func (p *avgPool[T]) each(samples int, do func(out, row int)) {
	out := 0
	for image := range samples * p.channels {
		for r := range p.outRows {
			for col := range p.outColumns {
				do(out, -1)
				for i := range p.kernel {
					do(out, (image*p.rows+r*p.stride+i)*p.columns+col*p.stride)
				}
				out++
			}
		}
	}
}
