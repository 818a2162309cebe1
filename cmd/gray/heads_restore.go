package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	grayhead "github.com/gray-runtime/gray/head"
	"github.com/gray-runtime/gray/internal/daemon"
)

// restored is what became of a backup.
type restored struct {
	DataDir string `json:"data_dir"`
	grayhead.Restored
}

func newHeadsRestore(t *terminal) *cobra.Command {
	var f startFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data dir of a backup, for a head to go on with the cluster",
		Long: "Makes a new data dir of FILE, which `gray heads backup` wrote, for when all heads\n" +
			"are lost. `gray start --head` then begins the cluster's only head on it, with what\n" +
			"the backup has: jobs, nodes, actors, keys, packages, token and certificates. What\n" +
			"came after the backup is lost. No other head of the cluster may run any more;\n" +
			"more heads join the new one with `gray start --head --join`.",
		Example: "  gray heads restore cluster.backup --data-dir /var/lib/gray\n" +
			"  gray start --head --data-dir /var/lib/gray",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return restoreHead(t, &f, args[0], asJSON) },
	}
	c.Flags().StringVar(&f.dataDir, "data-dir", "", "`DIR` of gray start (default: ~/.gray/data)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func restoreHead(t *terminal, f *startFlags, file string, asJSON bool) error {
	root, err := f.dataRoot()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "head")
	infos, err := daemon.List()
	if err != nil {
		return err
	}
	if err := checkHeads(infos, 0, dir); err != nil { // it needs no port
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer in.Close()
	m := &meter{}
	if st, err := in.Stat(); err == nil {
		m.total = st.Size()
	}
	done := t.transfer(context.Background(), "restoring", m)
	r, err := grayhead.Restore(dir, m.reader(in))
	done()
	if err != nil {
		return fmt.Errorf("restore %s: %w", file, err)
	}
	if asJSON {
		return t.json(restored{dir, r})
	}
	fmt.Fprintf(t.out, "%s has cluster %s as it was at %s: %d nodes, %d jobs, %d actors, %d packages.\n\n",
		dir, r.Cluster, r.Created.Format(time.RFC3339), r.Nodes, r.Jobs, r.Actors, r.Packages)
	next := "gray start --head"
	if f.dataDir != "" {
		next += " --data-dir " + root
	}
	fmt.Fprintf(t.out, "Go on with it: %s\n", next)
	return nil
}
