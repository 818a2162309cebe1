package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/tty"
)

// key is what was pressed, as far as gray top takes notice of it.
type key int

const (
	keyNone key = iota
	keyQuit
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyHome
	keySort
	keyReverse
	keyNext
	keyFunctions
	keyJobs
	keyWorkers
)

var keyText = map[string]key{
	"q": keyQuit, "Q": keyQuit, "\x03": keyQuit, "\x1b[A": keyUp, "\x1bOA": keyUp, "k": keyUp, "\x1b[B": keyDown, "\x1bOB": keyDown,
	"\x1b[5~": keyPageUp, "\x1b[6~": keyPageDown, " ": keyPageDown, "\x1b[H": keyHome, "g": keyHome, "s": keySort, "r": keyReverse,
	"\t": keyNext, "f": keyFunctions, "j": keyJobs, "w": keyWorkers,
}

// keysOf reads keys. What isn't one is passed over.
func keysOf(b []byte) (keys []key) {
	for s := string(b); s != ""; {
		n := 1
		for k := range keyText {
			if len(k) > n && strings.HasPrefix(s, k) {
				n = len(k)
			}
		}
		if k := keyText[s[:n]]; k != keyNone {
			keys = append(keys, k)
		}
		s = s[n:]
	}
	return keys
}

// pane is one of the lists of gray top.
type pane struct {
	name  string
	sorts []string
	rows  func(l look, sort string) *table
}

var panes = []pane{
	{"functions", []string{"rate", "running", "waiting", "p95", "name"}, functionTable},
	{"jobs", []string{"started", "name"}, jobTable},
	{"workers", []string{"id", "function", "state"}, workerTable},
}

// topView is what a person has chosen to see, and the latest there is to see.
type topView struct {
	look
	any      bool // look is one
	err      error
	pane     int
	sort     [3]int
	reversed bool
	top      int // first row shown
	rows     int // that there were at the last drawing
	page     int // rows that had room then
}

func (v *topView) take(l looked) {
	if v.err = l.err; l.err != nil {
		return
	}
	if took := l.at.Sub(v.at).Seconds(); v.any && took > 0 {
		rates(l.Functions, v.Functions, took)
	}
	v.look, v.any = l.look, true
}

// rates tells by what was done at the look before how many calls end a second.
func rates(functions, before []api.FunctionSummary, seconds float64) {
	done := map[string]uint64{}
	for _, f := range before {
		done[f.FuncOrClassName] = f.Done()
	}
	for i := range functions {
		f := &functions[i]
		if was, known := done[f.FuncOrClassName]; known && f.Done() >= was {
			rate := float64(f.Done()-was) / seconds
			f.RatePerS = &rate
		}
	}
}

// press does what a key asks for; false ends it.
func (v *topView) press(k key) bool {
	switch k {
	case keyQuit:
		return false
	case keyUp:
		v.top--
	case keyDown:
		v.top++
	case keyPageUp:
		v.top -= v.page
	case keyPageDown:
		v.top += v.page
	case keyHome:
		v.top = 0
	case keySort:
		v.sort[v.pane] = (v.sort[v.pane] + 1) % len(panes[v.pane].sorts)
	case keyReverse:
		v.reversed = !v.reversed
	case keyNext:
		v.pane, v.top = (v.pane+1)%len(panes), 0
	case keyFunctions, keyJobs, keyWorkers:
		v.pane, v.top = int(k-keyFunctions), 0
	}
	return true
}

// frame is the whole screen, drawn over what stood there.
func (v *topView) frame(width, height int) string {
	var b strings.Builder
	b.WriteString("\x1b[H")
	lines := v.lines(width, height)
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("\x1b[2K" + line) // first: at the last column it would take a character with it
	}
	b.WriteString("\x1b[J")
	return b.String()
}

// lines are those of the screen, each of at most width characters.
func (v *topView) lines(width, height int) []string {
	if !v.any {
		text := "asking the cluster …"
		if v.err != nil {
			text = v.err.Error()
		}
		return []string{cut(oneLine(text), width)}
	}
	lines := v.heading(width)
	nodes := nodeLines(v.look, width)
	if room := max(2, height/3); len(nodes) > room {
		hidden := len(nodes) - room + 1
		nodes = append(nodes[:room-1], fmt.Sprintf("… %s more", count(hidden, "node")))
	}
	lines = append(append(lines, nodes...), "")
	p := panes[v.pane]
	tab := p.rows(v.look, p.sorts[v.sort[v.pane]])
	if v.reversed {
		slices.Reverse(tab.rows)
	}
	list := tab.lines(width)
	lines = append(lines, v.tabs(width), style("\x1b[7m", pad(list[0], width)))
	list = list[1:]
	v.rows, v.page = len(list), max(1, height-len(lines))
	v.top = max(0, min(v.top, v.rows-v.page))
	return append(lines, list[v.top:min(len(list), v.top+v.page)]...)
}

func (v *topView) heading(width int) []string {
	var running, waiting uint64
	rate := 0.0
	for _, f := range v.Functions {
		running, waiting, rate = running+f.Running, waiting+f.Waiting, rate+f.Rate()
	}
	first := fmt.Sprintf("gray at %s: %s, %s under way, %s   %s", v.Address, count(v.living(), "node"), count(len(v.Jobs), "job"),
		count(len(v.Workers), "worker"), v.at.Format("15:04:05"))
	second := fmt.Sprintf("calls: %d running, %d waiting, %.1f/s done", running, waiting, rate)
	lines := []string{style("\x1b[1m", cut(first, width)), cut(second, width)}
	if v.err != nil {
		return append(lines, style("\x1b[31m", cut(oneLine(v.err.Error()), width)))
	}
	return append(lines, cut(oneLine(v.warning), width))
}

func (l look) living() (n int) {
	for _, node := range l.Nodes {
		if node.lives() {
			n++
		}
	}
	return n
}

func (v *topView) tabs(width int) string {
	var parts []string
	for i, p := range panes {
		if i == v.pane {
			parts = append(parts, strings.ToUpper(p.name))
		} else {
			parts = append(parts, p.name)
		}
	}
	by := panes[v.pane].sorts[v.sort[v.pane]]
	if v.reversed {
		by += ", reversed"
	}
	return cut(fmt.Sprintf("%s (f j w)   by %s (s, r)   q: leave", strings.Join(parts, " "), by), width)
}

// nodeLines are the nodes that live with what is in use of them, drawn.
func nodeLines(l look, width int) []string {
	const gauges = 3
	var lines []string
	barRoom := min(20, max(4, (width-8-8*gauges-14*gauges)/gauges))
	for _, n := range l.Nodes {
		if !n.lives() {
			continue
		}
		line := fmt.Sprintf("%-5s", n.ID)
		for _, g := range []struct {
			name        string
			used, total float64
			text        string
		}{
			{"CPU", n.used("CPU"), n.Total["CPU"], usedOf("CPU", n.Total, n.Available)},
			{"mem", n.used("memory"), n.Total["memory"], shortSize(n.used("memory")) + "/" + shortSize(n.Total["memory"])},
			{"store", float64(n.StoreUsed), float64(n.StoreCapacity), shortSize(float64(n.StoreUsed)) + "/" + shortSize(float64(n.StoreCapacity))},
		} {
			line += fmt.Sprintf(" %s %s %-9s", g.name, bar(g.used, g.total, barRoom), g.text)
		}
		if n.State != "ALIVE" {
			line += " " + n.State
		}
		lines = append(lines, cut(strings.TrimRight(line, " "), width))
	}
	return lines
}

// used is what is in use of a resource, as far as it's known.
func (n node) used(name string) float64 {
	if n.Available == nil {
		return 0
	}
	return n.Total[name] - n.Available[name]
}

// shortSize is bytes in four characters or so.
func shortSize(v float64) string {
	for _, unit := range []string{"B", "K", "M", "G", "T"} {
		if v < 1000 || unit == "T" {
			if v < 10 && unit != "B" {
				return fmt.Sprintf("%.1f%s", v, unit)
			}
			return fmt.Sprintf("%.0f%s", v, unit)
		}
		v /= 1024
	}
	return ""
}

func functionTable(l look, sort string) *table {
	tab := newTable("~FUNCTION", "JOB", "RATE/S", "RUNNING", "WAITING", "DONE", "FAILED", "P50", "P95")
	all := slices.Clone(l.Functions)
	slices.SortStableFunc(all, func(a, b api.FunctionSummary) int {
		switch sort {
		case "running":
			return cmp.Compare(b.Running, a.Running)
		case "waiting":
			return cmp.Compare(b.Waiting, a.Waiting)
		case "p95":
			return cmp.Compare(b.Run.P95Ms, a.Run.P95Ms)
		case "name":
			return cmp.Compare(a.FuncOrClassName, b.FuncOrClassName)
		}
		return cmp.Or(cmp.Compare(b.Rate(), a.Rate()), cmp.Compare(b.Running, a.Running))
	})
	for _, f := range all {
		tab.row(f.FuncOrClassName, jobsOf(&f), fmt.Sprintf("%.1f", f.Rate()), f.Running, f.Waiting, f.Done(), f.Failed,
			formatMillis(f.Run.P50Ms), formatMillis(f.Run.P95Ms))
	}
	return tab
}

// jobsOf names the job that calls a function, or says how many do.
func jobsOf(f *api.FunctionSummary) string {
	if len(f.JobIDs) > 1 {
		return count(len(f.JobIDs), "job")
	}
	return strings.Join(f.JobIDs, "")
}

func jobTable(l look, sort string) *table {
	tab := newTable("~JOB", "STATUS", "RUNS FOR", "DRIVER", "~ENTRYPOINT")
	all := slices.Clone(l.Jobs)
	slices.SortStableFunc(all, func(a, b job) int {
		if sort == "name" {
			return cmp.Compare(a.id(), b.id())
		}
		return b.Started.Compare(a.Started)
	})
	for _, j := range all {
		tab.row(j.id(), j.Status, formatAge(j.Started, l.at), j.Node, j.Entrypoint)
	}
	return tab
}

func workerTable(l look, sort string) *table {
	tab := newTable("WORKER", "PID", "JOB", "KIND", "STATE", "~RUNNING")
	all := slices.Clone(l.Workers)
	slices.SortStableFunc(all, func(a, b api.WorkerRow) int {
		switch sort {
		case "function":
			return cmp.Compare(a.Running, b.Running)
		case "state":
			return cmp.Compare(a.State, b.State)
		}
		return cmp.Or(cmp.Compare(len(a.NodeID), len(b.NodeID)), cmp.Compare(a.NodeID, b.NodeID), // n2 before n10
			cmp.Compare(len(a.WorkerID), len(b.WorkerID)), cmp.Compare(a.WorkerID, b.WorkerID))
	})
	for _, w := range all {
		kind := strings.ToLower(w.WorkerType)
		if w.ActorID != "" {
			kind = "actor"
		}
		tab.row(w.WorkerID, w.PID, w.JobID, kind, w.State, w.Running)
	}
	return tab
}

// plainTop is all of it, printed.
func plainTop(l look, width int) []string {
	l.warning = "" // it has been told
	v := topView{look: l}
	wide := cmp.Or(width, 160)
	lines := slices.DeleteFunc(v.heading(wide), func(line string) bool { return line == "" })
	lines[0] = cut(fmt.Sprintf("gray at %s: %s, %s under way, %s", l.Address, count(l.living(), "node"), count(len(l.Jobs), "job"),
		count(len(l.Workers), "worker")), wide)
	lines = append(lines, nodeLines(l, wide)...)
	for _, p := range panes {
		tab := p.rows(l, p.sorts[0])
		if len(tab.rows) == 0 {
			continue
		}
		lines = append(lines, "")
		lines = append(lines, tab.lines(width)...)
	}
	return lines
}

// style puts a line that is cut to size into a style, where there may be any.
func style(code, line string) string {
	if !tty.Color() || line == "" {
		return line
	}
	return code + line + "\x1b[0m"
}

func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len([]rune(s)))) }
