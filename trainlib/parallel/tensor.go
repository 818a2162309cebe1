package parallel

import (
	"context"
	"fmt"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
)

// Tensor is a Stage whose Dense layers are divided among the members of a group, who all see the same samples: Megatron's way, Shoeybi et al. 2019. Of
// two Dense layers after each other with an element-wise activation between, each member has some columns of the first's weights, and
// the rows of the second's that these meet. So it takes one sum over the members forward, of the second's outputs, and one back, of the
// gradients of the first's inputs. All other layers (convolutions, embeddings, norms, a Dense without a second one, or whose units are fewer
// than the members) are on every member, with the same bits: they're computed by each, and nothing is gained.
type Tensor[T model.Float] struct {
	group  *collective.Group
	parts  []tensorPart[T]
	params []model.Param[T]
	whole  []piece
	in     int
	out    int
}

// tensorPart is layers of which all are divided, or none.
type tensorPart[T model.Float] struct {
	net     *nn.Network[T]
	first   int  // the number of its first parameter
	divided bool // its outputs are to be summed up
	sumBack bool // the gradients of its inputs, too
}

// piece is what a member has of a parameter of the whole model.
type piece struct {
	name  string
	shape []int
	axis  axis
	own   int // the number of this member's parameter; -1: it has none
}

// axis is how a parameter is divided.
type axis uint8

const (
	axisNone    axis = iota // everybody has all of it
	axisRows                // of weights [in][out]
	axisColumns             // of weights, and biases
	axisFirst               // only rank 0 has it: what's added to a sum once
)

// NewTensor makes this member's part of a network: its initial weights are those of nn.New, divided.
func NewTensor[T model.Float](g *collective.Group, c nn.Config) (*Tensor[T], error) {
	shapes, err := c.Shapes()
	if err != nil {
		return nil, err
	}
	t := &Tensor[T]{group: g, in: product(shapes[0]), out: product(shapes[len(shapes)-1])}
	// The layers that were gone through and have no part yet; before them, perhaps, the activation of a divided one.
	from, pending := 0, []nn.Layer(nil)
	flush := func(to int) error {
		last := to == len(c.Layers)
		if from == to && pending == nil || from == to && !last && pending[0].Activation == nn.Linear {
			return nil
		}
		part := nn.Config{Input: shapes[from], Layers: append(pending, c.Layers[from:to]...), Seed: c.Seed, First: c.First + from - len(pending),
			InputGradient: c.InputGradient || from > 0}
		if last {
			part.Loss = c.Loss
		}
		net, err := nn.New[T](part)
		if err != nil {
			return err
		}
		for i, p := range net.Params() {
			t.whole = append(t.whole, piece{p.Name, p.Shape, axisNone, len(t.params) + i})
		}
		t.add(tensorPart[T]{net: net})
		return nil
	}
	for i := 0; i < len(c.Layers); {
		second := dividable(c.Layers, i, g.Size())
		if second < 0 {
			i++
			continue
		}
		if err := flush(i); err != nil {
			return nil, err
		}
		if err := t.divide(c, shapes, i, second); err != nil {
			return nil, err
		}
		from, pending = second+1, []nn.Layer{nn.Activate(c.Layers[second].Activation)}
		i = from
	}
	if err := flush(len(c.Layers)); err != nil {
		return nil, err
	}
	t.flatten()
	return t, nil
}

// dividable returns the second of the Dense layers of which the first is layer i, or -1.
func dividable(all []nn.Layer, i, members int) int {
	if members == 1 || all[i].Kind != nn.KindDense || all[i].Units < members || !elementwise(all[i].Activation) {
		return -1
	}
	for j := i + 1; j < len(all); j++ {
		switch l := all[j]; {
		case l.Kind == nn.KindDense:
			return j
		case l.Kind != nn.KindActivate || !elementwise(l.Activation):
			return -1
		}
	}
	return -1
}

func elementwise(a nn.Activation) bool { return a != nn.Softmax }

// share is which of n columns or rows a rank has.
func share(n, rank, members int) (lo, hi int) { return rank * n / members, (rank + 1) * n / members }

// divide makes this member's part of layers first to second.
func (t *Tensor[T]) divide(c nn.Config, shapes [][]int, first, second int) error {
	rank, members := t.group.Rank(), t.group.Size()
	lo, hi := share(c.Layers[first].Units, rank, members)
	layers := append([]nn.Layer(nil), c.Layers[first:second+1]...)
	layers[0].Units = hi - lo
	end := &layers[len(layers)-1]
	end.Activation, end.NoBias = nn.Linear, end.NoBias || rank > 0
	deeper := c.InputGradient || first > 0
	net, err := nn.New[T](nn.Config{Input: shapes[first], Layers: layers, Seed: c.Seed, First: c.First + first, InputGradient: deeper})
	if err != nil {
		return err
	}
	own := len(t.params)
	for _, i := range []int{first, second} {
		// Each layer's initial weights are its own, whatever is around it.
		full, err := nn.New[T](nn.Config{Input: shapes[i], Layers: c.Layers[i : i+1], Seed: c.Seed, First: c.First + i})
		if err != nil {
			return err
		}
		for k, p := range full.Params() {
			q := piece{name: p.Name, shape: p.Shape, axis: axisColumns, own: own}
			if i == second {
				q.axis = []axis{axisRows, axisFirst}[k]
			}
			if q.axis == axisFirst && rank > 0 {
				q.own = -1
			} else {
				own++
			}
			t.whole = append(t.whole, q)
			if q.own >= 0 {
				move(q, p.Value, net.Params()[q.own-len(t.params)].Value, rank, members, false)
			}
		}
	}
	t.add(tensorPart[T]{net: net, divided: true, sumBack: deeper})
	return nil
}

func (t *Tensor[T]) add(p tensorPart[T]) {
	p.first = len(t.params)
	t.parts = append(t.parts, p)
	t.params = append(t.params, p.net.Params()...)
}

// flatten moves all parameters into one slice.
func (t *Tensor[T]) flatten() {
	n := model.Size(t.params)
	t.Bind(make([]T, n), make([]T, n))
}

// Params returns the parameters that this member has, and the parts of others.
func (t *Tensor[T]) Params() []model.Param[T] { return t.params }

// Bind moves them.
func (t *Tensor[T]) Bind(value, grad []T) {
	t.params = t.params[:0]
	for _, p := range t.parts {
		n := model.Size(p.net.Params())
		p.net.Bind(value, grad)
		t.params = append(t.params, p.net.Params()...)
		value, grad = value[n:], grad[n:]
	}
}

// Widths is how many numbers a sample has before and after.
func (t *Tensor[T]) Widths() (in, out int) { return t.in, t.out }

// SquaredNorm is this member's share of the gradient's squared norm: Mesh.SquaredNorm sums them up. What all have counts on rank 0.
func (t *Tensor[T]) SquaredNorm() float64 {
	sum := 0.0
	for _, q := range t.whole {
		if q.own >= 0 && (q.axis != axisNone || t.group.Rank() == 0) {
			sum += simd.SquaredNorm(t.params[q.own].Grad)
		}
	}
	return sum
}

// Load sets this member's parts from the whole network's parameters: those of nn.Network.Params, as a checkpoint has them.
func (t *Tensor[T]) Load(whole []model.Param[T]) error {
	if len(whole) != len(t.whole) {
		return fmt.Errorf("load parameters: there are %d, the network has %d", len(whole), len(t.whole))
	}
	for i, q := range t.whole {
		if whole[i].Name != q.name || len(whole[i].Value) != product(q.shape) {
			return fmt.Errorf("load parameters: %s of %d numbers is not the network's %s of %v", whole[i].Name, len(whole[i].Value), q.name, q.shape)
		}
	}
	for i, q := range t.whole {
		if q.own >= 0 {
			move(q, whole[i].Value, t.params[q.own].Value, t.group.Rank(), t.group.Size(), false)
		}
	}
	return nil
}

// Whole returns, on every member, the whole network's parameters and gradients.
func (t *Tensor[T]) Whole(ctx context.Context) ([]model.Param[T], error) {
	all := make([]model.Param[T], len(t.whole))
	for i, q := range t.whole {
		n := product(q.shape)
		p := model.Param[T]{Name: q.name, Shape: q.shape, Value: make([]T, n), Grad: make([]T, n)}
		var own model.Param[T]
		if q.own >= 0 {
			own = t.params[q.own]
		}
		if err := t.collect(ctx, q, p.Value, own.Value); err != nil {
			return nil, fmt.Errorf("collect parameter %s: %w", q.name, err)
		}
		if err := t.collect(ctx, q, p.Grad, own.Grad); err != nil {
			return nil, fmt.Errorf("collect the gradient of %s: %w", q.name, err)
		}
		all[i] = p
	}
	return all, nil
}

func (t *Tensor[T]) collect(ctx context.Context, q piece, whole, own []T) error {
	if q.axis == axisNone {
		copy(whole, own)
		return nil
	}
	for rank := range t.group.Size() {
		part := make([]T, q.size(rank, t.group.Size()))
		if rank == t.group.Rank() {
			copy(part, own)
		}
		if err := collective.Broadcast(ctx, t.group, part, rank); err != nil {
			return err
		}
		move(q, whole, part, rank, t.group.Size(), true)
	}
	return nil
}

// size is how many numbers a rank has of it.
func (q piece) size(rank, members int) int {
	n := product(q.shape)
	switch q.axis {
	case axisFirst:
		if rank > 0 {
			return 0
		}
	case axisRows:
		lo, hi := share(q.shape[0], rank, members)
		return n / q.shape[0] * (hi - lo)
	case axisColumns:
		columns := q.shape[len(q.shape)-1]
		lo, hi := share(columns, rank, members)
		return n / columns * (hi - lo)
	}
	return n
}

// move copies a rank's part of a whole parameter from there, or back.
func move[T model.Float](q piece, whole, part []T, rank, members int, back bool) {
	rows, width := 1, len(whole)
	lo, hi := 0, width
	switch q.axis {
	case axisFirst:
		if rank > 0 {
			return
		}
	case axisRows:
		width /= q.shape[0]
		lo, hi = share(q.shape[0], rank, members)
		lo, hi = lo*width, hi*width
	case axisColumns:
		width = q.shape[len(q.shape)-1]
		rows = len(whole) / width
		lo, hi = share(width, rank, members)
	}
	n := hi - lo
	for r := range rows {
		w, p := whole[r*width+lo:r*width+hi], part[r*n:(r+1)*n]
		if back {
			copy(w, p)
		} else {
			copy(p, w)
		}
	}
}

// Predict returns the outputs, the same on all members.
func (t *Tensor[T]) Predict(ctx context.Context, b model.Batch[T]) (y []T, loss float64, err error) {
	targets := b.Y
	for i, p := range t.parts {
		if b.Y = nil; i == len(t.parts)-1 {
			b.Y = targets
		}
		if y, loss, err = p.net.Predict(ctx, b); err != nil {
			return nil, 0, err
		}
		if p.divided {
			if err := collective.AllReduce(ctx, t.group, y, collective.Sum); err != nil {
				return nil, 0, fmt.Errorf("sum up a layer's outputs: %w", err)
			}
		}
		b.X = y
	}
	return y, loss, nil
}

// Pass makes memory for one more batch in flight.
func (t *Tensor[T]) Pass() Pass[T] {
	p := &tensorPass[T]{tensor: t}
	for _, part := range t.parts {
		p.passes = append(p.passes, part.net.Pass())
	}
	return p
}

type tensorPass[T model.Float] struct {
	tensor *Tensor[T]
	passes []*nn.Pass[T]
}

func (p *tensorPass[T]) Forward(ctx context.Context, ids []int64, x []T, step int64) ([]T, error) {
	for i, part := range p.tensor.parts {
		var err error
		if x, err = p.passes[i].Forward(ids, x, &step); err != nil {
			return nil, err
		}
		if part.divided {
			if err := collective.AllReduce(ctx, p.tensor.group, x, collective.Sum); err != nil {
				return nil, fmt.Errorf("sum up a layer's outputs: %w", err)
			}
		}
	}
	return x, nil
}

func (p *tensorPass[T]) Loss(y []T, of int) (float64, []T, error) {
	return p.passes[len(p.passes)-1].Loss(y, of)
}

func (p *tensorPass[T]) Backward(ctx context.Context, dy []T, add bool, ready func(param int)) ([]T, error) {
	for i := len(p.passes) - 1; i >= 0; i-- {
		part := p.tensor.parts[i]
		tell := ready
		if ready != nil {
			tell = func(param int) { ready(part.first + param) }
		}
		dy = p.passes[i].Backward(dy, add, tell)
		if part.sumBack {
			if err := collective.AllReduce(ctx, p.tensor.group, dy, collective.Sum); err != nil {
				return nil, fmt.Errorf("sum up gradients of a layer's inputs: %w", err)
			}
		}
	}
	return dy, nil
}
