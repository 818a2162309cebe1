package main

import (
	"bufio"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// action is what a signal or an answer leads to.
type action int

const (
	actGoOn action = iota
	actAsk
	actStop   // the job
	actDetach // from it
	actLeave  // without waiting for the end of a job that is being stopped
)

// caught are the signals that a job's end may follow from. One that this
// program was started to ignore, as by nohup or a shell's &, stays ignored.
func caught() []os.Signal {
	var list []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// onSignal decides: a person is asked once, a program that sends SIGTERM never.
func onSignal(sig os.Signal, asks, stopping bool) action {
	switch {
	case stopping:
		return actLeave
	case asks && sig == os.Interrupt:
		return actAsk
	}
	return actStop
}

// parseAnswer reads what a person typed.
func parseAnswer(line string) (act action, ok bool) {
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "":
		return actGoOn, true
	case "s", "stop":
		return actStop, true
	case "d", "detach":
		return actDetach, true
	}
	return actGoOn, false
}

// readLine passes on the next line, or nothing when r has ended. It can't be
// stopped: a read of a terminal can't.
func readLine(r *bufio.Reader) <-chan string {
	line := make(chan string, 1)
	go func() {
		defer close(line)
		if text, err := r.ReadString('\n'); err == nil {
			line <- text
		}
	}()
	return line
}
