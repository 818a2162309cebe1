package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/version"
)

func newVersion(t *terminal) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info := version.Get()
			if asJSON {
				return t.json(info)
			}
			s := "gray " + info.Version
			if len(info.Revision) >= 12 {
				s += " (" + info.Revision[:12] + ")"
			}
			fmt.Fprintln(t.out, s, info.Go, info.Platform)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
