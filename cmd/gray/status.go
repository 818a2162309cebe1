package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// summary is all that gray status shows.
type summary struct {
	Address   string             `json:"address"`
	Version   string             `json:"version"`
	Insecure  bool               `json:"insecure"`
	Nodes     []node             `json:"nodes"`
	Total     map[string]float64 `json:"resources_total"`
	Available map[string]float64 `json:"resources_available"`
	StoreUsed int64              `json:"object_store_used"`
	StoreSize int64              `json:"object_store_capacity"`
	Waiting   []demand           `json:"waiting"`
	Jobs      []job              `json:"jobs_running"`
	Hints     []api.HintRow      `json:"hints"` // what is wrong
}

func newStatus(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	c := &cobra.Command{
		Use: "status", Short: "Show what the cluster has, does and waits for", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return g.ask(c.Context(), t, func(ctx context.Context, cluster cluster) error {
				o, err := cluster.Status(ctx)
				if err != nil {
					return err
				}
				jobs, err := cluster.Jobs(ctx)
				if err != nil {
					return err
				}
				hints, err := cluster.Hints(ctx)
				if err != nil {
					t.note("gray: what is wrong isn't known: %v", err)
				}
				s := summarize(g.opened, o, jobs)
				s.Hints = append(s.Hints, hints.items...)
				if asJSON {
					return t.json(s)
				}
				s.print(t, time.Now())
				return nil
			})
		},
	}
	g.registerRead(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func summarize(address string, o overview, jobs []job) summary {
	s := summary{
		Address: address, Version: o.Version, Insecure: o.Insecure, Nodes: append([]node{}, o.Nodes...),
		Total: map[string]float64{}, Available: map[string]float64{}, Waiting: []demand{}, Jobs: []job{}, Hints: []api.HintRow{},
	}
	for _, n := range o.Nodes {
		if !n.lives() {
			continue
		}
		for name, v := range n.Total {
			s.Total[name] += v
			if n.Available == nil { // nothing is known to be in use
				s.Available[name] += v
				continue
			}
			s.Available[name] += n.Available[name]
		}
		s.StoreUsed += n.StoreUsed
		s.StoreSize += n.StoreCapacity
	}
	s.Waiting = merge(o.Waiting)
	for _, j := range jobs {
		if !j.ended() {
			s.Jobs = append(s.Jobs, j)
		}
	}
	return s
}

// merge adds up what waits in the same shape for the same reason on several
// nodes, the most numerous first.
func merge(all []demand) []demand {
	merged := []demand{}
	index := map[string]int{}
	for _, d := range all {
		key := strings.Join([]string{d.What, d.Job, d.Reason, pairs(d.Resources)}, "\x00")
		if i, ok := index[key]; ok {
			merged[i].Count += d.Count
			continue
		}
		index[key] = len(merged)
		merged = append(merged, d)
	}
	sort.SliceStable(merged, func(i, k int) bool { return merged[i].Count > merged[k].Count })
	return merged
}

func (s summary) print(t *terminal, now time.Time) {
	living := 0
	for _, n := range s.Nodes {
		if n.lives() {
			living++
		}
	}
	fmt.Fprintf(t.out, "Cluster at %s: %s", s.Address, count(living, "node"))
	if dead := len(s.Nodes) - living; dead > 0 {
		fmt.Fprintf(t.out, ", %d dead", dead)
	}
	fmt.Fprintf(t.out, ", %s under way\n", count(len(s.Jobs), "job"))
	if s.Insecure {
		fmt.Fprintln(t.out, "INSECURE: anybody who reaches it can run anything on it.")
	}
	fmt.Fprintln(t.out)
	s.printNodes(t, now)
	fmt.Fprintln(t.out, "\nResources, used of total:")
	for _, name := range sortedKeys(s.Total) {
		fmt.Fprintf(t.out, "  %-14s %s of %s\n", line(name), formatQuantity(name, s.Total[name]-s.Available[name]), formatQuantity(name, s.Total[name]))
	}
	fmt.Fprintf(t.out, "  %-14s %s of %s\n", "object store", formatSize(s.StoreUsed), formatSize(s.StoreSize))
	s.printWaiting(t)
	s.printJobs(t, now)
	if len(s.Hints) > 0 {
		fmt.Fprintln(t.out, "\nWhat is wrong:")
		printHints(t.out, s.Hints)
	}
}

func (s summary) printNodes(t *terminal, now time.Time) {
	tab := newTable("NODE", "STATE", "ADDRESS", "~HOST", "AGE", "CPU", "WORKERS", "~NOTE")
	for _, n := range s.Nodes {
		cpu := ""
		if n.lives() {
			cpu = usedOf("CPU", n.Total, n.Available)
		}
		tab.row(nodeName(n), n.State, n.Address, n.Hostname, formatAge(n.Started, now), cpu, n.Workers, n.DeathCause)
	}
	tab.print(t.out)
}

func (s summary) printWaiting(t *terminal) {
	if len(s.Waiting) == 0 {
		fmt.Fprintln(t.out, "\nNothing waits.")
		return
	}
	fmt.Fprintln(t.out, "\nWaiting:")
	for _, d := range s.Waiting {
		text := fmt.Sprintf("  %d × {%s}", d.Count, demanded(d.Resources))
		if d.What != "" {
			text += " for " + line(d.What)
		}
		if d.Job != "" {
			text += " of " + d.Job
		}
		fmt.Fprintln(t.out, text)
		if d.Reason != "" {
			fmt.Fprintf(t.out, "      %s\n", line(d.Reason))
		}
		if d.Infeasible {
			fmt.Fprintln(t.out, "      no node can ever meet it: add one that does, or ask for less")
		}
	}
}

func (s summary) printJobs(t *terminal, now time.Time) {
	if len(s.Jobs) == 0 {
		return
	}
	fmt.Fprintln(t.out)
	tab := newTable("JOB", "STATUS", "AGE", "~ENTRYPOINT")
	for _, j := range s.Jobs {
		tab.row(j.id(), j.Status, formatAge(j.Started, now), j.Entrypoint)
	}
	tab.print(t.out)
}

func demanded(resources map[string]float64) string {
	var parts []string
	for _, name := range sortedKeys(resources) {
		parts = append(parts, line(name)+": "+formatQuantity(name, resources[name]))
	}
	return strings.Join(parts, ", ")
}

// count is n things, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
