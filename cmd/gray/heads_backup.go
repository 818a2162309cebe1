package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// backedUp is what became of a backup.
type backedUp struct {
	File   string `json:"file"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func newHeadsBackup(t *terminal) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "backup FILE", Short: "Write what the heads know into a file",
		Long: "Writes the cluster's state and packages into FILE. It holds the cluster's token\n" +
			"and key, so only you can read it. It's there when all has arrived and been\n" +
			"checked, or not at all.",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) != 1:
				return errors.New("into which file?")
			case args[0] == "-":
				return errors.New("a backup goes into a file, not to standard output")
			}
			return nil
		},
	}
	headsVerb(t, c, func(ctx context.Context, c cluster, args []string) (any, string, error) {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		m := &meter{}
		done := t.transfer(ctx, "backing up", m)
		b, err := backUp(args[0], force, func(w io.Writer) (string, error) { return c.Backup(ctx, m.writer(w)) })
		done()
		if err != nil {
			return nil, "", fmt.Errorf("back up into %s: %w", args[0], err)
		}
		return b, fmt.Sprintf("%s is written (%s)", b.File, formatSize(b.Size)), nil
	})
	c.Flags().BoolVar(&force, "force", false, "overwrite FILE if it exists")
	return c
}

// backUp has a file written under another name, which it gets when all of it is on
// the disk.
func backUp(path string, force bool, write func(io.Writer) (sum string, err error)) (b backedUp, err error) {
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		return b, errors.New("it's a folder")
	case err == nil && !force:
		return b, errors.New("it exists: choose another name, or give --force to overwrite it")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return b, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return b, err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	b.File = path
	if b.SHA256, err = write(f); err != nil {
		return b, err
	}
	if err = f.Sync(); err != nil {
		return b, err
	}
	if st, err = f.Stat(); err != nil {
		return b, err
	}
	b.Size = st.Size()
	return b, os.Rename(f.Name(), path)
}
