package spill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// firstRest and longestRest are how long a directory that failed isn't tried: less
// than who waits for room has patience.
const firstRest, longestRest = time.Second, 4 * time.Second

// A dir is a place for files: a directory of this node's own inside one that it
// was given.
type dir struct {
	path string
	lock *os.File // held as long as the node lives

	// Guarded by Files.mu.
	current *spillFile // what is appended to
	busy    bool       // a batch is being written
	err     error      // what it failed with last, until it works again
	rest    time.Duration
	tryAt   time.Time
}

// ours matches the names of what claim makes for this user, in any node.
func ours() *regexp.Regexp {
	return regexp.MustCompile(`^gray-spill-` + strconv.Itoa(os.Getuid()) + `-[0-9]+$`)
}

var fileName = regexp.MustCompile(`^[0-9]+\.spill$`)

// claim makes a directory of this node's own inside parent, and removes those
// there whose nodes have ended.
func claim(parent string) (d *dir, err error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	// One node at a time: what another is about to lock looks abandoned.
	gate, err := os.OpenFile(filepath.Join(parent, fmt.Sprintf(".gray-spill-%d.lock", os.Getuid())), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	if err := flock(gate, unix.LOCK_EX); err != nil {
		return nil, err
	}
	if err := sweep(parent); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(parent, fmt.Sprintf("gray-spill-%d-", os.Getuid()))
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		if err = flock(lock, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return &dir{path: path, lock: lock}, nil
		}
		err = errors.Join(err, lock.Close())
	}
	return nil, errors.Join(err, empty(path))
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}

// sweep removes the directories of nodes that have ended.
func sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	mine := ours()
	for _, e := range entries {
		if !e.IsDir() || !mine.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			err = empty(path)
		} else if err == nil {
			if err = flock(lock, unix.LOCK_EX|unix.LOCK_NB); err == nil {
				err = empty(path)
			} else if errors.Is(err, unix.EWOULDBLOCK) {
				err = nil // its node lives
			}
			err = errors.Join(err, lock.Close())
		}
		if err != nil {
			return fmt.Errorf("remove what an earlier node left: %w", err)
		}
	}
	return nil
}

// empty removes what claim and Files have made, and nothing else.
func empty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "lock" || fileName.MatchString(e.Name()) {
			err = errors.Join(err, os.Remove(filepath.Join(path, e.Name())))
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	return err
}

// close gives the directory up.
func (d *dir) close() error { return errors.Join(empty(d.path), d.lock.Close()) }

// failed sets the directory aside.
func (d *dir) failed(err error, now time.Time, first time.Duration) {
	d.err = err
	d.rest = min(max(2*d.rest, first), longestRest)
	d.tryAt = now.Add(d.rest)
}

func (d *dir) worked() { d.err, d.rest, d.tryAt = nil, 0, time.Time{} }
