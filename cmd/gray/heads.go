package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/api"
)

// headsLimit bounds a change of the heads.
const headsLimit = 30 * time.Second

func newHeads(t *terminal) *cobra.Command {
	c := listing[head]{
		use: "heads", short: "Show the heads, and how many may fail; remove one, back them up",
		get:    all(cluster.Heads),
		header: []string{"HEAD", "STATE", "ADDRESS", "APPLIED", "LAG", "DISK", "VERSION", "AGE", "~NOTE"},
		row: func(h head, now time.Time) []any {
			if h.State == api.HeadUnreachable {
				return []any{h.ID, headState(h), h.Address, "", "", "", "", "", firstLine(h.Error)}
			}
			disk := fmt.Sprintf("%s used, %s free", formatSize(h.DiskUsed), formatSize(h.DiskFree))
			return []any{h.ID, headState(h), h.Address, h.Applied, h.Lag, disk, h.Version, formatAge(h.Started, now), firstLine(h.Error)}
		},
		none: "no heads",
		last: survives,
	}.command(t)
	c.AddCommand(newHeadsRemove(t), newHeadsTransfer(t), newHeadsBackup(t), newHeadsRestore(t))
	return c
}

func headState(h head) string {
	if h.State != api.HeadUnreachable && !h.Voter {
		return "joining (no vote yet)"
	}
	return strings.ToLower(h.State)
}

// survives says how many heads there are and how many may fail.
func survives(heads []head) string {
	voters, unreachable := 0, 0
	for _, h := range heads {
		if h.Voter {
			voters++
			if h.State == api.HeadUnreachable {
				unreachable++
			}
		}
	}
	text := count(voters, "head")
	if unreachable > 0 {
		text += fmt.Sprintf(", %d unreachable", unreachable)
	}
	if joining := len(heads) - voters; joining > 0 {
		text += fmt.Sprintf(", %d joining", joining)
	}
	return text + ": " + spare(voters, unreachable)
}

// spare says how many more heads may fail until there's no majority left.
func spare(voters, unreachable int) string {
	more := voters - unreachable - (voters/2 + 1)
	switch {
	case more < 0:
		return "no majority is left."
	case unreachable > 0 && more == 0:
		return "no majority is left if one more fails."
	case unreachable > 0:
		return fmt.Sprintf("%d more may fail.", more)
	case voters == 1:
		return "if it fails, the cluster waits for it."
	case voters == 2:
		return "none may fail; add a third."
	}
	return fmt.Sprintf("%d may fail.", more)
}

// headsVerb makes a verb that changes or copies something of the heads. fact is what
// it prints with --json, text what it prints otherwise.
func headsVerb(
	t *terminal, c *cobra.Command, run func(ctx context.Context, c cluster, args []string) (fact any, text string, err error),
) *cobra.Command {
	var g target
	var asJSON bool
	c.RunE = func(c *cobra.Command, args []string) error {
		return g.with(t, func(cluster cluster) error {
			fact, text, err := run(c.Context(), cluster, args)
			if err != nil {
				return err
			}
			if asJSON {
				return t.json(fact)
			}
			fmt.Fprintln(t.out, text)
			return nil
		})
	}
	g.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newHeadsRemove(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "remove ID", Short: "Make a head no member any more",
		Long: "The head, which may be dead, is no member any more; one that runs ends itself.\n" +
			"ID may be shortened, as long as it names one head only.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("which head? one of those that `gray heads` shows")
			}
			return nil
		},
	}
	return headsVerb(t, c, func(ctx context.Context, c cluster, args []string) (any, string, error) {
		ctx, cancel := context.WithTimeout(ctx, headsLimit)
		defer cancel()
		h, err := findHead(ctx, c, args[0])
		if err != nil {
			return nil, "", err
		}
		if err := c.RemoveHead(ctx, h.ID); err != nil {
			return nil, "", fmt.Errorf("remove head %s: %w", h.ID, err)
		}
		return h, fmt.Sprintf("removed head %s at %s", h.ID, h.Address), nil
	})
}

func newHeadsTransfer(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "transfer [ID]", Short: "Have another head lead",
		Long: "Has the head ID lead or, without ID, the one that is most advanced of those that\n" +
			"don't. ID may be shortened, as long as it names one head only.",
		Args: cobra.MaximumNArgs(1),
	}
	return headsVerb(t, c, func(ctx context.Context, c cluster, args []string) (any, string, error) {
		ctx, cancel := context.WithTimeout(ctx, headsLimit)
		defer cancel()
		var to headName
		if len(args) == 1 {
			var err error
			if to, err = findHead(ctx, c, args[0]); err != nil {
				return nil, "", err
			}
		}
		l, err := c.TransferHead(ctx, to.ID)
		if err != nil {
			return nil, "", err
		}
		return l, fmt.Sprintf("head %s at %s leads now", l.ID, l.Address), nil
	})
}

// findHead finds the head whose ID is id or, alone among all, begins with it.
func findHead(ctx context.Context, c cluster, id string) (headName, error) {
	heads, err := c.Heads(ctx)
	if err != nil {
		return headName{}, err
	}
	var found []string
	var name headName
	for _, h := range heads {
		if h.ID == id {
			return headName{ID: h.ID, Address: h.Address}, nil
		}
		if id != "" && strings.HasPrefix(h.ID, id) {
			found, name = append(found, h.ID), headName{ID: h.ID, Address: h.Address}
		}
	}
	switch len(found) {
	case 0:
		return headName{}, fmt.Errorf("the cluster has no head %q: `gray heads` lists those that it has", id)
	case 1:
		return name, nil
	}
	return headName{}, fmt.Errorf("%q is the beginning of several heads' IDs: %s", id, strings.Join(found, ", "))
}
