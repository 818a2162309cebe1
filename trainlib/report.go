package trainlib

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// EpochReport is what came of an epoch.
type EpochReport struct {
	Epoch            int                `json:"epoch"` // from 1
	Steps            int64              `json:"steps"` // since the beginning
	Samples          int64              `json:"samples"`
	Loss             float64            `json:"loss"` // the mean over the epoch's samples, each before its step
	TestLoss         *float64           `json:"test_loss,omitempty"`
	Metrics          map[string]float64 `json:"metrics,omitempty"`
	Skipped          int64              `json:"skipped,omitempty"` // steps that were left out, since the beginning
	Seconds          float64            `json:"seconds"`
	SamplesPerSecond float64            `json:"samples_per_s"`
	Workers          int                `json:"workers"`
}

// WorkerReport is where a worker's time went, in seconds a step.
type WorkerReport struct {
	Rank        int     `json:"rank"`
	PID         int     `json:"pid"`
	Steps       int64   `json:"steps"`
	Data        float64 `json:"data_s"`
	Compute     float64 `json:"compute_s"`
	Communicate float64 `json:"communicate_s"` // as long as it takes the worker that waits least
	Wait        float64 `json:"wait_s"`        // for slower workers
	Sent        float64 `json:"sent_bytes"`    // bytes that it gave to others, in a step
	Utilisation float64 `json:"utilisation"`   // the part of its time in which it computed
}

// Report is what came of training.
type Report struct {
	Name    string         `json:"name"`
	Epochs  []EpochReport  `json:"epochs"` // of this Run: one that resumed has the later ones only
	Workers []WorkerReport `json:"workers"`
	// OneWorker is how many samples a second one worker would take: by steps with whole batches, without reading data, that one makes while the
	// others do nothing, when training is over. 0 if there is one only.
	OneWorker float64 `json:"one_worker_samples_per_s,omitempty"`
	// Efficiency is the workers' rate in their loops by OneWorker and by their number.
	Efficiency       float64 `json:"efficiency"`
	Steps            int64   `json:"steps"`
	Seconds          float64 `json:"seconds"` // of training, without testing and starting
	SamplesPerSecond float64 `json:"samples_per_s"`
	Failures         int     `json:"failures"` // times that workers died
	Resumed          string  `json:"resumed,omitempty"`
	StoppedEarly     bool    `json:"stopped_early,omitempty"`
	Advice           *Advice `json:"advice,omitempty"` // that Auto took
	State            State   `json:"-"`                // at the end: see Load
}

// Loss is the last epoch's.
func (r *Report) Loss() float64 {
	if len(r.Epochs) == 0 {
		return 0
	}
	return r.Epochs[len(r.Epochs)-1].Loss
}

// Metric is the last epoch's.
func (r *Report) Metric(name string) float64 {
	if len(r.Epochs) == 0 {
		return 0
	}
	return r.Epochs[len(r.Epochs)-1].Metrics[name]
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d steps in %s, %s samples/s", r.Name, r.Steps, seconds(r.Seconds), thousands(r.SamplesPerSecond))
	if len(r.Epochs) > 0 {
		b.WriteString(", " + r.Epochs[len(r.Epochs)-1].values())
	}
	fmt.Fprintf(&b, "\n%-6s %8s %12s %12s %12s %12s %12s %6s\n", "worker", "steps", "data", "compute", "communicate", "wait", "sent", "busy")
	for _, w := range r.Workers {
		fmt.Fprintf(&b, "%-6d %8d %12s %12s %12s %12s %12s %5.0f%%\n", w.Rank, w.Steps,
			seconds(w.Data), seconds(w.Compute), seconds(w.Communicate), seconds(w.Wait), bytesText(w.Sent), w.Utilisation*100)
	}
	fmt.Fprintf(&b, "efficiency against one worker %.0f%%", r.Efficiency*100)
	if r.OneWorker > 0 {
		fmt.Fprintf(&b, ", which would take %s samples/s", thousands(r.OneWorker))
	}
	if r.Failures > 0 {
		fmt.Fprintf(&b, ", workers died %d times", r.Failures)
	}
	return b.String() + "\n"
}

// values is an epoch's losses and metrics.
func (e EpochReport) values() string {
	s := fmt.Sprintf("loss %.6g", e.Loss)
	if e.TestLoss != nil {
		s += fmt.Sprintf(", test loss %.6g", *e.TestLoss)
	}
	for _, name := range sortedKeys(e.Metrics) {
		s += fmt.Sprintf(", %s %.4g", name, e.Metrics[name])
	}
	return s
}

// numbers is what a run is told of an epoch: wait_s is of the worker that waits most.
func (e EpochReport) numbers(workers []WorkerReport) map[string]float64 {
	all := map[string]float64{"loss": e.Loss, "samples_per_s": e.SamplesPerSecond, "wait_s": 0}
	if e.TestLoss != nil {
		all["test_loss"] = *e.TestLoss
	}
	maps.Copy(all, e.Metrics)
	for _, w := range workers {
		all["wait_s"] = max(all["wait_s"], w.Wait)
	}
	return all
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Nanosecond).String()
}

// thousands is a rate, with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	if v < 10 {
		return fmt.Sprintf("%.2g", v)
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// report makes each worker's part of what they measured.
func report(ranks []status) (workers []WorkerReport) {
	least := 0.0 // of communication in a step
	for i, s := range ranks {
		if c := s.Times.Communicate / float64(max(s.Times.Steps, 1)); i == 0 || c < least {
			least = c
		}
	}
	for rank, s := range ranks {
		n := float64(max(s.Times.Steps, 1))
		w := WorkerReport{Rank: rank, PID: s.PID, Steps: s.Times.Steps, Data: s.Times.Data / n, Compute: s.Times.Compute / n, Sent: float64(s.Times.Sent) / n}
		w.Communicate = min(s.Times.Communicate/n, least)
		w.Wait = s.Times.Communicate/n - w.Communicate
		if all := w.Data + w.Compute + w.Communicate + w.Wait; all > 0 {
			w.Utilisation = w.Compute / all
		}
		workers = append(workers, w)
	}
	return workers
}
