package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/head/diagnose"
	"github.com/gray-runtime/gray/internal/api"
)

// leakAfter is the age from which an object that one process alone holds is
// pointed out.
const leakAfter = time.Minute

// memory is the verb's question.
type memory struct {
	groupBy, sortBy string
	limit           int
	leakAfter       time.Duration
	now             time.Time
}

// The rows that it shows; with --json they're printed as they are.
type (
	memoryReport struct {
		Objects []memoryObject `json:"objects"`
		Groups  []memoryGroup  `json:"groups"`
		Nodes   []memoryNode   `json:"nodes"`
		Leaks   []memoryLeak   `json:"possible_leaks"` // the largest first
	}
	memoryObject struct {
		ID       string             `json:"object_id"`
		Size     int64              `json:"size"`
		State    string             `json:"state"`
		Nodes    []string           `json:"nodes"` // whose stores have it
		Pins     int                `json:"pins"`
		Function string             `json:"function,omitempty"`
		CallSite string             `json:"call_site,omitempty"`
		Owner    string             `json:"owner,omitempty"`
		Created  time.Time          `json:"created,omitzero"`
		HeldBy   []api.ObjectHolder `json:"held_by"`
		Leak     string             `json:"possible_leak,omitempty"` // why it could be one
	}
	memoryGroup struct {
		Key   string `json:"key"`
		Count int    `json:"count"`
		Size  int64  `json:"size"`
	}
	// memoryLeak is what one process has held for long, made at one place.
	memoryLeak struct {
		Sentence string `json:"sentence"`
		Job      string `json:"job_id,omitempty"`
		CallSite string `json:"call_site,omitempty"`
		Count    int    `json:"count"`
		Size     int64  `json:"size"`
	}
	memoryNode struct {
		Node     string `json:"node_id"`
		Objects  int    `json:"objects"`
		Size     int64  `json:"size"`
		Used     int64  `json:"object_store_used"`
		Capacity int64  `json:"object_store_capacity"`
	}
)

func newMemory(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	m := memory{groupBy: "call-site", sortBy: "size", limit: 100, leakAfter: leakAfter}
	c := &cobra.Command{
		Use: "memory", Short: "Show who holds which objects, where they were made, and what could be a leak", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := m.check(); err != nil {
				return err
			}
			return g.ask(c.Context(), t, func(ctx context.Context, cluster cluster) error { return m.run(ctx, t, cluster, asJSON) })
		},
	}
	g.registerRead(c)
	c.Flags().StringVar(&m.groupBy, "group-by", m.groupBy, "sum up by `WHAT`: call-site, function, node, owner")
	c.Flags().StringVar(&m.sortBy, "sort", m.sortBy, "order by `WHAT`: size, age")
	c.Flags().IntVar(&m.limit, "limit", m.limit, "show at most `N` objects")
	c.Flags().DurationVar(&m.leakAfter, "leak-after", m.leakAfter, "point out what one process alone has held for so `LONG`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (m *memory) run(ctx context.Context, t *terminal, c cluster, asJSON bool) error {
	p, err := c.Memory(ctx, maxRows)
	if err != nil {
		return err
	}
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	t.missing(p.warning, p.notes)
	m.now = time.Now()
	r := m.report(p.items, nodes)
	shown := min(len(r.Objects), m.limit)
	if asJSON {
		r.Objects = r.Objects[:shown]
		return t.json(r)
	}
	m.print(t, r)
	if shown < len(r.Objects) || p.total > len(p.items) {
		t.note("%d of %d; --limit shows more", shown, max(len(r.Objects), p.total))
	}
	return nil
}

func (m *memory) check() error {
	switch {
	case !slices.Contains([]string{"call-site", "function", "node", "owner"}, m.groupBy):
		return usagef("--group-by is %q: it must be call-site, function, node or owner", m.groupBy)
	case m.sortBy != "size" && m.sortBy != "age":
		return usagef("--sort is %q: it must be size or age", m.sortBy)
	case m.limit < 1 || m.limit > maxRows:
		return usagef("--limit is %d: it must be 1 to %d", m.limit, maxRows)
	}
	return nil
}

// report makes one object of what several nodes say of it.
func (m *memory) report(rows []api.ObjectRow, nodes []node) memoryReport {
	objects := map[string]*memoryObject{}
	stores := map[string]*memoryNode{}
	for _, n := range nodes {
		if n.lives() {
			stores[n.ID] = &memoryNode{Node: n.ID, Used: n.StoreUsed, Capacity: n.StoreCapacity}
		}
	}
	for _, r := range rows {
		o := objects[r.ObjectID]
		if o == nil {
			o = &memoryObject{
				ID: r.ObjectID, State: r.State, Nodes: []string{}, Function: r.FunctionName, CallSite: r.CallSite, Owner: r.Owner,
				Created: at(r.CreatedTimeMs), HeldBy: append([]api.ObjectHolder{}, r.HeldBy...),
			}
			objects[r.ObjectID] = o
		}
		o.Size = max(o.Size, r.ObjectSize)
		if !r.InStore {
			if o.State == "BORROWED" {
				o.State = r.State
			}
			continue
		}
		o.State = r.State
		o.Nodes = append(o.Nodes, r.NodeID)
		if o.Pins += r.Pins; o.Pins > 0 && o.State == "SEALED" {
			o.State = "PINNED"
		}
		if s := stores[r.NodeID]; s != nil {
			s.Objects++
			s.Size += r.ObjectSize
		}
	}
	out := memoryReport{Objects: []memoryObject{}, Groups: []memoryGroup{}, Nodes: []memoryNode{}}
	groups := map[string]*memoryGroup{}
	for _, o := range objects {
		o.Leak = m.leak(o)
		out.Objects = append(out.Objects, *o)
		for _, key := range m.keys(o) {
			g := groups[key]
			if g == nil {
				g = &memoryGroup{Key: key}
				groups[key] = g
			}
			g.Count++
			g.Size += o.Size
		}
	}
	slices.SortFunc(out.Objects, func(a, b memoryObject) int {
		if m.sortBy == "age" {
			return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.ID, b.ID))
	})
	for _, g := range groups {
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b memoryGroup) int { return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Key, b.Key)) })
	for _, id := range slices.Sorted(maps.Keys(stores)) {
		out.Nodes = append(out.Nodes, *stores[id])
	}
	out.Leaks = m.leaks(out.Objects)
	return out
}

// leaks sums up the objects that could be leaks.
func (m *memory) leaks(all []memoryObject) []memoryLeak {
	var objects []diagnose.Object
	for _, o := range all {
		if o.Leak == "" {
			continue
		}
		x := diagnose.Object{ID: o.ID, Size: o.Size, CallSite: o.CallSite, Function: o.Function, Created: o.Created, Holders: len(o.HeldBy)}
		if len(o.HeldBy) == 1 {
			x.Holder, x.Job = o.HeldBy[0].String(), o.HeldBy[0].JobID
		}
		objects = append(objects, x)
	}
	out := []memoryLeak{}
	for _, l := range diagnose.Leaks(objects, m.leakAfter, m.now) {
		out = append(out, memoryLeak{Sentence: l.String(), Job: l.Job, CallSite: l.CallSite, Count: l.Count, Size: l.Bytes})
	}
	return out
}

// keys are the groups that an object is summed up in.
func (m *memory) keys(o *memoryObject) []string {
	key := o.Owner
	switch m.groupBy {
	case "node":
		if len(o.Nodes) > 0 {
			return o.Nodes
		}
		key = ""
	case "call-site":
		key = o.CallSite
	case "function":
		key = o.Function
	}
	return []string{cmp.Or(key, "unknown")}
}

// leak says why an object could be one that somebody forgot, or nothing.
func (m *memory) leak(o *memoryObject) string {
	if o.Created.IsZero() || m.now.Sub(o.Created) < m.leakAfter || o.Pins > 0 || o.State == "PENDING" || o.State == "CREATED" {
		return ""
	}
	switch age := m.now.Sub(o.Created).Round(time.Second); {
	case len(o.HeldBy) == 0:
		return fmt.Sprintf("known for %v, and nothing holds it", age)
	case len(o.HeldBy) == 1 && o.HeldBy[0].Kind != "OBJECT":
		return fmt.Sprintf("held only by %s, known for %v", holderName(o.HeldBy[0]), age)
	}
	return ""
}

// holderName is a holder for people: "driver n1.p3 (pid 77)".
func holderName(h api.ObjectHolder) string {
	if h.Kind == "OWNER" {
		return h.String() + " owner"
	}
	return h.String()
}

func (m *memory) print(t *terminal, r memoryReport) {
	if len(r.Leaks) > 0 {
		fmt.Fprintf(t.out, "Could be a leak: %s.\n    Way out: %s.\n", line(r.Leaks[0].Sentence), diagnose.LeakWayOut)
		if more := len(r.Leaks) - 1; more > 0 {
			fmt.Fprintf(t.out, "    The like is true of what was made at %s.\n", count(more, "other place"))
		}
		fmt.Fprintln(t.out)
	}
	if len(r.Objects) == 0 {
		t.note("no objects")
	} else {
		tab := newTable("OBJECT", "SIZE", "STATE", "NODES", "PINS", "AGE", "~MADE AT", "~FUNCTION", "~HELD BY")
		for _, o := range r.Objects[:min(len(r.Objects), m.limit)] {
			var held []string
			for _, h := range o.HeldBy {
				held = append(held, holderName(h))
			}
			age := ""
			if !o.Created.IsZero() {
				age = m.now.Sub(o.Created).Round(time.Second).String()
			}
			tab.row(o.ID, formatSize(o.Size), o.State, strings.Join(o.Nodes, ","), number(o.Pins), age, o.CallSite, o.Function, strings.Join(held, "; "))
		}
		tab.print(t.out)
		fmt.Fprintln(t.out)
		tab = newTable("~"+strings.ToUpper(m.groupBy), "OBJECTS", "SIZE")
		for _, g := range r.Groups {
			tab.row(g.Key, g.Count, formatSize(g.Size))
		}
		tab.print(t.out)
		fmt.Fprintln(t.out)
	}
	tab := newTable("NODE", "OBJECTS", "SIZE", "STORE")
	for _, n := range r.Nodes {
		tab.row(n.Node, n.Objects, formatSize(n.Size), formatSize(n.Used)+" of "+formatSize(n.Capacity))
	}
	tab.print(t.out)
	var leaks int64
	count := 0
	for _, o := range r.Objects {
		if o.Leak != "" {
			leaks += o.Size
			count++
		}
	}
	if count > 0 {
		fmt.Fprintf(t.out, "\n%d objects of %s could be leaks; the largest:\n", count, formatSize(leaks))
		m.printLeaks(t, r)
	}
}

// mostLeaks is how many objects are pointed out.
const mostLeaks = 10

func (m *memory) printLeaks(t *terminal, r memoryReport) {
	tab := newTable("OBJECT", "SIZE", "~MADE AT", "~WHY")
	left := mostLeaks
	for _, o := range r.Objects {
		if o.Leak != "" && left > 0 {
			left--
			tab.row(o.ID, formatSize(o.Size), o.CallSite, o.Leak)
		}
	}
	tab.print(t.out)
}
