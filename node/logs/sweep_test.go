package logs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestSweep(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		limits Limits
		want   []string
	}{
		"none":  {Limits{}, []string{"a.log", "b.log", "c.log", "node.log", "other"}},
		"age":   {Limits{Age: 90 * time.Minute}, []string{"b.log", "c.log", "node.log", "other"}},
		"bytes": {Limits{Bytes: 100}, []string{"c.log", "node.log", "other"}},
		"both":  {Limits{Age: time.Second, Bytes: 1000}, []string{"node.log", "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(name string, size int, age time.Duration) {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
					t.Fatal(err)
				}
			}
			put("a.log", 50, 2*time.Hour) // the oldest, though its beginning is older than that of b
			put("a.log.1", 50, 3*time.Hour)
			put("a.log.tasks", 10, 2*time.Hour)
			put("b.log", 90, time.Hour)
			put("b.log.1.tasks", 10, 9*time.Hour)
			put("c.log", 80, time.Minute)
			put("node.log", 1000, 9*time.Hour)
			put("other", 1000, 9*time.Hour)
			before, _ := os.ReadDir(dir)
			removed, err := Sweep(dir, c.limits, now, func(name string) bool { return name == "node.log" })
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			after, _ := os.ReadDir(dir)
			for _, e := range after {
				if n := e.Name(); !slices.Contains([]string{"a.log.1", "a.log.tasks", "b.log.1.tasks"}, n) {
					got = append(got, n)
				} else if len(before) != len(after) && removed == 3 {
					t.Errorf("%s was left", n)
				}
			}
			if !slices.Equal(got, c.want) || removed != 5-len(c.want) {
				t.Errorf("left %v, removed %d, want %v", got, removed, c.want)
			}
		})
	}
}
