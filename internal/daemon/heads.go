package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SaveHeads keeps the control addresses of the heads of the cluster at address in the
// user's home, for the day when none answers there.
func SaveHeads(address string, heads []string) error {
	home, err := Home()
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(heads), func(h string) bool { return h == address })
	slices.Sort(others) // whichever leads: a failover is nothing to write down
	if slices.Equal(FindHeads(address), others) {
		return nil
	}
	path := filepath.Join(home, "heads", fileName(address))
	if len(others) == 0 {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("forget heads: %w", err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save heads: %w", err)
	}
	if err := writeFile(path, []byte(strings.Join(others, "\n")+"\n")); err != nil {
		return fmt.Errorf("save heads: %w", err)
	}
	return nil
}

// FindHeads returns the addresses that SaveHeads kept for the cluster at address, other
// than address itself. What can't be read is as good as unknown: they're hints.
func FindHeads(address string) []string {
	home, err := Home()
	if err != nil {
		return nil
	}
	data, err := readOwn(filepath.Join(home, "heads", fileName(address)))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}
