package sched

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected output of testdata/*.txt")

// TestScripts runs testdata/*.txt. A script is blocks: commands, a line "----",
// and the output that they give, up to an empty line. Commands:
//
//	node ID NAME:AMOUNT... [used NAME:AMOUNT...] [label K=V...] [queued N] [draining]
//	drop ID
//	place NAME:AMOUNT... [OPTION...]      a decision
//	explain NAME:AMOUNT... [OPTION...]    reasons only
//	bundles KIND BUNDLE / BUNDLE...       BUNDLE is NAME:AMOUNT... and selectors
//
// Options: spread; affinity ID; soft; local ID; iffits; input ID=BYTES; seed N;
// or OPTION... (a fallback); in K=V,V; notin K=V,V; has K; hasnot K.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(data))
			if got == string(data) {
				return
			}
			if !*update {
				gots, wants := strings.Split(got, "\n"), strings.Split(string(data), "\n")
				at := 0
				for at < min(len(gots), len(wants))-1 && gots[at] == wants[at] {
					at++
				}
				t.Fatalf("line %d: got %q, want %q (-update rewrites it)", at+1, gots[at], wants[at])
			}
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func runScript(t *testing.T, script string) string {
	t.Helper()
	s := NewSnapshot(nil)
	var got, out strings.Builder
	skip := false
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case skip && line != "":
			continue
		case skip:
			skip = false
		case line == "----":
			skip = true
			got.WriteString("----\n" + out.String())
			out.Reset()
			continue
		case line != "" && line[0] != '#':
			next, answer, err := runLine(s, strings.Fields(line))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			s = next
			out.WriteString(answer)
		}
		got.WriteString(line + "\n")
	}
	if out.Len() > 0 {
		got.WriteString("----\n" + out.String())
	}
	return got.String()
}

var errScript = errors.New("not understood")

func runLine(s *Snapshot, line []string) (*Snapshot, string, error) {
	p := &words{left: line[1:]}
	switch line[0] {
	case "node":
		return s.With(p.node()), "", p.err
	case "drop":
		return s.Without(p.id()), "", p.err
	case "place":
		d, seed := p.demand()
		return s, answer(Place(s, d, seed)), p.err
	case "explain":
		d, _ := p.demand()
		return s, sentences(Explain(s, d)), p.err
	case "bundles":
		kind, bundles := p.bundles()
		nodes, ok, reasons := PlaceBundles(s, bundles, kind, 1)
		if !ok {
			return s, "none\n" + sentences(reasons), p.err
		}
		return s, fmt.Sprintln(nodes), p.err
	}
	return s, "", errScript
}

func answer(d Decision) string {
	switch {
	case d.Fits:
		return d.Node.String() + "\n"
	case d.Feasible:
		return "wait on " + d.Node.String() + "\n" + sentences(d.Reasons)
	}
	return "infeasible\n" + sentences(d.Reasons)
}

func sentences(reasons []Reason) string {
	var b strings.Builder
	for _, r := range reasons {
		b.WriteString("  " + r.String() + "\n")
	}
	return b.String()
}

// words reads the words of a command.
type words struct {
	left []string
	err  error
}

func (p *words) next() string {
	if len(p.left) == 0 {
		p.err = errScript
		return ""
	}
	w := p.left[0]
	p.left = p.left[1:]
	return w
}

func (p *words) number() int64 { return p.parse(p.next()) }
func (p *words) id() NodeID    { return NodeID(p.number()) }

func (p *words) parse(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.err = err
	}
	return n
}

func (p *words) resources() Resources {
	m := map[string]float64{}
	for len(p.left) > 0 && strings.Contains(p.left[0], ":") {
		name, amount, _ := strings.Cut(p.next(), ":")
		x, err := strconv.ParseFloat(amount, 64)
		if err != nil {
			p.err = err
		}
		m[name] = x
	}
	r, err := FromMap(m)
	if err != nil {
		p.err = err
	}
	return r
}

func (p *words) node() Node {
	n := Node{ID: p.id(), Total: p.resources(), Labels: map[string]string{}}
	n.Available = n.Total
	for len(p.left) > 0 {
		switch p.next() {
		case "used":
			n.Available = n.Total.Sub(p.resources())
		case "label":
			k, v, _ := strings.Cut(p.next(), "=")
			n.Labels[k] = v
		case "queued":
			n.Queued = int(p.number())
		case "draining":
			n.Draining = true
		default:
			p.err = errScript
		}
	}
	return n
}

func (p *words) demand() (d Demand, seed uint64) {
	resources := p.resources()
	d, seed = p.demandOf()
	d.Resources = resources
	return d, seed
}

func (p *words) demandOf() (d Demand, seed uint64) {
	for len(p.left) > 0 {
		switch word := p.next(); word {
		case "spread":
			d.Strategy = Spread
		case "affinity":
			d.Strategy, d.Node = Affinity, p.id()
		case "soft":
			d.Soft = true
		case "or":
			f, _ := (&words{left: p.left, err: p.err}).demandOf()
			p.left = nil
			d.Fallback = append(d.Fallback, Fallback{f.Strategy, f.Node, f.Soft, f.Selector})
			d.Fallback = append(d.Fallback, f.Fallback...)
		case "local":
			d.Local = p.id()
		case "iffits":
			d.LocalIfFits = true
		case "seed":
			seed = uint64(p.number())
		case "input":
			id, bytes, _ := strings.Cut(p.next(), "=")
			d.Inputs = append(d.Inputs, Locality{NodeID(p.parse(id)), p.parse(bytes)})
		default:
			d.Selector = append(d.Selector, p.selector(word))
		}
	}
	return d, seed
}

func (p *words) selector(word string) Selector {
	ops := map[string]SelectorOp{"in": In, "notin": NotIn, "has": Exists, "hasnot": NotExists}
	op, ok := ops[word]
	if !ok {
		p.err = errScript
	}
	key, values, some := strings.Cut(p.next(), "=")
	l := Selector{Key: key, Op: op}
	if some {
		l.Values = strings.Split(values, ",")
	}
	return l
}

func (p *words) bundles() (BundleStrategy, []Bundle) {
	kinds := map[string]BundleStrategy{
		"PACK": PackBundles, "SPREAD": SpreadBundles, "STRICT_PACK": StrictPack, "STRICT_SPREAD": StrictSpread,
	}
	kind, ok := kinds[p.next()]
	if !ok {
		p.err = errScript
	}
	bundles := []Bundle{{Resources: p.resources()}}
	for len(p.left) > 0 && p.err == nil {
		last := &bundles[len(bundles)-1]
		if word := p.next(); word == "/" {
			bundles = append(bundles, Bundle{Resources: p.resources()})
		} else {
			last.Selector = append(last.Selector, p.selector(word))
		}
	}
	return kind, bundles
}
