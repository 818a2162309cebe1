package trainlib

import (
	"sync"
	"testing"

	"github.com/gray-runtime/gray/trainlib/collective"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/nn"
	"github.com/gray-runtime/gray/trainlib/optim"
)

// TestMeasuredFactsAreComplete: Advise takes what Measure found, for any number of members, and of samples.
func TestMeasuredFactsAreComplete(t *testing.T) {
	c := nn.Config{Input: []int{4}, Layers: []nn.Layer{nn.Dense(8, nn.ReLU), nn.Dense(1, nn.Sigmoid)}, Loss: nn.BinaryCrossEntropy()}
	for _, of := range []struct{ members, samples int }{{1, 8}, {2, 8}, {3, 1}} {
		b := model.Batch[float32]{IDs: make([]int64, of.samples), X: make([]float32, 4*of.samples), XShape: []int{4}, Y: make([]float32, of.samples)}
		var all sync.WaitGroup
		for rank, g := range collective.Local(of.members) {
			all.Go(func() {
				m, cluster, err := Measure(t.Context(), g, c, optim.Adam(0.001), b)
				if err != nil {
					t.Errorf("rank %d of %d: %v", rank, of.members, err)
				}
				if rank > 0 || err != nil {
					return
				}
				known := cluster.Within.known() && cluster.Sends.known() && cluster.Shared.known()
				if cluster.Nodes != 1 || cluster.Workers != of.members || of.members > 1 && !known {
					t.Errorf("%d members are %+v", of.members, cluster)
				}
				a, err := Advise(m, DataFacts{Batch: of.samples, PerWorker: true, Inexact: true}, cluster)
				if err != nil {
					t.Errorf("%+v %+v: %v", m, cluster, err)
				}
				if of.members > 1 && len(a.Others) < 6 {
					t.Errorf("only %v", a)
				}
			})
		}
		all.Wait()
	}
}
