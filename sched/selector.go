package sched

import (
	"slices"
	"strings"
)

// SelectorOp is what a Selector asks of a label.
type SelectorOp int

// What a Selector may ask.
const (
	In        SelectorOp = iota // the label is there, with one of the values
	NotIn                       // the label isn't there, or has none of the values
	Exists                      // the label is there
	NotExists                   // the label isn't there
)

// Selector is a condition on the labels of a node. It is hard: a node that
// doesn't meet it is none.
type Selector struct {
	Key    string
	Op     SelectorOp
	Values []string // In, NotIn
}

// Match reports whether labels meet the condition. An unknown Op is never met.
func (l Selector) Match(labels map[string]string) bool {
	value, ok := labels[l.Key]
	switch l.Op {
	case In:
		return ok && slices.Contains(l.Values, value)
	case NotIn:
		return !ok || !slices.Contains(l.Values, value)
	case Exists:
		return ok
	case NotExists:
		return !ok
	}
	return false
}

// String gives l as in "zone in (a, b)".
func (l Selector) String() string {
	switch l.Op {
	case In:
		return l.Key + " in (" + strings.Join(l.Values, ", ") + ")"
	case NotIn:
		return l.Key + " not in (" + strings.Join(l.Values, ", ") + ")"
	case Exists:
		return l.Key + " present"
	case NotExists:
		return l.Key + " absent"
	}
	return l.Key + " unknown condition"
}

// unmet gives the first selector that labels don't meet.
func unmet(selectors []Selector, labels map[string]string) (Selector, bool) {
	for i := range selectors {
		if !selectors[i].Match(labels) {
			return selectors[i], true
		}
	}
	return Selector{}, false
}
