package metrics

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ContentType is that of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Exposition is families of series by name, put together from several sources.
type Exposition struct {
	families map[string]*dto.MetricFamily
	has      map[string]map[string]bool // series by family
	left     int
}

// Text is what a registry has and further families, as text: every series with one label
// more, which says where it's from.
func Text(registry prometheus.Gatherer, further []*dto.MetricFamily, label, value string) ([]byte, error) {
	e := New()
	if err := e.Gather(registry); err != nil {
		return nil, err
	}
	e.Merge(further)
	e.Label(label, value)
	var text bytes.Buffer
	err := e.Write(&text)
	return text.Bytes(), err
}

// New returns an empty exposition.
func New() *Exposition {
	return &Exposition{families: map[string]*dto.MetricFamily{}, has: map[string]map[string]bool{}}
}

// LeftOut is how many series had no place.
func (e *Exposition) LeftOut() int { return e.left }

// Merge adds families. A series that is there already, or whose family is of another kind
// than the one of this name, is left out.
func (e *Exposition) Merge(families []*dto.MetricFamily) {
	for _, f := range families {
		name := f.GetName()
		have := e.families[name]
		switch {
		case have == nil:
			have = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type}
			e.families[name], e.has[name] = have, map[string]bool{}
		case have.GetType() != f.GetType():
			e.left += len(f.Metric)
			continue
		}
		for _, m := range f.Metric {
			key := keyOf(m)
			if e.has[name][key] {
				e.left++
				continue
			}
			e.has[name][key] = true
			have.Metric = append(have.Metric, m)
		}
	}
}

func keyOf(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.Label {
		fmt.Fprintf(&b, "%s=%q,", l.GetName(), l.GetValue())
	}
	return b.String()
}

// Gather adds what a registry has.
func (e *Exposition) Gather(g prometheus.Gatherer) error {
	families, err := g.Gather()
	e.Merge(families)
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	return nil
}

// Read adds what a text says.
func (e *Exposition) Read(r io.Reader) error {
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(r)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	e.Merge(slices.Collect(maps.Values(families)))
	return nil
}

// Label gives all series a label, unless they have it.
func (e *Exposition) Label(name, value string) {
	for family, f := range e.families {
		has := map[string]bool{}
		for _, m := range f.Metric {
			if !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name }) {
				m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &value})
				slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
			}
			has[keyOf(m)] = true
		}
		e.has[family] = has
	}
}

// Write writes all as text.
func (e *Exposition) Write(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(e.families)) {
		f := e.families[name]
		if len(f.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return fmt.Errorf("write metric %s: %w", name, err)
		}
	}
	return nil
}
