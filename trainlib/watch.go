package trainlib

import (
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

var (
	samplesTotal = gray.NewCounter("trainlib_samples_total", "Samples that were trained on.", "name")
	secondsTotal = gray.NewCounter("trainlib_seconds_total", "How long training took, by phase of the step: data, compute, communicate.", "name", "phase")
	sentTotal    = gray.NewCounter("trainlib_sent_bytes_total", "Bytes that workers gave to other workers and to servers, shared memory included.", "name")
	lossGauge    = gray.NewGauge("trainlib_loss", "The latest step's loss.", "name")
)

type phase int

const (
	phaseData phase = iota
	phaseCompute
	phaseCommunicate
	phases
)

var phaseNames = [phases]string{"data", "compute", "communicate"}

// Times is how long a worker has spent on what, in seconds. Communicate has the waiting for others in it.
type Times struct {
	Data, Compute, Communicate float64
	Samples, Steps             int64
	Sent                       int64 // bytes that it gave to others
}

const (
	flushEvery = 100 * time.Millisecond
	maxSpans   = 16384
)

// watch sums up what a worker spends its time on.
type watch struct {
	began   time.Time
	times   Times
	flushed Times
	last    time.Time // flushed
	now     time.Time // as of the latest end
	tracing bool
	spans   []Span // the latest, in a ring
	next    int

	formerly int64 // bytes that were sent in former generations
}

// Span is a part of a step, for a trace.
type Span struct {
	Phase      int
	Begin, End int64 // nanoseconds of Unix time
}

func (w *watch) begin() { w.began = time.Now() }

func (w *watch) end(p phase) {
	w.now = time.Now()
	w.count(p, w.began, w.now)
}

// split ends what was begun: some time of it was the first phase's, the rest the second's.
func (w *watch) split(first phase, some time.Duration, second phase) {
	w.now = time.Now()
	middle := w.began.Add(some)
	w.count(first, w.began, middle)
	w.count(second, middle, w.now)
}

func (w *watch) count(p phase, from, to time.Time) {
	s := to.Sub(from).Seconds()
	switch p {
	case phaseData:
		w.times.Data += s
	case phaseCompute:
		w.times.Compute += s
	case phaseCommunicate:
		w.times.Communicate += s
	}
	if !w.tracing {
		return
	}
	span := Span{int(p), from.UnixNano(), to.UnixNano()}
	if len(w.spans) < maxSpans {
		w.spans = append(w.spans, span)
	} else {
		w.spans[w.next%maxSpans] = span
	}
	w.next++
}

// step counts a step, and reports whether it's time to flush.
func (w *watch) step(samples int, sent int64) bool {
	w.times.Sent = sent
	w.times.Samples += int64(samples)
	w.times.Steps++
	if w.last.IsZero() {
		w.last = w.began
	}
	return w.now.Sub(w.last) >= flushEvery
}

// flushed is what was counted since the last time.
type flushed struct {
	steps, samples, sent, wall float64
	seconds                    [phases]float64
}

func (w *watch) flush(now time.Time) flushed {
	f := flushed{
		steps: float64(w.times.Steps - w.flushed.Steps), samples: float64(w.times.Samples - w.flushed.Samples),
		sent: float64(w.times.Sent - w.flushed.Sent), wall: now.Sub(w.last).Seconds(),
		seconds: [phases]float64{w.times.Data - w.flushed.Data, w.times.Compute - w.flushed.Compute, w.times.Communicate - w.flushed.Communicate},
	}
	w.flushed, w.last = w.times, now
	return f
}

// values is what a run is told of these steps, by a worker of so many: the others are taken to be as it is. Times are of a step.
func (f flushed) values(loss, stale float64, workers int) map[string]float64 {
	n := float64(workers)
	return map[string]float64{
		"loss": loss, "samples_per_s": f.samples * n / f.wall, "bytes_per_s": f.sent * n / f.wall,
		"data_s": f.seconds[phaseData] / f.steps, "compute_s": f.seconds[phaseCompute] / f.steps, "communicate_s": f.seconds[phaseCommunicate] / f.steps,
		"staleness": stale,
	}
}
