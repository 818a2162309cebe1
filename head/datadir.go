package head

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/gray-runtime/gray/internal/pki"
)

const (
	dirFormat = 1
	dirFile   = "head.json"
	lockFile  = "LOCK"
	// authorityFile has the authority with its key, from which a head certifies
	// itself before Raft runs.
	authorityFile = "authority.pem"
)

// dataDir is a locked data dir.
type dataDir struct {
	path string
	lock *os.File
	info dirInfo
}

// dirInfo says whose a data dir is.
type dirInfo struct {
	Format  int    `json:"format"`
	Head    string `json:"head"`              // this head's name among the heads
	Cluster string `json:"cluster,omitempty"` // once it's known
	// Token is the cluster's, for as long as the state doesn't have it yet.
	Token string `json:"token,omitempty"`
	// Join are control addresses of the heads that this one is to be added to;
	// none once it was.
	Join []string `json:"join,omitempty"`
}

// openDataDir makes or opens a data dir and locks it until close.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	if err := checkOwner(path); err != nil {
		return nil, err
	}
	d := &dataDir{path: path}
	if err := d.acquire(); err != nil {
		d.close()
		return nil, err
	}
	if err := d.load(); err != nil {
		d.close()
		return nil, err
	}
	if err := os.MkdirAll(d.packages(), 0o700); err != nil {
		d.close()
		return nil, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	return d, nil
}

func checkOwner(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Getuid() {
		return fmt.Errorf("%w: %s belongs to user %d, this is user %d", ErrBadDataDir, path, sys.Uid, os.Getuid())
	}
	if st.Mode().Perm()&0o077 != 0 {
		if err := checkForeign(path); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o700); err != nil {
			return fmt.Errorf("%w: %w", ErrBadDataDir, err)
		}
	}
	return nil
}

// checkForeign refuses a folder that others may look into and that holds
// something else than a head's data: it wasn't meant to become private.
func checkForeign(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	own := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == dirFile })
	if len(entries) > 0 && !own {
		return fmt.Errorf("%w: %s isn't empty and isn't a head's: choose another with --data-dir", ErrBadDataDir, path)
	}
	return nil
}

func (d *dataDir) acquire() error {
	f, err := os.OpenFile(filepath.Join(d.path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock data dir %s: %w", d.path, err)
		}
		text := make([]byte, 32)
		n, _ := f.ReadAt(text, 0) // best effort: the lock is what counts
		pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
		if err != nil {
			pid = 0
		}
		return &InUseError{Dir: d.path, PID: pid}
	}
	d.lock = f
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	return nil
}

// load reads who the dir belongs to; a new one gets a name.
func (d *dataDir) load() error {
	b, err := os.ReadFile(filepath.Join(d.path, dirFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(d.raft()); err == nil { // under a new name this head would have no vote
			return fmt.Errorf("%w: %s has a Raft log, but %s is missing", ErrBadDataDir, d.path, dirFile)
		}
		var name [6]byte
		rand.Read(name[:])
		d.info = dirInfo{Format: dirFormat, Head: "head-" + hex.EncodeToString(name[:])}
		return d.save()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	if err := json.Unmarshal(b, &d.info); err != nil || d.info.Head == "" {
		return fmt.Errorf("%w: %s in %s is damaged", ErrBadDataDir, dirFile, d.path)
	}
	if d.info.Format != dirFormat {
		return fmt.Errorf("%w: %s has format %d, this version of gray knows %d", ErrBadDataDir, d.path, d.info.Format, dirFormat)
	}
	return nil
}

// claim notes the cluster, or finds that the dir is another's.
func (d *dataDir) claim(cluster string, token pki.Token) error {
	switch d.info.Cluster {
	case cluster, "":
		if d.info.Cluster == cluster && d.info.Token == token.String() {
			return nil
		}
		d.info.Cluster, d.info.Token = cluster, token.String()
		return d.save()
	}
	return fmt.Errorf("%w: %s belongs to cluster %s, its Raft log to cluster %s", ErrBadDataDir, d.path, d.info.Cluster, cluster)
}

// hasLog reports whether Raft ever ran here.
func (d *dataDir) hasLog() bool {
	_, err := os.Stat(d.raft())
	return err == nil
}

// authority returns what saveAuthority kept, or nil.
func (d *dataDir) authority() (*pki.Authority, error) {
	b, err := os.ReadFile(filepath.Join(d.path, authorityFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	ca, err := pki.ParseAuthority(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s in %s: %w", ErrBadDataDir, authorityFile, d.path, err)
	}
	return ca, nil
}

func (d *dataDir) saveAuthority(ca *pki.Authority) error {
	if err := writeFile(filepath.Join(d.path, authorityFile), ca.Marshal()); err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	return nil
}

// join notes which heads are to add this one, or with none that it was added.
func (d *dataDir) join(heads []string) error {
	d.info.Join = heads
	return d.save()
}

func (d *dataDir) save() error {
	b, err := json.Marshal(d.info)
	if err != nil {
		return fmt.Errorf("encode %s: %w", dirFile, err)
	}
	if err := writeFile(filepath.Join(d.path, dirFile), append(b, '\n')); err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	return nil
}

// writeFile replaces a file at once, or not at all.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return err
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d *dataDir) raft() string     { return filepath.Join(d.path, "raft.db") }
func (d *dataDir) packages() string { return filepath.Join(d.path, "packages") }

// used is how many bytes the files of the data dir have.
func (d *dataDir) used() int64 {
	var n int64
	_ = filepath.WalkDir(d.path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() { // else it has just gone
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// free is how many bytes the file system has left for it.
func (d *dataDir) free() int64 {
	var fs syscall.Statfs_t
	if syscall.Statfs(d.path, &fs) != nil {
		return 0
	}
	return int64(fs.Bavail) * fs.Bsize
}

func (d *dataDir) close() {
	if d.lock != nil {
		d.lock.Close()
	}
}
