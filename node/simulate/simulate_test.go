package simulate

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gray-runtime/gray/sched"
)

func config(workload string) Config {
	return Config{
		Workload: workload, Nodes: 20, Jobs: 4, Tasks: 20_000, Seed: 1, Delay: 500 * time.Microsecond, WorkerStart: 50 * time.Millisecond,
	}
}

func TestWorkloads(t *testing.T) {
	names, _ := Workloads()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []sched.StrategyKind{sched.Pack, sched.Spread} {
				cfg := config(name)
				cfg.Strategy = kind
				r, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if os.Getenv("SHOW") != "" {
					fmt.Printf("%+v\n", r)
				}
			}
		})
	}
}
