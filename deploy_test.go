package gray

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDashboardAsksForMetricsThatExist holds the Grafana dashboard against docs/metrics.md,
// which the tests of node and head hold against the code.
func TestDashboardAsksForMetricsThatExist(t *testing.T) {
	data, err := os.ReadFile("deploy/grafana/gray.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(doc), -1) {
		kinds[m[1]] = m[2]
	}
	metric := regexp.MustCompile(`\b(gray|go|process)_\w+`)
	asked := map[string]bool{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			names := metric.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s asks for no metric: %s", p.Title, target.Expr)
			}
			for _, name := range names {
				base := name
				for _, suffix := range []string{"_bucket", "_count", "_sum"} {
					if cut, ok := strings.CutSuffix(name, suffix); ok && kinds[cut] == "histogram" {
						base = cut
					}
				}
				switch {
				case kinds[base] == "":
					t.Errorf("%s asks for %s, which docs/metrics.md doesn't have", p.Title, name)
				case kinds[base] == "histogram" && base == name:
					t.Errorf("%s asks for the histogram %s as if it were a number", p.Title, name)
				case kinds[base] == "counter" && !strings.Contains(target.Expr, "rate("):
					t.Errorf("%s shows the counter %s by itself", p.Title, name)
				}
				asked[base] = true
			}
		}
	}
	if len(asked) < 30 {
		t.Errorf("the dashboard asks for %d metrics: not all of it was read", len(asked))
	}
}
