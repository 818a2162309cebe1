package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWorkingDir: a submitted job's driver and workers on all nodes are in a copy of the folder
// that it was submitted with, and tasks in one that the driver chose.
func TestWorkingDir(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	h.startNode()
	mine, other := filepath.Join(h.dir, "mine"), filepath.Join(h.dir, "other")
	for dir, text := range map[string]string{mine: "mine", other: "other"} {
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sub", "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	job := "e2e/testdata/folder/job.go"
	for range 2 { // the second finds everything there
		out := h.must("submit", job, "--working-dir", mine, "--", "--file", "sub/file", "--other", other)
		if want := "the driver reads mine\nn1 reads mine\nn1 reads other\nn2 reads mine\nn2 reads other\n"; out != want {
			t.Errorf("got  %q\nwant %q", out, want)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(mine, "out")); err != nil {
		t.Fatal(err)
	}
	h.fails(1, []string{"--working-dir", `"out"`, "leads out"}, "submit", job, "--working-dir", mine)
	h.fails(1, []string{"--working-dir", "no such file"}, "submit", job, "--working-dir", filepath.Join(h.dir, "none"))
}
