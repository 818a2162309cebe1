package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newLogs(t *terminal) *cobra.Command {
	var g target
	var task string
	c := &cobra.Command{
		Use: "logs --task ID", Short: "Show what a task has written", Args: cobra.NoArgs,
		Long: "Show what a task has written, wherever it ran and runs, all attempts of it. Errors name the task's id, and so does gray.Current.\n" +
			"What a task that ran for less than 0.1 ms has written may be shown with the task that its process ran next.",
		RunE: func(c *cobra.Command, _ []string) error {
			if task == "" {
				return usagef("name a task: --task ID; a job's output is shown by `gray job logs`")
			}
			ctx, cancel := context.WithTimeout(c.Context(), listTimeout)
			defer cancel()
			cluster, _, err := g.open(t)
			if err != nil {
				return err
			}
			defer g.close()
			text, err := cluster.TaskLogs(ctx, task)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(t.out, text)
			return err
		},
	}
	c.Flags().StringVar(&task, "task", "", "the task's `ID`")
	g.register(c)
	return c
}
