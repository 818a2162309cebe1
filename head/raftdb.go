package head

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"

	"github.com/gray-runtime/gray/head/fsm"
)

// wayOut ends errors about damaged files that only a whole head can do without.
const wayOut = "if other heads of the cluster live, `gray heads remove ID` there, empty this data dir, " +
	"and start again with --join; otherwise `gray heads restore` a backup"

func unusable(path string, err error) error {
	return fmt.Errorf("%w: %s %w: %s", ErrBadDataDir, path, err, wayOut)
}

// storage is what Raft keeps: the log, and its vote. Entries have a checksum, as
// bbolt's pages have none: a damaged entry would make this head differ from others.
type storage struct {
	raft.LogStore
	*voteStore
	db     *raftboltdb.BoltStore
	failed atomic.Pointer[error] // why the latest entries couldn't be stored
	stored *prometheus.HistogramVec
}

var (
	_ raft.LogStore    = (*storage)(nil)
	_ raft.StableStore = (*storage)(nil)
)

// openStorage opens a data dir's log and vote, or begins them.
func openStorage(d *dataDir) (*storage, error) {
	db, err := openRaftDB(d.raft())
	if err != nil {
		return nil, err
	}
	vote, err := openVote(d.vote(), db, db)
	if err != nil {
		db.Close()
		return nil, err
	}
	return &storage{LogStore: db, voteStore: vote, db: db, stored: storeHistogram.Observed(raftBuckets)}, nil
}

// StoreLog stores an entry.
func (s *storage) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries, all or none.
func (s *storage) StoreLogs(logs []*raft.Log) error {
	for _, l := range logs {
		l.Extensions = entrySum(l)
	}
	began := time.Now()
	err := s.LogStore.StoreLogs(logs)
	s.stored.WithLabelValues().Observe(time.Since(began).Seconds())
	if err != nil {
		s.failed.Store(&err)
	} else {
		s.failed.Store(nil)
	}
	return err
}

// failure is why nothing can be stored just now, or nil.
func (s *storage) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// GetLog reads an entry. Those of older versions have no checksum.
func (s *storage) GetLog(index uint64, l *raft.Log) error {
	if err := s.LogStore.GetLog(index, l); err != nil {
		return err
	}
	if len(l.Extensions) > 0 && !bytes.Equal(l.Extensions, entrySum(l)) {
		return fmt.Errorf("%w: entry %d", errEntrySum, index)
	}
	return nil
}

var (
	errEntrySum = errors.New("the checksum of an entry of the Raft log is wrong")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

func entrySum(l *raft.Log) []byte {
	head := binary.LittleEndian.AppendUint64(nil, l.Index)
	head = binary.LittleEndian.AppendUint64(head, l.Term)
	sum := crc32.Update(0, castagnoli, append(head, byte(l.Type)))
	return binary.LittleEndian.AppendUint32(nil, crc32.Update(sum, castagnoli, l.Data))
}

// Close closes both.
func (s *storage) Close() error { return errors.Join(s.voteStore.close(), s.db.Close()) }

// openRaftDB opens the Raft log, or begins one. A damaged one is an ErrBadDataDir:
// neither bbolt nor Raft, which panic then, come to see it.
func openRaftDB(path string) (*raftboltdb.BoltStore, error) {
	if err := checkRaftDB(path); err != nil {
		return nil, err
	}
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        path,
		BoltOptions: &bbolt.Options{Timeout: databaseLocked, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return nil, fmt.Errorf("open the Raft log: %w", err)
	}
	if err := guarded(func() error { return checkEnds(store) }); err != nil {
		store.Close()
		return nil, unusable(path, fmt.Errorf("is damaged: %w", err))
	}
	return store, nil
}

func checkRaftDB(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return checkNewLog(path)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBadDataDir, err)
	case st.Size() == 0: // a head was killed as it began
		return checkNewLog(path)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("%w: map %s: %w", ErrBadDataDir, path, err)
	}
	defer syscall.Munmap(b)
	if err := guarded(func() error { return checkBolt(b) }); err != nil {
		return unusable(path, err)
	}
	return nil
}

// checkNewLog refuses to begin a log where there was one: the vote is made after it.
func checkNewLog(path string) error {
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), voteFile)); !errors.Is(err, fs.ErrNotExist) {
		return unusable(path, errors.New("is gone"))
	}
	return nil
}

// checkEnds reads the ends of the log, as Raft does first.
func checkEnds(log raft.LogStore) error {
	if _, err := log.FirstIndex(); err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	return checkEntry(log, last)
}

// checkEntry panics if a damaged entry can be read but says nonsense.
func checkEntry(log raft.LogStore, index uint64) error {
	var l raft.Log
	if err := log.GetLog(index, &l); err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	if l.Index != index {
		return fmt.Errorf("it has entry %d as %d", l.Index, index)
	}
	if l.Type == raft.LogConfiguration {
		raft.DecodeConfiguration(l.Data)
	}
	return nil
}

// guarded makes an error of a panic in f, and of a fault on a file that it reads in memory.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("can't be read: %v", p)
		}
	}()
	return f()
}

// checkHistory makes sure that Raft, which takes the newest snapshot that can be
// read, finds in the log all that came after it. It would panic if an entry were
// missing, and forget some if the log ended before a damaged snapshot does.
func checkHistory(d *dataDir, snapshots raft.SnapshotStore, log raft.LogStore) error {
	base, damage, err := readableSnapshot(snapshots)
	if err != nil {
		return err
	}
	newest, err := newestSnapshot(d.snapshots())
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("read the Raft log: %w", err)
	}
	switch {
	case base == 0 && damage != nil:
		return unusable(d.snapshots(), fmt.Errorf("has no snapshot that can be read (%w)", damage))
	case base < newest && last < newest:
		return unusable(d.snapshots(), fmt.Errorf("has a damaged snapshot of entry %d; what can be read goes to %d", newest, max(base, last)))
	}
	err = guarded(func() error {
		for i := base + 1; i <= last; i++ { // the log may lack some before
			if err := checkEntry(log, i); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil && base < newest:
		return unusable(d.snapshots(), fmt.Errorf("has a damaged snapshot of entry %d, and the Raft log can't stand in for it (%w)", newest, err))
	case err != nil:
		return unusable(d.raft(), fmt.Errorf("is damaged: %w", err))
	}
	return nil
}

// readableSnapshot is the last entry of the newest snapshot that Raft can take, 0 if
// there is none, and what is wrong with newer ones.
func readableSnapshot(snapshots raft.SnapshotStore) (index uint64, damage, err error) {
	list, err := snapshots.List()
	if err != nil {
		return 0, nil, fmt.Errorf("read the snapshots: %w", err)
	}
	for _, meta := range list {
		err := checkSnapshot(snapshots, meta)
		if err == nil {
			return meta.Index, damage, nil
		}
		if damage == nil {
			damage = err
		}
	}
	return 0, damage, nil
}

// newestSnapshot is the last entry that a snapshot had, whether it can be read or
// not: names are term, index and time.
func newestSnapshot(dir string) (uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	var newest uint64
	for _, e := range entries {
		var term, index, ms uint64
		if n, _ := fmt.Sscanf(e.Name(), "%d-%d-%d", &term, &index, &ms); n == 3 && !strings.HasSuffix(e.Name(), ".tmp") {
			newest = max(newest, index)
		}
	}
	return newest, nil
}

func checkSnapshot(snapshots raft.SnapshotStore, meta *raft.SnapshotMeta) error {
	if !strings.HasPrefix(meta.ID, fmt.Sprintf("%d-%d-", meta.Term, meta.Index)) {
		return fmt.Errorf("snapshot %q isn't of entry %d", meta.ID, meta.Index)
	}
	_, r, err := snapshots.Open(meta.ID)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", meta.ID, err)
	}
	defer r.Close()
	if _, err := fsm.Restore(r); err != nil {
		return fmt.Errorf("snapshot %s: %w", meta.ID, err)
	}
	return nil
}

func (d *dataDir) snapshots() string { return filepath.Join(d.path, "snapshots") }
