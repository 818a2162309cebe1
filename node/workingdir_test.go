package node

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/node/folders"
	"github.com/gray-runtime/gray/proto"
)

// TestUnfetchedWorkingDir: a worker whose working directory no node has isn't started, and the
// error says which and where it was sought.
func TestUnfetchedWorkingDir(t *testing.T) {
	n := storing(t)
	n.peers = newPeers(nil)
	var err error
	if n.folders, err = folders.Open(filepath.Join(t.TempDir(), "folders"), 1<<20); err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("0a", 32)
	p := &process{job: &job{id: 1}, env: &proto.Environment{WorkingDir: &proto.WorkingDir{Sha256: sum, Origin: uint32(n.id), Source: "data"}}}
	_, err = n.directoryOf(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "n1 has it no more") || !strings.Contains(err.Error(), "data") {
		t.Error(err)
	}
	p.folder.Release() // none
}
