package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	grayhead "github.com/gray-runtime/gray/head"
	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/pki"
)

// emptyBackup is the backup of a cluster that has nothing yet.
func emptyBackup(t *testing.T) []byte {
	t.Helper()
	ca, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s := fsm.New()
	s.Apply(&fsm.Command{Body: &fsm.Command_Init{Init: &fsm.Init{Cluster: 10, Authority: ca.Marshal(), Token: ca.NewToken().String()}}})
	var state, out bytes.Buffer
	if _, err := s.Snapshot().WriteTo(&state); err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(&out)
	for _, e := range []struct{ name, content string }{
		{"gray-backup.json", `{"format":1,"cluster":"0000000a","created_unix_ms":1000}`}, {"state", state.String()},
	} {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHeadsRestore(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("HOME", dir)
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		c := newHeadsRestore(&terminal{out: &out, err: &out})
		strict(c)
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(args)
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	file := filepath.Join(dir, "backup")
	if err := os.WriteFile(file, emptyBackup(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{filepath.Join(dir, "data"), filepath.Join(dir, ".gray", "data")} {
		args, next := []string{file, "--data-dir", root}, "gray start --head --data-dir "+root
		if strings.Contains(root, ".gray") { // the default
			args, next = args[:1], "gray start --head\n"
		}
		out, err := run(args...)
		if err != nil || !strings.Contains(out, "cluster 0000000a") || !strings.Contains(out, next) {
			t.Errorf("%s: %q, %v", root, out, err)
		}
		h, err := grayhead.Start(t.Context(), grayhead.Config{DataDir: filepath.Join(root, "head")})
		if err != nil {
			t.Fatal(err)
		}
		if h.ClusterID() != 10 {
			t.Errorf("cluster %s", h.ClusterID())
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), "isn't empty") {
			t.Errorf("once more: %v", err)
		}
	}
	for _, c := range []struct {
		args []string
		text string
	}{
		{nil, "accepts 1 arg"},
		{[]string{filepath.Join(dir, "none")}, "open the backup"},
		{[]string{os.Args[0], "--data-dir", filepath.Join(dir, "x")}, fmt.Sprintf("restore %s: unusable backup", os.Args[0])},
	} {
		if out, err := run(c.args...); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: %q, %v", c.args, out, err)
		}
	}
}
