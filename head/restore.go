package head

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pki"
)

const (
	maxBackupInfo  = 64 << 10
	maxBackupState = 2 << 30
	// skippedNumbers is how many nodes and jobs may have come after a backup.
	skippedNumbers = 10_000
)

// ErrBadBackup says that something isn't a whole backup of gray's.
var ErrBadBackup = errors.New("unusable backup")

// Restored says what a backup had.
type Restored struct {
	Cluster  string    `json:"cluster_id"`
	Created  time.Time `json:"created"`
	Nodes    int       `json:"nodes"`  // alive when the backup was made
	Jobs     int       `json:"jobs"`   // those that had ended included
	Actors   int       `json:"actors"` // that weren't dead
	Packages int       `json:"packages"`
}

// Restore makes of a backup the data dir of the only head of that cluster. The dir
// must be empty or not be there, or it's an ErrBadDataDir; whatever is wrong with the
// backup is an ErrBadBackup. When it fails the dir is as it was.
func Restore(dir string, in io.Reader) (Restored, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Restored{}, fmt.Errorf("data dir: %w", err)
	}
	switch entries, err := os.ReadDir(dir); {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Restored{}, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	case len(entries) > 0:
		return Restored{}, fmt.Errorf("%w: %s isn't empty: a backup is restored to a new data dir", ErrBadDataDir, dir)
	}
	unmake, err := makeParents(dir)
	if err != nil {
		return Restored{}, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	out, err := restoreBeside(dir, in)
	if err != nil {
		unmake()
		return Restored{}, err
	}
	return out, nil
}

// makeParents makes the folders that dir lies in; unmake removes those again.
func makeParents(dir string) (unmake func(), err error) {
	var made []string // the innermost first
	for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, p)
	}
	unmake = func() {
		for _, p := range made {
			os.Remove(p) // unless somebody else uses it by now
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		unmake()
		return nil, err
	}
	return unmake, nil
}

// restoreBeside makes the data dir under another name and moves it into its place.
func restoreBeside(dir string, in io.Reader) (Restored, error) {
	parent := filepath.Dir(dir)
	path, err := os.MkdirTemp(parent, ".restore-")
	if err != nil {
		return Restored{}, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	defer os.RemoveAll(path) // nothing, once it was renamed
	d, err := openDataDir(path)
	if err != nil {
		return Restored{}, err
	}
	defer d.close()
	out, err := restoreInto(d, in)
	if err != nil {
		return Restored{}, err
	}
	for _, f := range []func() error{
		func() error { return syncDir(path) },
		func() error { return syscall.Rename(path, dir) }, // replaces an empty folder, which os.Rename won't, and no other
		func() error { return syncDir(parent) },
	} {
		if err := f(); err != nil {
			return Restored{}, fmt.Errorf("%w: move what was restored to %s: %w", ErrBadDataDir, dir, err)
		}
	}
	return out, nil
}

func restoreInto(d *dataDir, in io.Reader) (Restored, error) {
	r := &backupReader{tar: tar.NewReader(in)}
	info, err := r.info()
	if err != nil {
		return Restored{}, err
	}
	state, err := r.state(info)
	if err != nil {
		return Restored{}, err
	}
	if err := r.packages(state.Packages(), newPackageStore(d.packages())); err != nil {
		return Restored{}, err
	}
	_, authority, token := state.Identity()
	if err := d.claim(info.Cluster, pki.Token(token)); err != nil {
		return Restored{}, err
	}
	if err := writeFile(filepath.Join(d.path, authorityFile), authority); err != nil {
		return Restored{}, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	out := Restored{
		Cluster: info.Cluster, Created: time.UnixMilli(info.CreatedMs), Jobs: len(state.Jobs()), Packages: len(state.Packages()),
		Actors: len(state.LiveActors(func(a *fsm.Actor) bool { return !a.Dead() })),
	}
	for _, n := range state.Nodes() {
		if n.Info.Alive {
			out.Nodes++
		}
	}
	return out, beginWith(d, state)
}

// beginWith gives a data dir the Raft state of a head that was elected alone and
// then took a snapshot of a state.
func beginWith(d *dataDir, state *fsm.State) error {
	s, err := openStorage(d)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.change(func(v *vote) { v.term, v.voteTerm, v.candidate = 1, 1, d.info.Head }); err != nil {
		return err
	}
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, io.Discard)
	if err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	address, trans := raft.NewInmemTransport(raft.ServerAddress(d.info.Head))
	self := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(d.info.Head), Address: address}}}
	sink, err := snapshots.Create(raft.SnapshotVersionMax, 1, 1, self, 1, trans)
	if err != nil {
		return fmt.Errorf("store the state: %w", err)
	}
	if err := (persister{state.Snapshot()}).Persist(sink); err != nil {
		return fmt.Errorf("store the state: %w", err)
	}
	return nil
}

// backupReader reads the entries of a backup. Names of entries say what they are,
// never where they go.
type backupReader struct{ tar *tar.Reader }

func badBackup(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBadBackup, fmt.Errorf(format, args...))
}

// next returns the next entry; at the end an error that is io.EOF.
func (r *backupReader) next() (*tar.Header, error) {
	e, err := r.tar.Next()
	switch {
	case err != nil:
		return nil, badBackup("it was cut off or is damaged: %w", err)
	case e.Typeflag != tar.TypeReg:
		return nil, badBackup("%q is no plain file", e.Name)
	}
	return e, nil
}

// expect goes to an entry that must be the next.
func (r *backupReader) expect(name string, most int64) error {
	e, err := r.next()
	switch {
	case err != nil:
		return err
	case e.Name != name:
		return badBackup("it has %q where %q belongs", e.Name, name)
	case e.Size > most:
		return badBackup("%s has %d bytes, more than %d", name, e.Size, most)
	}
	return nil
}

func (r *backupReader) info() (backupInfo, error) {
	var info backupInfo
	if err := r.expect(backupInfoName, maxBackupInfo); err != nil {
		return info, err
	}
	b, err := io.ReadAll(r.tar)
	if err != nil {
		return info, badBackup("%s: %w", backupInfoName, err)
	}
	if err := json.Unmarshal(b, &info); err != nil {
		return info, badBackup("%s: %w", backupInfoName, err)
	}
	if info.Format != backupFormat {
		return info, badBackup("its format is %d, this version of gray reads %d (gray %q made it)", info.Format, backupFormat, info.Version)
	}
	return info, nil
}

// state reads the state and moves its numbers on.
func (r *backupReader) state(info backupInfo) (*fsm.State, error) {
	if err := r.expect(backupState, maxBackupState); err != nil {
		return nil, err
	}
	s, err := fsm.Restore(r.tar)
	if err != nil {
		return nil, badBackup("the state: %w", err)
	}
	cluster, authority, token := s.Identity()
	if cluster == 0 || ids.ClusterID(cluster).String() != info.Cluster {
		return nil, badBackup("the state is of cluster %s, %s of %q", ids.ClusterID(cluster), backupInfoName, info.Cluster)
	}
	if _, err := pki.ParseAuthority(authority); err != nil {
		return nil, badBackup("the cluster's authority: %w", err)
	}
	if _, err := pki.ParseToken(token); err != nil {
		return nil, badBackup("the cluster's token: %w", err)
	}
	if err := s.SkipNumbers(skippedNumbers); err != nil {
		return nil, badBackup("the state: %w", err)
	}
	return s, nil
}

// packages stores the files of the packages in the index: all, once, and no others.
func (r *backupReader) packages(index []*fsm.PackageRecord, store *packageStore) error {
	missing := map[string]*fsm.PackageRecord{}
	for _, p := range index {
		missing[p.Sha256] = p
	}
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		sum, ok := strings.CutPrefix(e.Name, backupPackages)
		p := missing[sum]
		switch {
		case !ok || p == nil:
			return badBackup("%q doesn't belong into it", e.Name)
		case e.Size != p.Size:
			return badBackup("package %s has %d bytes, its file %d", p.Name, p.Size, e.Size)
		}
		delete(missing, sum)
		got, _, err := store.write(r.tar)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return badBackup("it was cut off: %w", err)
		}
		if err != nil {
			return err
		}
		if got != sum {
			return badBackup("package %s is damaged: its SHA-256 is %s, not %s", p.Name, got, sum)
		}
	}
	if len(missing) > 0 {
		return badBackup("it was cut off: %d of %d packages aren't in it", len(missing), len(index))
	}
	return nil
}
