package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit bounds asking the head to stop a job.
const stopLimit = 30 * time.Second

// follower shows a job's output until its end, and does what signals ask for.
type follower struct {
	*terminal
	cluster cluster
	id      string
	signals <-chan os.Signal
	asks    bool // somebody can answer

	progress string // its kind; empty: none
	footer   *footer

	cancel  context.CancelFunc
	ended   chan error // what became of the log
	out     gate
	typed   *bufio.Reader // what the person types; nil: not asked yet
	stop    chan error    // what became of the order to stop
	stopSig os.Signal     // the signal that led to it; nil: none
}

// run returns the job's end as that of the program.
func (f *follower) run(ctx context.Context) error {
	ctx, f.cancel = context.WithCancel(ctx)
	defer f.cancel()
	f.ended, f.stop = make(chan error, 1), make(chan error, 1)
	done := f.show(ctx)
	defer done()
	go func() { f.ended <- f.cluster.FollowLogs(ctx, f.id, &f.out, f.lost) }()
	for {
		select {
		case err := <-f.ended:
			return f.finish(ctx, err)
		case err := <-f.stop:
			if err != nil {
				f.stopSig = nil
				f.note("gray: can't stop job %s: %v", f.id, err)
			}
		case sig := <-f.signals:
			if err := f.interrupted(ctx, sig); err != nil {
				return err
			}
		}
	}
}

// show begins to show the job's output, and how far it is, until done is called.
func (f *follower) show(ctx context.Context) (done func()) {
	text := f.terminal.shown()
	f.out.w = text
	if f.progress != "" && f.progress != progressOff {
		f.footer = newFooter(f.err)
	}
	if f.footer != nil {
		if isTerminal(f.terminal.out) {
			f.out.w = f.footer.above(text)
		}
		f.terminal = &terminal{in: f.in, out: f.terminal.out, err: f.footer.above(f.err)}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if p := newProgress(f.terminal, f.progress, f.footer, f.cluster, f.id); p != nil {
		wg.Go(func() { p.run(ctx) })
	}
	return func() {
		cancel()
		wg.Wait()
		text.Close()
	}
}

// interrupted does what a signal asks for. An error ends the program.
func (f *follower) interrupted(ctx context.Context, sig os.Signal) error {
	switch onSignal(sig, f.asks, f.stopSig != nil) {
	case actLeave:
		f.note("not waiting for the end of job %s: see gray job status %s", f.id, f.id)
		return signalStatus(f.stopSig)
	case actAsk:
		f.out.close()
		f.footer.hide(true)
		act, answeredBy := f.ask(sig)
		f.footer.hide(false)
		if act == actDetach {
			f.out.shut()
			f.note("job %s goes on: gray job logs -f %s shows its output, gray job stop %s ends it", f.id, f.id, f.id)
			return errDetached
		}
		f.out.open()
		if act == actStop {
			f.order(ctx, answeredBy)
		}
	case actStop:
		f.order(ctx, sig)
	}
	return nil
}

// order asks the head to stop the job; its end comes by way of the log.
func (f *follower) order(ctx context.Context, sig os.Signal) {
	f.stopSig = sig
	f.note("stopping job %s", f.id)
	go func() {
		limited, cancel := context.WithTimeout(ctx, stopLimit)
		defer cancel()
		_, err := f.cluster.StopJob(limited, f.id)
		f.stop <- err
	}()
}

// ask has a person choose. A signal meanwhile is an answer as well, and so is
// the job's end.
func (f *follower) ask(sig os.Signal) (action, os.Signal) {
	if f.typed == nil {
		f.typed = bufio.NewReader(f.in)
	}
	fmt.Fprintf(f.err, "\nStop job %s (s), detach from it (d), or go on (Enter)? ", f.id)
	answer := readLine(f.typed)
	for {
		select {
		case line, ok := <-answer:
			if !ok { // nobody is there any more: lose nothing
				f.note("")
				return actDetach, sig
			}
			if act, understood := parseAnswer(line); understood {
				return act, sig
			}
			fmt.Fprint(f.err, "s, d or Enter? ")
			answer = readLine(f.typed)
		case again := <-f.signals:
			f.note("")
			return actStop, again
		case err := <-f.ended:
			f.note("")
			f.ended <- err // for run; there's room
			return actGoOn, sig
		}
	}
}

// finish waits for what became of the job, whose log has ended with err.
func (f *follower) finish(ctx context.Context, err error) error {
	var gone *unreachableError
	if errors.As(err, &gone) {
		return fmt.Errorf("job %s may go on, but nothing can be seen of it from here: %w", f.id, err)
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		job job
		err error
	}
	done := make(chan result, 1)
	go func() {
		j, err := f.cluster.AwaitJob(waiting, f.id, f.lost)
		done <- result{j, err}
	}()
	for {
		select {
		case r := <-done:
			if r.err != nil {
				return fmt.Errorf("job %s may go on, but what becomes of it can't be seen from here: %w", f.id, r.err)
			}
			if err != nil {
				f.note("gray: the rest of the output can't be had: %v", err)
			}
			return f.outcome(r.job)
		case <-f.stop:
		case sig := <-f.signals:
			if err != nil && f.stopSig == nil { // it may run for long
				f.order(ctx, sig)
				continue
			}
			f.note("not waiting for the end of job %s: see gray job status %s", f.id, f.id)
			return signalStatus(sig)
		}
	}
}

// outcome is the program's end that fits the job's.
func (f *follower) outcome(j job) error {
	switch {
	case j.Status == "SUCCEEDED":
		return nil
	case j.Status == "STOPPED":
		f.note("job %s was stopped", f.id)
		if f.stopSig != nil {
			return signalStatus(f.stopSig)
		}
		return statusError(exitFailure)
	case j.ExitCode != nil && *j.ExitCode < 0 && *j.ExitCode > -128:
		f.note("job %s failed: its driver was ended by signal: %v", f.id, syscall.Signal(-*j.ExitCode))
		return signalStatus(syscall.Signal(-*j.ExitCode))
	case j.ExitCode != nil && *j.ExitCode > 0 && *j.ExitCode < 256:
		f.note("job %s failed with exit status %d", f.id, *j.ExitCode)
		return statusError(*j.ExitCode)
	}
	return fmt.Errorf("job %s failed: %s", f.id, cause(j))
}

// cause is why a job failed, in a line: its log was shown already.
func cause(j job) string {
	text := strings.TrimSpace(j.Message)
	if head, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(head, "Job entrypoint command failed") {
		text, _, _ = strings.Cut(rest, "; its last lines:")
	}
	if text = firstLine(text); text == "" {
		return "no reason is known"
	}
	return text
}

// lost is told of an outage of the head.
func (f *follower) lost(err error) {
	f.note("gray: %v\ngray: trying again for a minute; the job goes on meanwhile", err)
}

// errDetached ends the program, as it was asked to, before the job's end.
var errDetached error = statusError(0)

// signalStatus is the exit status of a program that a signal ends.
func signalStatus(sig os.Signal) error {
	if s, ok := sig.(syscall.Signal); ok {
		return statusError(128 + int(s))
	}
	return statusError(exitFailure)
}

// gate is a writer that can be held up while a question stands on the screen.
type gate struct {
	w      io.Writer
	mu     sync.Mutex
	closed chan struct{} // nil: open
}

func (g *gate) Write(b []byte) (int, error) {
	for {
		g.mu.Lock()
		w, closed := g.w, g.closed
		g.mu.Unlock()
		if closed == nil {
			return w.Write(b)
		}
		<-closed
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

// shut opens the gate to nowhere: there's no more to be seen.
func (g *gate) shut() {
	g.mu.Lock()
	g.w = io.Discard
	g.mu.Unlock()
	g.open()
}
