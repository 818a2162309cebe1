package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/node/simulate"
	"github.com/gray-runtime/gray/sched"
)

// simulator is one run of gray simulate.
type simulator struct {
	*terminal
	workloads  []string
	strategies []string
	weights    []uint
	config     simulate.Config
	asJSON     bool
}

func newSimulate(t *terminal) *cobra.Command {
	s := &simulator{terminal: t}
	names, says := simulate.Workloads()
	var list strings.Builder
	for i, name := range names {
		fmt.Fprintf(&list, "  %-9s %s\n", name, says[i])
	}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run the scheduler against clusters and loads that aren't there",
		Long: "Runs the code that places tasks and lends workers, the same that nodes run, over\n" +
			"virtual time, and shows what tasks would wait, how far CPUs would be used, how\n" +
			"evenly jobs would share them, and what CPU time decisions took on this machine.\n" +
			"The same seed gives the same run. The loads:\n\n" + list.String(),
		Example: "  gray simulate\n" +
			"  gray simulate --nodes 10000 --jobs 100 --tasks 1000000 --workload short\n" +
			"  gray simulate --workload short --weights 3,1 --json",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	f := c.Flags()
	f.StringSliceVar(&s.workloads, "workload", names, "`LOADS` to run")
	f.StringSliceVar(&s.strategies, "strategy", []string{"pack", "spread"}, "`STRATEGIES` of tasks to compare")
	f.IntVar(&s.config.Nodes, "nodes", 100, "`N` machines")
	f.IntVar(&s.config.Jobs, "jobs", 10, "`N` jobs, whose drivers are on machines of their own")
	f.IntVar(&s.config.Tasks, "tasks", 100_000, "`N` tasks of all jobs; for gangs, bundles")
	f.UintSliceVar(&s.weights, "weights", nil, "`WEIGHTS` of the first jobs (default: 1 each)")
	f.Uint64Var(&s.config.Seed, "seed", 1, "`NUMBER` that decides what is left to chance")
	f.DurationVar(&s.config.Delay, "delay", 500*time.Microsecond, "`TIME` of a message between machines")
	f.DurationVar(&s.config.WorkerStart, "worker-start", 50*time.Millisecond, "`TIME` that a worker's process takes to start")
	f.BoolVar(&s.asJSON, "json", false, "print JSON")
	return c
}

func (s *simulator) run(c *cobra.Command) error {
	known, _ := simulate.Workloads()
	for _, name := range s.workloads {
		if !slices.Contains(known, name) {
			return usagef("--workload %s: there are %s", name, strings.Join(known, ", "))
		}
	}
	for _, w := range s.weights {
		s.config.Weights = append(s.config.Weights, uint32(min(w, 1<<20)))
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
	debug.SetGCPercent(400) // events are garbage soon
	results := []simulate.Result{}
	for _, name := range s.workloads {
		for _, strategy := range s.strategies {
			switch s.config.Workload = name; strategy {
			case "pack":
				s.config.Strategy = sched.Pack
			case "spread":
				s.config.Strategy = sched.Spread
			default:
				return usagef("--strategy %s: there are pack and spread", strategy)
			}
			r, err := simulate.Run(ctx, s.config)
			if err != nil {
				return err
			}
			results = append(results, r)
		}
	}
	if s.asJSON {
		return s.json(results)
	}
	s.print(results)
	return nil
}

func (s *simulator) print(results []simulate.Result) {
	t := newTable("WORKLOAD", "STRATEGY", "MAKESPAN", "USED", "FAIR", "WAIT P50", "P99", "SMALL JOBS' MAX",
		"DECISION P50", "P99", "DECISIONS", "REFUSED", "RETRIES")
	for _, r := range results {
		t.row(r.Workload, r.Strategy, seconds(r.Makespan), fmt.Sprintf("%.1f%%", 100*r.Utilisation), fmt.Sprintf("%.3f", r.Jain),
			seconds(r.WaitP50), seconds(r.WaitP99), seconds(r.SmallMax), micros(r.PlaceP50), micros(r.PlaceP99),
			r.Decisions, r.Refusals, r.Retries)
	}
	t.print(s.out)
	s.note("%d nodes, %d jobs, %d tasks in all; FAIR is Jain's index of the CPU time that jobs got by their weight",
		s.config.Nodes, s.config.Jobs, s.config.Tasks)
}

func seconds(x float64) string { return time.Duration(x * 1e9).Round(100 * time.Microsecond).String() }
func micros(x float64) string  { return fmt.Sprintf("%.1fµs", x) }
