package runs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

func report(id string, step int64, values map[string]float64) *proto.RunReport {
	p := &proto.RunPoint{Step: step, TimeUnixMs: step * 10}
	for k, v := range values {
		p.Keys, p.Values = append(p.Keys, k), append(p.Values, v)
	}
	return &proto.RunReport{Run: &proto.RunInfo{Id: id, Name: "mnist", Kind: "training", TotalSteps: 100}, Points: []*proto.RunPoint{p}}
}

func TestSeriesKeepsTheWholeRangeAtHalfTheResolution(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var s series
		n := 1 + r.IntN(20*maxPoints)
		for i := range n {
			s.add(point{step: int64(i)})
		}
		d := s.describe("loss", true)
		stride := int64(s.stride)
		for i, step := range d.Steps[:len(d.Steps)-1] {
			if step != int64(i)*stride {
				t.Fatalf("of %d points, point %d is of step %d: every %d-th is kept", n, i, step, stride)
			}
		}
		if last := d.Steps[len(d.Steps)-1]; last != int64(n-1) || len(d.Steps) > maxPoints+1 || n > maxPoints && len(d.Steps) < maxPoints/2 {
			t.Fatalf("of %d points %d are there, the last of step %d", n, len(d.Steps), last)
		}
	}
}

func TestRunIsKeptAfterItsJob(t *testing.T) {
	b := New()
	b.Report(3, report("r", 1, map[string]float64{"loss": 2, "staleness": 3}), 1000)
	b.Report(3, report("r", 2, map[string]float64{"loss": 1, "staleness": 5000}), 2000)
	b.Report(4, report("r", 9, map[string]float64{"loss": 9}), 2500) // another job's
	b.JobEnded(3, 3000)
	got := b.List("r").Runs[0]
	if got.Name != "mnist" || got.Kind != "training" || got.Job != 3 || got.Step != 2 || got.EndedUnixMs != 3000 || got.BegunUnixMs != 1000 || got.TotalSteps != 100 {
		t.Errorf("the run: %v", got)
	}
	if s := got.Series[0]; s.Key != "loss" || len(s.Values) != 2 || s.Values[1] != 1 || s.Steps[1] != 2 || s.TimesUnixMs[1] != 20 {
		t.Errorf("the loss: %v", s)
	}
	if s := got.Series[1]; s.Counts[3] != 1 || s.Counts[len(s.Counts)-1] != 1 {
		t.Errorf("the staleness 3 and 5000 is counted as %v in buckets up to %v", s.Counts, s.Bounds)
	}
	if all := b.List(""); len(all.Runs) != 1 || len(all.Runs[0].Series[0].Values) != 1 || all.Runs[0].Series[0].Values[0] != 1 {
		t.Errorf("all runs: %v", all)
	}
}

func TestRunsAreBounded(t *testing.T) {
	b := New()
	for i := range MaxRuns + 3 {
		b.Report(1, report(fmt.Sprint(i), 1, nil), int64(i))
	}
	if n, dropped := b.Len(); n != MaxRuns || dropped != 3 {
		t.Errorf("%d runs, %d dropped while all go on", n, dropped)
	}
	b.JobEnded(1, 5000)
	b.Report(2, report("new", 1, nil), 6000)
	if n, dropped := b.Len(); n != MaxRuns || dropped != 4 || len(b.List("0").Runs) != 0 || len(b.List("new").Runs) != 1 {
		t.Errorf("%d runs, %d dropped; the oldest is to go for the new one", n, dropped)
	}
	many := map[string]float64{}
	for i := range 2 * maxKeys {
		many[fmt.Sprint(i)] = 1
	}
	b.Report(2, report("new", 2, many), 7000)
	if got := b.List("new").Runs[0]; len(got.Series) != maxKeys || got.Dropped != maxKeys {
		t.Errorf("%d series, %d values dropped", len(got.Series), got.Dropped)
	}
	for i := range 2 * maxSeries / maxKeys {
		b.Report(3, report(fmt.Sprint("x", i), 2, many), 8000)
	}
	if b.series > maxSeries {
		t.Errorf("%d series", b.series)
	}
	total := 0
	for _, r := range b.runs {
		total += len(r.series)
	}
	if total != b.series {
		t.Errorf("%d series, counted as %d", total, b.series)
	}
}

func FuzzReport(f *testing.F) {
	seed, err := protobuf.Marshal(report("r", 1, map[string]float64{"loss": 1}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r proto.RunReport
		if protobuf.Unmarshal(data, &r) != nil {
			return
		}
		b := New()
		b.Report(1, &r, 1)
		b.Report(1, &r, 2)
		if _, err := protobuf.Marshal(b.List(r.GetRun().GetId())); err != nil {
			t.Fatal(err)
		}
	})
}
