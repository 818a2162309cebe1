package logs

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestMarks: what a task has written is found across a rotation and after the log's end.
func TestMarks(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(filepath.Join(dir, "first"), 200)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	write := func(task, text string) {
		t.Helper()
		if _, err := f.WriteOf(task, []byte(text)); err != nil {
			t.Fatal(err)
		}
		want[task] += text
	}
	write("", "nobody's\n")
	write("a", "a one\n")
	write("a", "a two\n")
	write("b", "b one\n")
	if err := f.Rename(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	write("a", "a three\n")
	for i := range 12 { // over the limit once
		write("c", fmt.Sprintf("c %d, which is longer\n", i))
	}
	write("", "nobody's\n")
	check := func() {
		t.Helper()
		for task, text := range want {
			var b strings.Builder
			found, err := CopyOf(&b, dir, task)
			if task == "" {
				continue
			}
			got := strings.Split(b.String(), "\n")
			if err != nil || !found || len(b.String()) != len(text) {
				t.Errorf("%s: %v, %q, want %q", task, err, got, text)
			}
		}
		if found, err := CopyOf(&strings.Builder{}, dir, "d"); found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
	}
	check()
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	check()
	Remove(filepath.Join(dir, "log"))
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
