package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// listTimeout bounds the verbs that show what is.
const listTimeout = 15 * time.Second

// listing is a verb that shows rows of one kind.
type listing[T any] struct {
	use, short string
	limited    bool // it can have very many rows
	get        func(ctx context.Context, c cluster, limit int) (page[T], error)
	header     []string // as newTable takes it
	row        func(item T, now time.Time) []any
	none       string
	last       func(items []T) string // a line below the rows; nil: none
}

func (l listing[T]) command(t *terminal) *cobra.Command {
	var g target
	var asJSON bool
	limit := 100
	c := &cobra.Command{
		Use: l.use, Short: l.short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 1 || limit > maxRows {
				return usagef("--limit is %d: it must be 1 to %d", limit, maxRows)
			}
			ctx, cancel := context.WithTimeout(c.Context(), listTimeout)
			defer cancel()
			cluster, _, err := g.open(t)
			if err != nil {
				return err
			}
			defer g.close()
			p, err := l.get(ctx, cluster, limit)
			if err != nil {
				return err
			}
			if p.warning != "" {
				t.note("gray: not all of them: %s", p.warning)
			}
			if asJSON {
				return t.json(append([]T{}, p.items...)) // [] rather than null
			}
			l.print(t, p)
			return nil
		},
	}
	g.registerRead(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if l.limited {
		c.Flags().IntVar(&limit, "limit", limit, "show at most `N`")
	}
	return c
}

func (l listing[T]) print(t *terminal, p page[T]) {
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
		t.note("%d of %d; --limit shows more", len(p.items), p.total)
	}
}

// all is what get returns, all of it.
func all[T any](get func(c cluster, ctx context.Context) ([]T, error)) func(context.Context, cluster, int) (page[T], error) {
	return func(ctx context.Context, c cluster, _ int) (page[T], error) {
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
