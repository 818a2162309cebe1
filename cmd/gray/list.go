package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// listTimeout bounds the verbs that show what is.
const listTimeout = 15 * time.Second

// listing is a verb that shows rows of one kind.
type listing[T any] struct {
	use, short string
	limited    bool // it can have very many rows
	filters    []rowFilter
	get        func(ctx context.Context, c cluster, o api.ListOptions) (page[T], error)
	header     []string // as newTable takes it
	row        func(item T, now time.Time) []any
	none       string
	last       func(items []T) string // a line below the rows; nil: none
}

// rowFilter is a flag that keeps the rows with its value in a column.
type rowFilter struct{ flag, column, usage string }

func (l listing[T]) command(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	o := api.ListOptions{Limit: 100}
	values := make([]string, len(l.filters))
	c := &cobra.Command{
		Use: l.use, Short: l.short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Limit < 1 || o.Limit > maxRows {
				return usagef("--limit is %d: it must be 1 to %d", o.Limit, maxRows)
			}
			if o.Offset < 0 {
				return usagef("--offset is %d: it must be 0 or more", o.Offset)
			}
			for i, f := range l.filters {
				if values[i] != "" {
					o.Filters = append(o.Filters, api.Filter{Key: f.column, Op: "=", Value: values[i]})
				}
			}
			return g.ask(c.Context(), t, func(ctx context.Context, cluster cluster) error {
				p, err := l.get(ctx, cluster, o)
				if err != nil {
					return err
				}
				t.missing(p.warning, p.notes)
				if asJSON {
					return t.json(append([]T{}, p.items...)) // [] rather than null
				}
				l.print(t, p, o.Offset)
				return nil
			})
		},
	}
	g.registerRead(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if l.limited {
		c.Flags().IntVar(&o.Limit, "limit", o.Limit, "show at most `N`")
		c.Flags().IntVar(&o.Offset, "offset", 0, "leave out the first `N`")
		c.Flags().StringVar(&o.Sort, "sort", "", "sort by a `COLUMN`")
		c.Flags().BoolVar(&o.Descending, "desc", false, "sort the largest first")
		c.Flags().StringVar(&o.Search, "search", "", "show those that have `TEXT` in a column")
	}
	for i, f := range l.filters {
		c.Flags().StringVar(&values[i], f.flag, "", f.usage)
	}
	return c
}

// missing notes what an answer lacks.
func (t *terminal) missing(warning string, notes []string) {
	if warning != "" {
		t.note("gray: not all of them: %s", warning)
	}
	for _, note := range notes {
		t.note("gray: %s", note)
	}
}

func (l listing[T]) print(t *terminal, p page[T], offset int) {
	if len(p.items) == 0 {
		t.note("%s", l.none)
		return
	}
	now := time.Now()
	tab := newTable(l.header...)
	for _, item := range p.items {
		tab.row(l.row(item, now)...)
	}
	tab.print(t.out)
	if l.last != nil {
		fmt.Fprintln(t.out, l.last(p.items))
	}
	if l.limited && p.total > len(p.items) {
		t.note("%d to %d of %d; --limit and --offset show more", offset+1, offset+len(p.items), p.total)
	}
}

// all is what get returns, all of it.
func all[T any](get func(c cluster, ctx context.Context) ([]T, error)) func(context.Context, cluster, api.ListOptions) (page[T], error) {
	return func(ctx context.Context, c cluster, _ api.ListOptions) (page[T], error) {
		items, err := get(c, ctx)
		return page[T]{items: items, total: len(items)}, err
	}
}

// used is how much of each resource is in use, for people: "1/2 CPU".
func used(total, available map[string]float64) string {
	var parts []string
	for _, name := range sortedKeys(total) {
		parts = append(parts, usedOf(name, total, available)+" "+name)
	}
	return strings.Join(parts, ", ")
}

// usedOf is how much of one resource is in use: "1/2", or "?/2" while the head
// hasn't heard from the node.
func usedOf(name string, total, available map[string]float64) string {
	inUse := "?"
	if available != nil {
		inUse = formatQuantity(name, total[name]-available[name])
	}
	return inUse + "/" + formatQuantity(name, total[name])
}

// pairs is a map for people: "a=b,c=d".
func pairs[V any](m map[string]V) string {
	var parts []string
	for _, k := range sortedKeys(m) {
		parts = append(parts, fmt.Sprintf("%s=%v", k, m[k]))
	}
	return strings.Join(parts, ",")
}
