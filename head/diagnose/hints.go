package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// MaxHints is how many hints one answer has.
	MaxHints = 100
	// Grace is how long something waits before it counts as a deadlock.
	Grace = 2 * time.Second
	// Lately is how long the dead are spoken of.
	Lately = time.Hour

	maxNamed = 4
)

// Severity of a hint.
type Severity string

// Severities, the worst first.
const (
	Error   Severity = "ERROR"   // something will never go on by itself
	Warning Severity = "WARNING" // something goes wrong, or slowly
	Info    Severity = "INFO"
)

// Kinds of hints.
const (
	KindDeadlock     = "deadlock"
	KindInfeasible   = "infeasible"
	KindLeak         = "leak"
	KindOutOfMemory  = "oom"
	KindCrashLoop    = "crash_loop"
	KindSlowNode     = "slow_node"
	KindStraggler    = "straggler"
	KindStoreFull    = "store_full"
	KindDisconnected = "disconnected"
	KindNodeDied     = "node_died"
	KindQueue        = "queue"
)

// Hint is one thing that is wrong.
type Hint struct {
	Severity Severity
	Kind     string
	Sentence string
	WayOut   string
	Job      string   // j3; empty: it's the cluster's
	IDs      []string // what it speaks of: nodes, tasks, actors, objects, processes
}

// Hints says all that is wrong, the worst first.
func Hints(f *Facts) []Hint {
	var out []Hint
	for _, rule := range []func(*Facts) []Hint{
		deadlocks, infeasible, outOfMemory, crashLoops, deadNodes, disconnected, slowNodes, stragglers, fullStores,
		func(f *Facts) []Hint { return leakHints(Leaks(f.Objects, LeakAfter, f.Now)) }, longQueues,
	} {
		out = append(out, rule(f)...)
	}
	slices.SortStableFunc(out, func(a, b Hint) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return out[:min(len(out), MaxHints)]
}

func rank(s Severity) int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// named lists a few and counts the rest.
func named(all []string) string {
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	if len(all) <= maxNamed {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:maxNamed], ", "), len(all)-maxNamed)
}

// count is n things, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// long is a duration for people.
func long(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond / 10).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond * 100).String()
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// bytes is a size for people.
func bytes(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/unit/unit/unit)
}

// firstLine is that of a text, at most as long as a sentence should be.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(line); len(r) > 400 {
		return string(r[:400]) + "…"
	}
	return line
}

// display is an actor for people: its name or class, and its id.
func (a *Actor) display() string {
	name := cmp.Or(a.Name, a.Class)
	if a.Name != "" && a.Class != "" {
		name += " of class " + a.Class
	}
	return fmt.Sprintf("%s (%s)", name, a.ID)
}
