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
	// are one, "other". With shownCounts of them no older jobs are shown.
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
	for _, c := range counts {
		job := ids.JobID(c.job).String()
		for i, count := range c.Ended {
			endedCounter.Send(out, float64(count), job, c.function, outcomes[i])
		}
		sendDurations(waitHistogram, out, &c.Wait, c.WaitSum, job, c.function)
		sendDurations(runHistogram, out, &c.Run, c.RunSum, job, c.function)
	}
}

// shownTasks are the counts that have series.
func (n *Node) shownTasks() (out []jobCounts) {
	for _, job := range n.countedJobs() {
		if len(out) >= shownCounts {
			break
		}
		counts, _ := n.taskCounts(job)
		out = append(out, fewer(job, counts, shownFunctions)...)
	}
	return out
}

// fewer bounds a job's counts to those of so many functions, and one of all others.
func fewer(job uint32, counts []jobCounts, functions int) (out []jobCounts) {
	slices.SortFunc(counts, func(a, b jobCounts) int {
		return cmp.Or(-cmp.Compare(a.Total(), b.Total()), cmp.Compare(a.function, b.function))
	})
	other := jobCounts{job: job, function: otherFunctions}
	for i := range counts {
		if c := &counts[i]; len(out) < functions && c.function != "" && c.function != otherFunctions {
			out = append(out, *c)
		} else {
			other.Add(&c.Counts)
		}
	}
	if len(out) < len(counts) {
		out = append(out, other)
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
