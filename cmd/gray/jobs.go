package main

import (
	"time"

	"github.com/spf13/cobra"
)

func newJobs(t *terminal) *cobra.Command {
	return jobListing("jobs").command(t)
}

func jobListing(use string) listing[job] {
	return listing[job]{
		use: use, short: "Show the jobs",
		get:    all(cluster.Jobs),
		header: []string{"JOB", "STATUS", "STARTED", "TOOK", "EXIT", "~ENTRYPOINT", "~MESSAGE"},
		row: func(j job, now time.Time) []any {
			exit := any("")
			if j.ExitCode != nil {
				exit = *j.ExitCode
			}
			return []any{j.id(), j.Status, ago(j.Started, now), took(j, now), exit, j.Entrypoint, remark(j)}
		},
		none: "no jobs",
	}
}

// remark is what there is to say of a job, besides its status, in a line.
func remark(j job) string {
	switch j.Status {
	case "FAILED":
		return cause(j)
	case "PENDING":
		return firstLine(j.Message)
	}
	return ""
}

func ago(t, now time.Time) string {
	if s := formatAge(t, now); s != "-" {
		return s + " ago"
	}
	return ""
}

func took(j job, now time.Time) string {
	if j.Ended.IsZero() {
		return formatAge(j.Started, now)
	}
	return formatAge(j.Started, j.Ended)
}
