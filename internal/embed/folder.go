package embed

import (
	"os"
	"path/filepath"
	"syscall"
)

const (
	folderPattern = "gray-embed-*"
	// longestBase keeps the paths of sockets below the system's limit of about 104 bytes.
	longestBase = 50
)

// base is where clusters' folders are made.
func base() string {
	if dir := os.TempDir(); len(dir) <= longestBase {
		return dir
	}
	return "/tmp"
}

// makeRoot makes a cluster's folder, marked as used.
func makeRoot() (root string, unlock func(), err error) {
	root, err = os.MkdirTemp(base(), folderPattern)
	if err != nil {
		return "", nil, err
	}
	// The lock file gets its name when it's locked, so sweep never sees it free.
	path := filepath.Join(root, "lock")
	f, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		os.RemoveAll(root)
		return "", nil, err
	}
	return root, func() { f.Close() }, nil
}

// sweep removes the folders of this user's clusters of which all processes were killed.
func sweep(mine string) {
	dirs, _ := filepath.Glob(filepath.Join(filepath.Dir(mine), folderPattern))
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "lock")); dir == mine || err != nil {
			continue
		}
		if unlock, err := exclusive(dir); err == nil {
			os.RemoveAll(dir)
			unlock()
		}
	}
}
