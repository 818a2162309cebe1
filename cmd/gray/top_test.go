package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gray-runtime/gray/internal/api"
)

func someLook() look {
	l := look{at: time.Unix(1_700_000_000, 0)}
	l.Address = "10.0.0.1:6379"
	for i := range 40 {
		l.Nodes = append(l.Nodes, node{
			ID: fmt.Sprintf("n%d", i+1), State: "ALIVE", StoreUsed: 3 << 30, StoreCapacity: 8 << 30,
			Total: map[string]float64{"CPU": 4, "memory": 16 << 30}, Available: map[string]float64{"CPU": 1, "memory": 8 << 30},
		})
		l.Jobs = append(l.Jobs, job{SubmissionID: fmt.Sprintf("job-%d", i), Status: "RUNNING", Started: l.at.Add(-time.Duration(i) * time.Minute)})
		rate := float64(40 - i)
		l.Functions = append(l.Functions, api.FunctionSummary{
			FuncOrClassName: fmt.Sprintf("main.function%02d\x1b[2J\n%s", i, strings.Repeat("wide", 40)), JobIDs: []string{"j1"},
			Running: uint64(i), RatePerS: &rate, Run: api.Latency{P50Ms: 0.5, P95Ms: float64(i) * 100},
		})
		l.Workers = append(l.Workers, api.WorkerRow{WorkerID: fmt.Sprintf("n1.p%d", i+1), PID: i, State: "LEASED", Running: "main.f", WorkerType: "WORKER"})
	}
	return l
}

// TestTopFits: whatever there is to see, and however large the terminal is, the screen is
// filled and not more, and each key does what it says.
func TestTopFits(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var v topView
	if lines := v.lines(80, 24); len(lines) != 1 {
		t.Errorf("before anything is known: %q", lines)
	}
	v.take(looked{err: errors.New("no head answers")})
	if lines := v.lines(80, 24); len(lines) != 1 || lines[0] != "no head answers" {
		t.Errorf("nothing can be known: %q", lines)
	}
	v.take(looked{look: someLook()})
	for _, size := range [][2]int{{80, 24}, {40, 12}, {200, 60}, {120, 15}, {80, 24}} {
		width, height := size[0], size[1]
		for k := keyUp; k <= keyWorkers; k++ {
			if !v.press(k) {
				t.Fatalf("key %d leaves", k)
			}
			lines := v.lines(width, height)
			if len(lines) > height || len(lines) < height/2 {
				t.Errorf("%d×%d after key %d: %d lines", width, height, k, len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > width && width >= 80 || strings.ContainsAny(line, "\x1b\n\r") {
					t.Errorf("%d×%d after key %d: %q", width, height, k, line)
				}
			}
			if frame := v.frame(width, height); strings.Count(frame, "\r\n") > height-1 {
				t.Errorf("%d×%d: the frame scrolls", width, height)
			}
		}
	}
	if v.press(keyQuit) {
		t.Error("q doesn't leave")
	}
}

func TestTopSortsAndScrolls(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	v := topView{}
	v.take(looked{look: someLook()})
	first := func() string {
		lines := v.lines(120, 30)
		for i, line := range lines {
			if strings.HasPrefix(line, "FUNCTION ") || strings.HasPrefix(line, "JOB ") {
				return strings.Fields(lines[i+1])[0]
			}
		}
		t.Fatalf("no list: %q", lines)
		return ""
	}
	expect := func(want string, keys ...key) {
		t.Helper()
		for _, k := range keys {
			v.press(k)
		}
		if got := first(); !strings.HasPrefix(got, want) {
			t.Errorf("after %v: %s, want %s", keys, got, want)
		}
	}
	expect("main.function00") // by rate
	expect("main.function39", keySort)
	expect("main.function00", keyReverse)
	expect("main.function01", keyDown)
	expect("main.function00", keyUp, keyUp, keyUp)
	v.press(keyPageDown)
	if got := first(); got == "main.function00" {
		t.Error("a page down goes nowhere")
	}
	expect("job-39", keyJobs) // by when they started, reversed
	expect("job-0", keyReverse)
	expect("main.function39", keyFunctions)
	v.take(looked{err: errors.New("cut off")})
	if lines := v.lines(120, 30); !slices.Contains(lines, "cut off") || len(lines) < 20 {
		t.Errorf("an outage: %q", lines[:4])
	}
}

func TestKeys(t *testing.T) {
	for in, want := range map[string][]key{
		"q": {keyQuit}, "\x03": {keyQuit}, "\x1b[A\x1b[B": {keyUp, keyDown}, "\x1b[5~s": {keyPageUp, keySort},
		"\x1b[99~": nil, "ü\xff": nil, "": nil, "fjw\t": {keyFunctions, keyJobs, keyWorkers, keyNext},
	} {
		if got := keysOf([]byte(in)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func TestUnitsOfTop(t *testing.T) {
	for n, want := range map[float64]string{0: "0B", 999: "999B", 2048: "2.0K", 100 << 20: "100M", 3.5 * (1 << 30): "3.5G"} {
		if got := shortSize(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
