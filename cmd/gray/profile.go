package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/profile"
)

// defaultProfile is how long a CPU profile takes if nothing is said.
const defaultProfile = 10 * time.Second

// profileFlags is the command line of gray profile.
type profileFlags struct {
	lasting map[string]*time.Duration
	instant map[string]*bool
	file    string
}

func newProfile(t *terminal) *cobra.Command {
	var g target
	f := profileFlags{lasting: map[string]*time.Duration{}, instant: map[string]*bool{}}
	c := &cobra.Command{
		Use: "profile PROCESS", Short: "Take a profile of a process, for go tool pprof", Args: oneProcess,
		Long: processHelp + "\nWithout a kind it's the CPU's, for 10 s. The process needn't have been built or\n" +
			"started for that; one profile that takes time is taken of it at once.",
		Example: "  gray profile n1.p3 --cpu 10s && go tool pprof -http=: gray-n1.p3-cpu.pprof\n" +
			"  gray profile counter --heap -o heap.pprof",
		RunE: func(c *cobra.Command, args []string) error {
			kind, d, err := f.kind(c.Flags().Changed)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return g.with(t, func(cluster cluster) error { return f.run(ctx, t, cluster, args[0], kind, d) })
		},
	}
	g.register(c)
	lasting := func(kind, what string) {
		f.lasting[kind] = c.Flags().Duration(kind, 0, what)
	}
	instant := func(kind, what string) {
		f.instant[kind] = c.Flags().Bool(kind, false, what)
	}
	lasting(profile.CPU, "where `TIME` goes, for so long, as 10s")
	instant(profile.Heap, "what is in memory")
	instant(profile.Allocs, "what was ever allocated")
	instant(profile.Goroutine, "what its goroutines do, counted")
	lasting(profile.Block, "where goroutines wait for each other, for some `TIME`")
	lasting(profile.Mutex, "who holds the locks that others wait for, for some `TIME`")
	lasting(profile.Trace, "what the scheduler does, for some `TIME`; opens with go tool trace")
	c.Flags().StringVarP(&f.file, "output", "o", "", "`FILE` for the profile; -: standard output (default: gray-PROCESS-KIND.pprof)")
	return c
}

// kind is what is to be taken, and for how long.
func (f *profileFlags) kind(changed func(string) bool) (kind string, d time.Duration, err error) {
	for _, k := range profile.Kinds {
		if k == profile.Stack || !changed(k) || f.instant[k] != nil && !*f.instant[k] {
			continue
		}
		if kind != "" {
			return "", 0, usagef("--%s and --%s: one kind at a time", kind, k)
		}
		kind = k
		if p := f.lasting[k]; p != nil {
			d = *p
		}
	}
	if kind == "" {
		return profile.CPU, defaultProfile, nil
	}
	if err := profile.Check(kind, d); err != nil {
		return "", 0, usagef("--%s %v: %w", kind, d, err)
	}
	return kind, d, nil
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

func (f *profileFlags) run(ctx context.Context, t *terminal, c cluster, process, kind string, d time.Duration) error {
	if f.file == "-" {
		if isTerminal(t.out) {
			return usagef("-o -: a profile isn't for a terminal; name a file")
		}
		return c.Profile(ctx, process, kind, d, t.out)
	}
	tool, path := "go tool pprof -http=: ", "gray-"+notInNames.ReplaceAllString(process, "_")+"-"+kind+".pprof"
	if kind == profile.Trace {
		tool, path = "go tool trace ", strings.TrimSuffix(path, "-trace.pprof")+".trace"
	}
	if f.file != "" {
		path = f.file
	}
	done := t.activity(ctx, fmt.Sprintf("taking a %s profile of %s", kind, process))
	b, err := backUp(path, true, func(w io.Writer) (string, error) { return "", c.Profile(ctx, process, kind, d, w) })
	done()
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("no profile was written")
		}
		return fmt.Errorf("profile %s: %w", process, err)
	}
	t.note("%s is written (%s): %s%s", path, formatSize(b.Size), tool, shellLine([]string{path}))
	return nil
}

func (r *remote) Profile(ctx context.Context, process, kind string, d time.Duration, w io.Writer) error {
	return r.processError(r.Client.Profile(ctx, process, kind, d, w))
}
