package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/daemon"
)

func newStop(t *terminal) *cobra.Command {
	var force, asJSON bool
	c := &cobra.Command{
		Use:   "stop",
		Short: "End what `gray start` began on this host",
		Long: "Ends all of your heads and nodes on this host, with the jobs' processes on them:\n" +
			"asks first, and kills what hasn't gone after 5 seconds.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			stopped, err := daemon.Stop(c.Context(), force, func(line string) { t.note("%s", line) })
			if asJSON {
				return errors.Join(err, t.json(append([]daemon.Stopped{}, stopped...)))
			}
			for _, s := range stopped {
				fmt.Fprintln(t.out, stoppedLine(s))
			}
			if err == nil && len(stopped) == 0 {
				fmt.Fprintln(t.out, "nothing to stop: no gray daemon of yours runs on this host")
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&force, "force", false, "kill at once")
	return c
}

func stoppedLine(s daemon.Stopped) string {
	what := "the head"
	if s.Role == daemon.RoleNode {
		what = fmt.Sprintf("node n%d", s.Node)
	}
	how := "stopped"
	if s.Killed {
		how = "killed"
	}
	line := fmt.Sprintf("%s %s", how, what)
	if s.Address != "" {
		line += " of the cluster at " + s.Address
	}
	if s.PID != 0 {
		line += fmt.Sprintf(" (pid %d)", s.PID)
	}
	return line
}
