package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Limits bound what the logs of processes that have ended may take.
type Limits struct {
	Age   time.Duration // since something was written last; 0: none
	Bytes int64         // together; 0: none
}

// ended is a log that nobody writes any more, with what is beside it.
type ended struct {
	path  string
	size  int64
	wrote time.Time
}

// Sweep removes logs from a folder that exceed the limits, the oldest first, except those
// that are kept by their names, and returns how many there were.
func Sweep(dir string, limits Limits, now time.Time, kept func(name string) bool) (removed int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("look for old logs: %w", err)
	}
	all := map[string]*ended{}
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), marksSuffix), ".1")
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || e.IsDir() || !strings.HasSuffix(name, ".log") || kept(name) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look for old logs: %w", err)
		}
		l := all[name]
		if l == nil {
			l = &ended{path: filepath.Join(dir, name)}
			all[name] = l
		}
		l.size += info.Size()
		if info.ModTime().After(l.wrote) {
			l.wrote = info.ModTime()
		}
	}
	var total int64
	var order []*ended
	for _, l := range all {
		total += l.size
		order = append(order, l)
	}
	slices.SortFunc(order, func(a, b *ended) int { return a.wrote.Compare(b.wrote) })
	for _, l := range order {
		old := limits.Age > 0 && now.Sub(l.wrote) > limits.Age
		if !old && (limits.Bytes <= 0 || total <= limits.Bytes) {
			break
		}
		Remove(l.path)
		total -= l.size
		removed++
	}
	return removed, nil
}
