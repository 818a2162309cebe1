package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
)

func TestProgressLines(t *testing.T) {
	now := time.Now()
	functions := []api.FunctionSummary{
		{FuncOrClassName: "main.done", Finished: 10},
		{FuncOrClassName: "main.none"},
		{FuncOrClassName: "main.step\nwith a\x1b[2Jname", Finished: 30, Failed: 2, Running: 4, Waiting: 64},
	}
	p := &progress{draw: true, paces: map[string]*pace{}}
	want := []string{
		"main.step with a [2Jname [######..............] 32/100, 4 running, 64 waiting, 2 failed",
		"main.done                [####################] 10/10",
	}
	if got := p.lines(functions, now); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	functions[2].Finished, functions[2].Waiting = 38, 56
	if got := p.lines(functions, now.Add(2*time.Second)); !strings.Contains(got[0], " 40/100, 15s left, 4 running") {
		t.Errorf("8 in 2 s, 60 left: %q", got[0])
	}
	p.draw = false
	if got := p.lines(functions[:1], now); len(got) != 1 || got[0] != "main.done: 10/10 done" {
		t.Errorf("plain: %q", got)
	}
	var many []api.FunctionSummary
	for i := range 3 * maxBars {
		many = append(many, api.FunctionSummary{FuncOrClassName: fmt.Sprint("f", i), Finished: 1, Failed: 1, Running: 1})
	}
	if got := p.lines(many, now); len(got) != maxBars+1 || got[maxBars] != "others: 32/48 done, 16 running, 16 failed" {
		t.Errorf("many: %q", got)
	}
}

func TestPace(t *testing.T) {
	var p pace
	at := time.Now()
	if _, ok := p.left(0, 100, at); ok {
		t.Error("nothing is known yet")
	}
	for i := range 100 { // 1 a second, then 4
		at = at.Add(time.Second)
		p.left(uint64(i), 1000, at)
	}
	if left, ok := p.left(100, 200, at.Add(time.Second)); !ok || left.Round(time.Second) != 100*time.Second {
		t.Errorf("at 1 a second: %v, %v", left, ok)
	}
	for i := range 40 {
		at = at.Add(time.Second)
		p.left(uint64(100+4*i), 1000, at)
	}
	if left, _ := p.left(260, 660, at.Add(time.Second)); left.Round(time.Second) != 100*time.Second {
		t.Errorf("at 4 a second: %v", left)
	}
	if len(p.samples) > int(paceSpan/time.Second)+3 {
		t.Errorf("%d samples are kept", len(p.samples))
	}
	if _, ok := p.left(5, 10, at.Add(2*time.Second)); ok || len(p.samples) != 1 {
		t.Error("counts that went back aren't forgotten")
	}
	if _, ok := p.left(10, 10, at.Add(3*time.Second)); ok {
		t.Error("all is done")
	}
}

// TestFooter compares what stands on a terminal with the text and the lines below it,
// whatever came in which order.
func TestFooter(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		page := &paper{}
		f := &footer{w: page, width: func() int { return 40 }}
		text := f.above(page)
		var all string
		var lines []string
		hidden := false
		for range r.IntN(30) {
			switch r.IntN(4) {
			case 0:
				lines = nil
				for range r.IntN(4) {
					lines = append(lines, strings.Repeat("b", 1+r.IntN(38)))
				}
				f.show(lines...)
			case 1:
				hidden = !hidden
				f.hide(hidden)
			default:
				part := strings.Repeat("t", r.IntN(30)) + strings.Repeat("\n", r.IntN(2))
				text.Write([]byte(part))
				all += part
			}
		}
		want := all
		if !hidden && (all == "" || strings.HasSuffix(all, "\n")) {
			want += strings.Join(append(lines, ""), "\n")
		}
		if got := page.String(); got != want {
			t.Fatalf("got\n%q\nwant\n%q", got, want)
		}
	}
}

// paper is a terminal that knows what footer does: lines up, and erase to the end.
type paper struct{ lines []string }

func (p *paper) Write(b []byte) (int, error) {
	if len(p.lines) == 0 {
		p.lines = []string{""}
	}
	for s := string(b); s != ""; {
		var n int
		if _, err := fmt.Sscanf(s, "\r\x1b[%dA\x1b[J", &n); err == nil {
			p.lines = append(p.lines[:len(p.lines)-1-n], "")
			s = s[len(fmt.Sprintf("\r\x1b[%dA\x1b[J", n)):]
			continue
		}
		if s[0] == '\n' {
			p.lines = append(p.lines, "")
		} else {
			p.lines[len(p.lines)-1] += s[:1]
		}
		s = s[1:]
	}
	return len(b), nil
}

func (p *paper) String() string { return strings.Join(p.lines, "\n") }
