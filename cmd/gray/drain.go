package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

const (
	drainPoll = 200 * time.Millisecond
	// drainGrace is how long after its deadline a node may take to leave.
	drainGrace = 30 * time.Second
)

func newDrain(t *terminal) *cobra.Command {
	var g target
	var deadline time.Duration
	var reason string
	var noWait, asJSON bool
	c := &cobra.Command{
		Use: "drain NODE", Short: "Have a node leave without loss",
		Long: "The node gets nothing new. Its tasks end, its actors that can be restarted go on on\n" +
			"other nodes, which is none of their restarts, and then it leaves. What isn't over by\n" +
			"the deadline is killed; tasks are run again elsewhere, which is none of their retries.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("which node? one of those that `gray nodes` shows")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if deadline < 0 {
				return usagef("--deadline is %v: it can't be negative", deadline)
			}
			return g.with(t, func(cluster cluster) error {
				d := drain{t: t, cluster: cluster, node: args[0], deadline: deadline, quiet: asJSON}
				n, err := d.run(c.Context(), reason, noWait)
				if err != nil || !asJSON {
					return err
				}
				return t.json(n)
			})
		},
	}
	g.register(c)
	c.Flags().DurationVar(&deadline, "deadline", 0, "how long what runs there may go on, as 90s or 10m (default: as long as it takes)")
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for people who wonder why")
	c.Flags().BoolVar(&noWait, "no-wait", false, "return at once, while the node drains")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// drain is one run of gray drain.
type drain struct {
	t        *terminal
	cluster  cluster
	node     string
	deadline time.Duration
	quiet    bool
	said     string

	footer *footer // nil: what is left is said in lines
	began  time.Time
	// The most that there was to be done.
	workers int
	stored  int64
}

// run drains the node and returns it as it was seen last.
func (d *drain) run(ctx context.Context, reason string, noWait bool) (node, error) {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	err := d.cluster.Drain(limited, d.node, reason, d.deadline)
	cancel()
	if err != nil {
		return node{}, fmt.Errorf("drain %s: %w", d.node, err)
	}
	if d.began = time.Now(); !d.quiet && !noWait {
		d.footer = newFooter(d.t.out)
	}
	defer d.clear()
	if d.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, d.deadline+drainGrace)
		defer cancel()
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		n, err := d.look(ctx)
		if err != nil {
			return n, err
		}
		d.show(n)
		if noWait || n.State == "DEAD" {
			return n, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n, fmt.Errorf("drain %s: it hasn't left: %w", d.node, ctx.Err())
		}
	}
}

func (d *drain) look(ctx context.Context) (node, error) {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	nodes, err := d.cluster.Nodes(limited)
	if err != nil {
		return node{}, err
	}
	for _, n := range nodes {
		if n.ID == d.node {
			return n, nil
		}
	}
	return node{ID: d.node, State: "DEAD"}, nil // long forgotten
}

// show says how far it has come, if that is news.
func (d *drain) show(n node) {
	if d.quiet {
		return
	}
	line := fmt.Sprintf("%s has left", n.ID)
	if n.State != "DEAD" {
		line = fmt.Sprintf("%s drains: %s in use, %s, %s in its object store",
			n.ID, used(n.Total, n.Available), count(n.Workers, "worker"), formatSize(n.StoreUsed))
		if d.footer != nil {
			d.footer.show(d.line(n, time.Since(d.began)))
			return
		}
	}
	if line != d.said {
		d.said = line
		d.clear()
		fmt.Fprintln(d.t.out, line)
	}
}

func (d *drain) clear() {
	if d.footer != nil {
		d.footer.show()
	}
}

// line shows what is left of the most that there was: workers and stored bytes count the same.
func (d *drain) line(n node, took time.Duration) string {
	d.workers, d.stored = max(d.workers, n.Workers), max(d.stored, n.StoreUsed)
	parts, left := 0.0, 0.0
	if d.workers > 0 {
		parts, left = parts+1, left+float64(n.Workers)/float64(d.workers)
	}
	if d.stored > 0 {
		parts, left = parts+1, left+float64(n.StoreUsed)/float64(d.stored)
	}
	text := fmt.Sprintf("%s drains %s %s and %s in its store left … %s", n.ID, bar(parts-left, parts, barWidth),
		count(n.Workers, "worker"), formatSize(n.StoreUsed), formatDuration(took))
	if d.deadline > 0 {
		text += fmt.Sprintf(", killed in %s", formatDuration(d.deadline-took))
	}
	return text
}

func (r *remote) Drain(ctx context.Context, node, reason string, deadline time.Duration) error {
	err := r.Client.Drain(ctx, node, reason, deadline)
	if errors.Is(err, api.ErrNotFound) {
		return errors.New("the cluster has no such node: `gray nodes` lists those that it has")
	}
	return r.explain(err)
}
