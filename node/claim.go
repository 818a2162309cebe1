package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// claimFile, in a node's data dir, has the fingerprint of the cluster's authority.
const claimFile = "cluster"

// DataDirError says that a data dir has a node's data of another cluster.
type DataDirError struct{ Dir string }

func (e *DataDirError) Error() string {
	return fmt.Sprintf("the data in %s is that of a node of another cluster: choose another folder with --data-dir, or remove it", e.Dir)
}

func (n *Node) authority() string {
	sum := n.cfg.Token.Fingerprint()
	return hex.EncodeToString(sum[:])
}

// checkClaim finds whether the data dir is another cluster's.
func (n *Node) checkClaim() error {
	text, err := os.ReadFile(filepath.Join(n.cfg.DataDir, claimFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("data dir: %w", err)
	case strings.TrimSpace(string(text)) != n.authority():
		return &DataDirError{n.cfg.DataDir}
	}
	return nil
}

// claim notes whose the data dir is, once the cluster has let the node in.
func (n *Node) claim() error {
	if err := os.WriteFile(filepath.Join(n.cfg.DataDir, claimFile), []byte(n.authority()+"\n"), 0o600); err != nil {
		return fmt.Errorf("data dir: %w", err)
	}
	return nil
}
