package data

import (
	"fmt"
	"math/rand/v2"
)

// Plan says which samples make up each global batch, of any epoch. It's plain data, and travels; the same Plan gives the same
// batches in every process.
type Plan struct {
	Samples  int
	Batch    int  // samples of a global batch
	DropLast bool // leaves out an epoch's last batch if it's short
	InOrder  bool // doesn't shuffle
	Seed     uint64
	Orders   [][]int64 // the order of each epoch, over and over; nil: by Seed
}

// Check says what of the plan can't be.
func (p Plan) Check() error {
	if p.Batch < 1 || p.Steps() < 1 {
		return fmt.Errorf("%d samples make no batch of %d", p.Samples, p.Batch)
	}
	for i, order := range p.Orders {
		if len(order) != p.Samples {
			return fmt.Errorf("the order of epoch %d has %d samples of %d", i+1, len(order), p.Samples)
		}
	}
	return nil
}

// Cursor is a position in training: Step batches of the Epoch are done.
type Cursor struct {
	Epoch int
	Step  int
}

// Steps is how many global batches an epoch has.
func (p Plan) Steps() int {
	if p.DropLast {
		return p.Samples / p.Batch
	}
	return (p.Samples + p.Batch - 1) / p.Batch
}

// Total is how many steps lie before the cursor.
func (p Plan) Total(c Cursor) int64 { return int64(c.Epoch)*int64(p.Steps()) + int64(c.Step) }

// Next is the cursor one step on.
func (p Plan) Next(c Cursor) Cursor {
	if c.Step++; c.Step >= p.Steps() {
		return Cursor{Epoch: c.Epoch + 1}
	}
	return c
}

// Order is all samples in the epoch's order.
func (p Plan) Order(epoch int) []int64 {
	if len(p.Orders) > 0 {
		return p.Orders[epoch%len(p.Orders)]
	}
	order := make([]int64, p.Samples)
	for i := range order {
		order[i] = int64(i)
	}
	if !p.InOrder {
		r := rand.New(rand.NewPCG(p.Seed, uint64(epoch)))
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return order
}

// Of is the part of an epoch's order that is step's global batch.
func (p Plan) Of(order []int64, step int) []int64 {
	return order[step*p.Batch : min((step+1)*p.Batch, len(order))]
}

// Split gives a rank of size its part, from i to before j, of n samples: parts differ by one at most.
func Split(n, rank, size int) (i, j int) { return n * rank / size, n * (rank + 1) / size }
