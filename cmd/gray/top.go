package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/gray-runtime/gray/internal/api"
)

const (
	topPause = time.Second
	// keyPause is how long the end of gray top may go unnoticed by the reader of keys.
	keyPause = 100 * time.Millisecond

	enterTop = "\x1b[?1049h\x1b[?25l" // another screen, no cursor
	leaveTop = "\x1b[?25h\x1b[?1049l"
)

// look is what gray top shows of one moment.
type look struct {
	summary
	Functions []api.FunctionSummary `json:"functions"`
	Workers   []api.WorkerRow       `json:"workers"`

	at      time.Time
	warning string // what is missing
}

func newTop(t *terminal) *cobra.Command {
	var g target
	var once, asJSON bool
	c := &cobra.Command{
		Use: "top", Short: "Watch the cluster: nodes, functions, jobs and workers", Args: cobra.NoArgs,
		Long: "Shows once a second what the cluster does. Keys: f, j and w (or Tab) for functions,\n" +
			"jobs and workers; s for what they're sorted by, r for the other way round; arrows and\n" +
			"Page Up and Down to scroll; q to leave. Where standard output is no terminal, or\n" +
			"with --once, everything is printed once.",
		RunE: func(c *cobra.Command, _ []string) error {
			return g.with(t, func(cluster cluster) error {
				w := watcher{t: t, fetch: func(ctx context.Context) (look, error) { return lookAt(ctx, cluster, g.opened) }}
				if once || asJSON || !canDraw(t.out) || !isTerminal(t.in) {
					return w.once(c.Context(), asJSON)
				}
				return w.run(c.Context())
			})
		},
	}
	g.registerRead(c)
	c.Flags().BoolVar(&once, "once", false, "print it once")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, once")
	return c
}

// lookAt asks for all that is shown.
func lookAt(ctx context.Context, c cluster, address string) (look, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	o, err := c.Status(ctx)
	if err != nil {
		return look{}, err
	}
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return look{}, err
	}
	l := look{summary: summarize(address, o, jobs), Functions: []api.FunctionSummary{}, Workers: []api.WorkerRow{}, at: time.Now()}
	workers, err := c.Workers(ctx, maxRows)
	if err != nil {
		return look{}, err
	}
	l.Workers, l.warning = append(l.Workers, workers.items...), workers.warning
	functions, err := functionsOf(ctx, c, "")
	if err != nil {
		l.warning = err.Error()
	}
	l.Functions = append(l.Functions, functions...)
	return l, nil
}

func (r *remote) Workers(ctx context.Context, limit int) (page[api.WorkerRow], error) {
	same := func(w api.WorkerRow) api.WorkerRow { return w }
	return rows(r, same)(r.Client.Workers(ctx, api.ListOptions{Limit: limit}))
}

// watcher is one run of gray top.
type watcher struct {
	t     *terminal
	fetch func(context.Context) (look, error)
}

func (w *watcher) once(ctx context.Context, asJSON bool) error {
	l, err := w.fetch(ctx)
	if err != nil {
		return err
	}
	if l.warning != "" {
		w.t.note("gray: not all of it: %s", l.warning)
	}
	if asJSON {
		return w.t.json(l)
	}
	for _, line := range plainTop(l, outputWidth(w.t.out)) {
		fmt.Fprintln(w.t.out, line)
	}
	return nil
}

// run draws on another screen of the terminal until a key or a signal ends it.
func (w *watcher) run(ctx context.Context) error {
	in, out := w.t.in.(*os.File), w.t.out.(*os.File)
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	defer term.Restore(int(in.Fd()), was)
	fmt.Fprint(out, enterTop)
	defer fmt.Fprint(out, leaveTop)

	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	keys, looks := make(chan key), make(chan looked)
	parts.Go(func() { readKeys(ctx, int(in.Fd()), keys) })
	parts.Go(func() { w.poll(ctx, looks) })
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGWINCH)
	defer signal.Stop(signals)

	var v topView
	for {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			width, height = 80, 24
		}
		fmt.Fprint(out, v.frame(width, height))
		select {
		case k := <-keys:
			if !v.press(k) {
				return nil
			}
		case l := <-looks:
			v.take(l)
		case sig := <-signals:
			if sig != syscall.SIGWINCH {
				return signalStatus(sig)
			}
		}
	}
}

// looked is a look, or why there is none.
type looked struct {
	look
	err error
}

func (w *watcher) poll(ctx context.Context, to chan<- looked) {
	tick := time.NewTicker(topPause)
	defer tick.Stop()
	for {
		l, err := w.fetch(ctx)
		select {
		case to <- looked{l, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// readKeys passes on what is typed until ctx ends, or nobody can type any more.
func readKeys(ctx context.Context, fd int, to chan<- key) {
	buf := make([]byte, 64)
	for ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(keyPause.Milliseconds()))
		if err == unix.EINTR || err == nil && ready == 0 {
			continue
		}
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		keys := keysOf(buf[:max(n, 0)])
		if err != nil || n <= 0 {
			keys = []key{keyQuit}
		}
		for _, k := range keys {
			select {
			case to <- k:
			case <-ctx.Done():
				return
			}
		}
		if err != nil || n <= 0 {
			return
		}
	}
}
