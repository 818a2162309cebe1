package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// longestRoot keeps the paths of sockets below the system's limit of about 104 bytes.
const longestRoot = 60

// Root returns the user's run folder, made if it isn't there.
func Root() (string, error) {
	base := ""
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.Getenv("TMPDIR"), "/tmp"} {
		if dir != "" && len(dir) <= longestRoot && isDir(dir) {
			base = dir
			break
		}
	}
	root := filepath.Join(base, "gray-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make run folder: %w", err)
	}
	st, err := os.Lstat(root)
	if err != nil {
		return "", fmt.Errorf("run folder: %w", err)
	}
	if !st.IsDir() {
		return "", fmt.Errorf("run folder: %s is not a folder", root)
	}
	if err := CheckOwner(root); err != nil {
		return "", fmt.Errorf("run folder: %w", err)
	}
	if st.Mode().Perm() != 0o700 {
		if err := os.Chmod(root, 0o700); err != nil {
			return "", fmt.Errorf("run folder: %w", err)
		}
	}
	return root, nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// CheckOwner returns an OwnerError if path exists and isn't the user's own.
func CheckOwner(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Getuid() {
		return &OwnerError{Path: path, UID: int(sys.Uid)}
	}
	return nil
}

// Home returns the user's folder for tokens and data, ~/.gray.
func Home() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("home folder: %w", err)
	}
	return filepath.Join(home, ".gray"), nil
}

// newInstance makes a folder for a daemon and locks it.
func newInstance(role string) (dir string, lock *os.File, err error) {
	root, err := Root()
	if err != nil {
		return "", nil, err
	}
	unlock, err := lockRoot(root)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	dir = filepath.Join(root, role+"-"+randomName())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make daemon's folder: %w", err)
	}
	lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("make daemon's lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return "", nil, fmt.Errorf("lock daemon's folder: %w", err)
	}
	return dir, lock, nil
}

func randomName() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func lockRoot(root string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(root, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock run folder: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock run folder: %w", err)
	}
	return func() { f.Close() }, nil
}

// List returns the daemons of this user on this host, heads first, and removes
// the folders of those that have died. Daemons that aren't ready are left out.
func List() ([]Info, error) {
	all, err := scan()
	if err != nil {
		return nil, err
	}
	var live []Info
	for _, info := range all {
		if info.StartedUnix != 0 {
			live = append(live, info)
		}
	}
	return live, nil
}

// scan returns one Info for each live daemon's folder. Of a process that isn't ready
// it says little, and nothing but Dir before the process has said who it is.
func scan() ([]Info, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	unlock, err := lockRoot(root)
	if err != nil {
		return nil, err
	}
	defer unlock()
	entries, err := os.ReadDir(root) // sorted: head-… before node-…
	if err != nil {
		return nil, fmt.Errorf("read run folder: %w", err)
	}
	var live []Info
	for _, e := range entries {
		role, _, ok := strings.Cut(e.Name(), "-")
		if !e.IsDir() || !ok || role != RoleHead && role != RoleNode {
			continue
		}
		dir := filepath.Join(root, e.Name())
		if isDead(dir) {
			os.RemoveAll(dir)
			continue
		}
		info := Info{Role: role}
		if data, err := os.ReadFile(filepath.Join(dir, infoFile)); err == nil {
			if json.Unmarshal(data, &info) != nil {
				info = Info{Role: role}
			}
		}
		info.Dir = dir
		live = append(live, info)
	}
	return live, nil
}

const infoFile = "info.json"

// isDead reports whether nobody holds the lock of a daemon's folder.
func isDead(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// WriteInfo records what the calling process is in its run folder.
func WriteInfo(dir string, info Info) error {
	info.Token, info.Waiting, info.Error = "", "", ""
	data, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("record daemon: %w", err)
	}
	return writeFile(filepath.Join(dir, infoFile), data)
}

// writeFile replaces a file of mode 0600 at once.
func writeFile(path string, data []byte) error {
	tmp := path + "." + randomName()
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
