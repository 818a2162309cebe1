package trainlib

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/gray-runtime/gray/trainlib/checkpoint"
	"github.com/gray-runtime/gray/trainlib/data"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// State is all that training depends on, between two steps. It's plain data, and travels.
type State struct {
	Position
	Tensors []checkpoint.Tensor // the parameters, then what the optimiser keeps of them
}

// Position is how far training is.
type Position struct {
	Cursor     data.Cursor
	Steps      int64 // the optimiser's, without those left out
	ModelSteps int64 // the model's own count, if it keeps one
	Skipped    int64 // steps that were left out, since the beginning
	Epoch      Sums  // of the latest epoch, which may be under way
}

// Sums is what an epoch adds up to.
type Sums struct {
	Loss    float64 // times samples
	Samples int64
}

// add counts a step's mean loss.
func (s *Sums) add(loss float64, samples int) {
	s.Loss += loss * float64(samples)
	s.Samples += int64(samples)
}

// Mean is the mean loss.
func (s Sums) Mean() float64 { return s.Loss / float64(max(s.Samples, 1)) }

const (
	slotPrefix  = "optimizer/" // of the names of tensors that the optimiser keeps
	positionKey = "gray.train" // of a checkpoint's metadata
	lossKey     = "gray.train.loss"
)

// capture copies parameters and optimiser.
func capture[T model.Float](p Position, params []model.Param[T], o *optim.Optimizer[T]) State {
	s := State{Position: p}
	for _, x := range params {
		s.Tensors = append(s.Tensors, checkpoint.Of(x.Name, x.Shape, slices.Clone(x.Value)))
	}
	for _, slot := range slotsOf(o) {
		s.Tensors = append(s.Tensors, checkpoint.Of(slotPrefix+slot.Name, []int{len(slot.Values)}, slices.Clone(slot.Values)))
	}
	return s
}

// clone has memory of its own.
func (s State) clone() State {
	s.Tensors = slices.Clone(s.Tensors)
	for i := range s.Tensors {
		s.Tensors[i].Data = slices.Clone(s.Tensors[i].Data)
		s.Tensors[i].Shape = slices.Clone(s.Tensors[i].Shape)
	}
	return s
}

// slotsOf is none if servers have them.
func slotsOf[T model.Float](o *optim.Optimizer[T]) []optim.Slot[T] {
	if o == nil {
		return nil
	}
	return o.Slots()
}

// Load sets a model's parameters to those of the state.
func Load[T model.Float](m model.Model[T], s State) error {
	for _, p := range m.Params() {
		if err := fill(s.Tensors, p.Name, p.Shape, p.Value); err != nil {
			return err
		}
	}
	return nil
}

// restore is capture's inverse.
func restore[T model.Float](s State, m model.Model[T], o *optim.Optimizer[T]) error {
	if err := Load(m, s); err != nil {
		return err
	}
	for _, slot := range slotsOf(o) {
		if err := fill(s.Tensors, slotPrefix+slot.Name, []int{len(slot.Values)}, slot.Values); err != nil {
			return err
		}
	}
	if o != nil {
		o.SetSteps(s.Steps)
	}
	if c, ok := m.(model.Stepper); ok {
		c.SetSteps(s.ModelSteps)
	}
	return nil
}

func fill[T model.Float](tensors []checkpoint.Tensor, name string, shape []int, dst []T) error {
	i := slices.IndexFunc(tensors, func(t checkpoint.Tensor) bool { return t.Name == name })
	if i < 0 {
		return fmt.Errorf("restore the state of training: it has no %s", name)
	}
	if !slices.Equal(tensors[i].Shape, shape) {
		return fmt.Errorf("restore the state of training: %s has shape %v, not %v", name, tensors[i].Shape, shape)
	}
	x, err := checkpoint.Values[T](tensors[i])
	if err != nil {
		return fmt.Errorf("restore the state of training: %w", err)
	}
	copy(dst, x)
	return nil
}

// meta is the position as a checkpoint's metadata. The loss stands apart, since JSON has no infinities.
func (p Position) meta() (map[string]string, error) {
	loss := p.Epoch.Loss
	p.Epoch.Loss = 0
	b, err := json.Marshal(p)
	return map[string]string{positionKey: string(b), lossKey: strconv.FormatFloat(loss, 'g', -1, 64)}, err
}

// stateOf is a checkpoint's state, whose tensors lie in its files.
func stateOf(c *checkpoint.Checkpoint) (State, error) {
	s := State{Tensors: c.Tensors()}
	if err := json.Unmarshal([]byte(c.Meta[positionKey]), &s.Position); err != nil {
		return s, fmt.Errorf("checkpoint %s isn't one of training: %w", c.Path, err)
	}
	var err error
	if s.Epoch.Loss, err = strconv.ParseFloat(c.Meta[lossKey], 64); err != nil {
		return s, fmt.Errorf("checkpoint %s isn't one of training: %w", c.Path, err)
	}
	return s, nil
}
