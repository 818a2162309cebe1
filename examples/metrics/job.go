// Metrics and a run: a job that counts what it does, for Prometheus and the dashboard.
//
//	gray submit examples/metrics/job.go
//	gray list runs
//	curl -H "Authorization: Bearer $(cat ~/.gray/token)" http://127.0.0.1:8265/metrics/cluster | grep example_
package main

import (
	"context"
	"fmt"
	"math"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

var (
	rows = gray.NewCounter("example_rows_total", "Rows that were trained on.", "table")
	took = gray.NewHistogram("example_batch_seconds", "How long a batch took.", nil)
	rate = gray.NewGauge("example_learning_rate", "The learning rate.")
)

type batch struct {
	Run  gray.Run
	Step int64
}

var train = gray.Task(func(ctx context.Context, b batch) (float64, error) {
	begin := time.Now()
	loss := math.Exp(-float64(b.Step) / 20)
	rows.Add(128, "users")
	rate.Set(0.1 / float64(b.Step))
	took.Observe(time.Since(begin).Seconds())
	b.Run.Report(ctx, b.Step, map[string]float64{"loss": loss, "samples_per_s": 128 / time.Since(begin).Seconds()})
	return loss, nil
})

func main() {
	gray.Main(func(ctx context.Context) error {
		const steps = 50
		run := gray.NewRun(ctx, gray.RunInfo{Name: "example", Kind: gray.Training, Steps: steps})
		defer run.End(ctx)
		var last float64
		for step := int64(1); step <= steps; step++ {
			loss, err := gray.Get(ctx, train.Remote(ctx, batch{run, step}))
			if err != nil {
				return err
			}
			last = loss
		}
		fmt.Printf("loss %.3f after %d steps\n", last, steps)
		return nil
	})
}
