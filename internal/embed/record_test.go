package embed

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/internal/daemon"
)

// TestRecordFollowsTheHeads: what was learned before the file is written is in it,
// and what is learned later, too.
func TestRecordFollowsTheHeads(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "info.json")
	r := &record{}
	r.setHeads([]string{"a:1"})
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("written before the daemon is ready: %v", err)
	}
	info, err := r.begin(dir, daemon.Info{Node: 7})
	if err != nil || !slices.Equal(info.Heads, []string{"a:1"}) {
		t.Errorf("%+v, %v", info, err)
	}
	r.setHeads([]string{"a:1", "b:1"})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got daemon.Info
	if err := json.Unmarshal(data, &got); err != nil || got.Node != 7 || !slices.Equal(got.Heads, []string{"a:1", "b:1"}) {
		t.Errorf("%s: %v", data, err)
	}
}
