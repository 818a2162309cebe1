package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/tty"
)

const (
	progressPause = time.Second
	// plainPause is how often progress is said in lines.
	plainPause = 5 * time.Second
	// maxBars is how many functions have a line; the others share one.
	maxBars = 8
	// paceSpan is the time of which the time that is left is told.
	paceSpan = 30 * time.Second
)

// Kinds of progress.
const (
	progressAuto  = "auto"
	progressPlain = "plain"
	progressOff   = "off"
)

// canDraw reports whether w is a terminal that lines can be drawn on.
func canDraw(w any) bool { return isTerminal(w) && !tty.Dumb() }

// progress shows how far the functions of a job are.
type progress struct {
	fetch func(context.Context) ([]api.FunctionSummary, error)
	every time.Duration
	tell  func(lines []string)
	draw  bool // bars
	paces map[string]*pace
}

// newProgress makes one for a job that runs; nil if none is wanted.
func newProgress(t *terminal, kind string, s *footer, c cluster, job string) *progress {
	number := "" // as which the job's tasks are known
	fetch := func(ctx context.Context) ([]api.FunctionSummary, error) {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		if number == "" {
			j, err := c.Job(ctx, job)
			if err != nil {
				return nil, err
			}
			number = j.ID
		}
		return functionsOf(ctx, c, number)
	}
	p := &progress{fetch: fetch, paces: map[string]*pace{}}
	switch {
	case kind == progressPlain:
		p.every = plainPause
		p.tell = func(lines []string) {
			for _, line := range lines {
				t.note("%s", line)
			}
		}
	case kind == progressAuto && s != nil:
		p.every, p.draw = progressPause, true
		p.tell = func(lines []string) { s.show(lines...) }
	default:
		return nil
	}
	return p
}

// run shows it until ctx ends. What can't be had isn't shown: the job's output tells
// about outages.
func (p *progress) run(ctx context.Context) {
	if p.draw {
		defer p.tell(nil)
	}
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		functions, err := p.fetch(ctx)
		switch {
		case errors.Is(err, api.ErrNotFound):
			return
		case err == nil:
			p.tell(p.lines(functions, time.Now()))
		}
	}
}

// lines is one of each function, those that still have calls first.
func (p *progress) lines(functions []api.FunctionSummary, now time.Time) []string {
	var shown []api.FunctionSummary
	rest := api.FunctionSummary{FuncOrClassName: "others"}
	for _, open := range []bool{true, false} {
		for _, f := range functions {
			f.FuncOrClassName = oneLine(f.FuncOrClassName)
			switch {
			case (f.Done() < f.Calls()) != open || f.Calls() == 0:
			case len(shown) < maxBars:
				shown = append(shown, f)
			default:
				rest.Finished += f.Finished
				rest.Failed += f.Failed
				rest.Cancelled += f.Cancelled
				rest.Running += f.Running
				rest.Waiting += f.Waiting
			}
		}
	}
	if rest.Calls() > 0 {
		shown = append(shown, rest)
	}
	name := 0
	for _, f := range shown {
		name = max(name, len([]rune(cut(f.FuncOrClassName, 24))))
	}
	lines := make([]string, 0, len(shown))
	for _, f := range shown {
		lines = append(lines, p.line(&f, name, now))
	}
	return lines
}

func (p *progress) line(f *api.FunctionSummary, nameWidth int, now time.Time) string {
	var b strings.Builder
	if p.draw {
		b.WriteString(pad(cut(f.FuncOrClassName, 24), nameWidth) + " " + bar(float64(f.Done()), float64(f.Calls()), barWidth))
	} else {
		b.WriteString(f.FuncOrClassName + ":")
	}
	fmt.Fprintf(&b, " %d/%d", f.Done(), f.Calls())
	if !p.draw {
		b.WriteString(" done")
	}
	if left, ok := p.pace(f.FuncOrClassName).left(f.Done(), f.Calls(), now); ok { // first: a narrow terminal cuts the end
		fmt.Fprintf(&b, ", %s left", formatDuration(left+time.Second-1))
	}
	for _, part := range []struct {
		n    uint64
		what string
	}{{f.Running, "running"}, {f.Waiting, "waiting"}, {f.Failed, "failed"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %d %s", part.n, part.what)
		}
	}
	return b.String()
}

func (p *progress) pace(name string) *pace {
	if p.paces[name] == nil {
		p.paces[name] = &pace{}
	}
	return p.paces[name]
}

// pace tells from how much was done lately when the rest will be.
type pace struct{ samples []sample }

type sample struct {
	at   time.Time
	done uint64
}

// left takes note of how far it is, and says how long the rest takes, if that can be told.
func (p *pace) left(done, total uint64, now time.Time) (time.Duration, bool) {
	if n := len(p.samples); n > 0 && done < p.samples[n-1].done {
		p.samples = nil // they're counted anew
	}
	p.samples = append(p.samples, sample{now, done})
	for len(p.samples) > 2 && now.Sub(p.samples[0].at) > paceSpan {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if done == first.done || done >= total {
		return 0, false
	}
	each := now.Sub(first.at).Seconds() / float64(done-first.done)
	return time.Duration(each * float64(total-done) * float64(time.Second)), true
}

// oneLine is a name that a job gave, on one line.
func oneLine(name string) string { return strings.Map(visible, name) }
