package ps

import (
	"fmt"
	"math"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// NotFinite says what becomes of a gradient with numbers that are infinite or none.
type NotFinite string

// What becomes of it: it's applied, as nobody looks; the push goes without it, and Step says so; the push fails with a
// NotFiniteError before anything is sent. Looking reads the gradient once.
const (
	NotFiniteIgnore NotFinite = ""
	NotFiniteSkip   NotFinite = "skip"
	NotFiniteStop   NotFinite = "stop"
)

// NotFiniteError says that a worker's gradient isn't finite.
type NotFiniteError struct {
	Worker int
	Param  string // or the table
	Key    int64  // of the table's row
	Row    bool   // it's a row's gradient
}

func (e *NotFiniteError) Error() string {
	what := e.Param
	if e.Row {
		what = fmt.Sprintf("row %d of table %s", e.Key, e.Param)
	}
	return fmt.Sprintf("the gradient of %s isn't finite on worker %d", what, e.Worker)
}

// notFinite finds the first tensor, or else row, whose gradient isn't finite.
func (w *Worker[T]) notFinite() *NotFiniteError {
	at := 0
	for _, t := range w.group.Tensors {
		if !finite(w.grad[at : at+t.Size]) {
			return &NotFiniteError{Worker: w.number, Param: t.Name}
		}
		at += t.Size
	}
	for _, g := range w.rows {
		dim := w.group.dim(g.table)
		for i, key := range g.keys {
			if !finite(g.grads[i*dim : (i+1)*dim]) {
				return &NotFiniteError{Worker: w.number, Param: g.table, Key: key, Row: true}
			}
		}
	}
	return nil
}

func finite[T model.Float](x []T) bool {
	most := float64(simd.MaxAbs(x))
	return !math.IsNaN(most) && !math.IsInf(most, 0)
}
