package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/metrics"
	"github.com/gray-runtime/gray/internal/recorder"
)

const (
	// shownFunctions of a job have series of their own, those with most tasks; all others
	// are one, "other". shownCounts bounds them over all jobs: the newest jobs are shown.
	shownFunctions = 100
	shownCounts    = 500
	otherFunctions = "other"
)

var (
	endedCounter = set.Counter("gray_tasks_ended_total", "Attempts of tasks and calls, by outcome: finished, failed, crashed, cancelled.",
		"job_id", "function", "outcome")
	waitHistogram = set.Histogram("gray_task_wait_seconds", "From the submission of an attempt until its function was called.", "job_id", "function")
	runHistogram  = set.Histogram("gray_task_run_seconds", "How long functions ran.", "job_id", "function")
)

var outcomes = [recorder.Outcomes]string{"finished", "failed", "crashed", "cancelled"}

func sendTasks(out chan<- prometheus.Metric, counts []jobCounts) {
	for _, c := range fewer(counts, shownFunctions, shownCounts) {
		job := ids.JobID(c.job).String()
		for i, count := range c.Ended {
			endedCounter.Send(out, float64(count), job, c.function, outcomes[i])
		}
		sendDurations(waitHistogram, out, &c.Wait, c.WaitSum, job, c.function)
		sendDurations(runHistogram, out, &c.Run, c.RunSum, job, c.function)
	}
}

// fewer bounds the counts: of each job to those of perJob functions and one more, of the
// newest jobs, to about all.
func fewer(counts []jobCounts, perJob, all int) []jobCounts {
	ended := func(c *jobCounts) (n uint64) {
		for _, k := range c.Ended {
			n += k
		}
		return n
	}
	slices.SortFunc(counts, func(a, b jobCounts) int {
		return cmp.Or(-cmp.Compare(a.job, b.job), -cmp.Compare(ended(&a), ended(&b)), cmp.Compare(a.function, b.function))
	})
	var out []jobCounts
	for begin := 0; begin < len(counts) && len(out) < all; {
		end := begin
		other := jobCounts{job: counts[begin].job, function: otherFunctions}
		shown := 0
		for ; end < len(counts) && counts[end].job == other.job; end++ {
			c := &counts[end]
			if shown < perJob && c.function != "" && c.function != otherFunctions {
				out = append(out, *c)
				shown++
				continue
			}
			other.Add(&c.Counts)
		}
		if shown < end-begin {
			out = append(out, other)
		}
		begin = end
	}
	return out
}

func sendDurations(m *metrics.Metric, out chan<- prometheus.Metric, h *recorder.Histogram, sum time.Duration, labels ...string) {
	buckets := make(map[float64]uint64, recorder.Buckets-1)
	var upTo uint64
	for i := range recorder.Buckets - 1 {
		upTo += h[i]
		buckets[recorder.Bound(i).Seconds()] = upTo
	}
	m.SendHistogram(out, h.Total(), sum.Seconds(), buckets, labels...)
}
