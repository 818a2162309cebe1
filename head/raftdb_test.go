package head

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/gray-runtime/gray/head/fsm"
)

const (
	testEntries = 300
	testBatch   = 50
)

// testEntry is entry i of a log that tests damage: most are small, some take pages.
func testEntry(i uint64) *raft.Log {
	size := 100
	if i%60 == 0 {
		size = 9000
	}
	data := bytes.Repeat([]byte{byte(i)}, size)
	if i == 1 {
		c := raft.Configuration{Servers: []raft.Server{{ID: "h", Address: "h"}}}
		return &raft.Log{Index: i, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}
	}
	return &raft.Log{Index: i, Term: 1 + i/100, Type: raft.LogCommand, Data: data}
}

// testLog makes a data dir with a log from entry first on, and returns the log's bytes.
func testLog(t testing.TB, first uint64) (*dataDir, []byte) {
	t.Helper()
	d := &dataDir{path: t.TempDir()}
	s, err := openStorage(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64([]byte(keyTerm), 9); err != nil {
		t.Fatal(err)
	}
	for i := first; i <= testEntries; i += testBatch { // as Raft does, in batches
		var batch []*raft.Log
		for k := i; k < i+testBatch && k <= testEntries; k++ {
			batch = append(batch, testEntry(k))
		}
		if err := s.StoreLogs(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(d.raft())
	if err != nil {
		t.Fatal(err)
	}
	return d, b
}

// openHistory opens a data dir as a head does before it starts Raft, and returns the last entry.
func openHistory(d *dataDir) (last uint64, err error) {
	s, err := openStorage(d)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, io.Discard)
	if err != nil {
		return 0, err
	}
	if err := checkHistory(d, snapshots, s); err != nil {
		return 0, err
	}
	last, err = s.LastIndex()
	for i := uint64(1); i <= last && err == nil; i++ {
		var l raft.Log
		if err = s.GetLog(i, &l); err == nil && !bytes.Equal(l.Data, testEntry(i).Data) {
			err = fmt.Errorf("entry %d isn't what was stored", i)
		}
	}
	return last, err
}

// damaged opens a log with other bytes: it's whole up to some entry, or refused by name.
func damaged(t testing.TB, b []byte, what string) {
	t.Helper()
	d := &dataDir{path: filepath.Join(t.TempDir(), "data")}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		t.Fatal(err)
	}
	v := vote{term: 9}
	if err := os.WriteFile(d.vote(), append(v.block(), v.block()...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.raft(), b, 0o600); err != nil {
		t.Fatal(err)
	}
	last, err := openHistory(d)
	switch {
	case err == nil && last < testEntries-testBatch: // the last write may be lost
		t.Errorf("%s: it ends at entry %d", what, last)
	case err != nil && (!errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), d.raft()) || !strings.Contains(err.Error(), "restore")):
		t.Errorf("%s: %v", what, err)
	}
}

func TestRaftLogIsCutOff(t *testing.T) {
	_, b := testLog(t, 1)
	sizes := map[int]bool{}
	for n := 0; n <= len(b); n += os.Getpagesize() {
		sizes[n] = true
	}
	for n := 0; n <= 8192; n += 256 {
		sizes[n] = true
	}
	m, ok := newestBoltMeta(b)
	if !ok {
		t.Fatal("no meta page")
	}
	used := int(m.high) * int(m.pageSize)
	for n := used - 4*os.Getpagesize(); n <= min(len(b), used+os.Getpagesize()); n += 512 {
		sizes[n] = true
	}
	for n := range sizes {
		damaged(t, b[:n], fmt.Sprintf("%d of %d bytes", n, len(b)))
	}
	cut := &dataDir{path: t.TempDir()}
	if err := os.WriteFile(cut.raft(), b[:used-1], 0o600); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("was cut off: it has %d bytes, its pages need %d", used-1, used)
	if _, err := openRaftDB(cut.raft()); !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestRaftLogHasDamagedPages(t *testing.T) {
	_, b := testLog(t, 1)
	r := rand.New(rand.NewPCG(1, 2))
	size := os.Getpagesize()
	for at := 0; at+size <= len(b); at += size {
		noise := make([]byte, size)
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		other := r.IntN(len(b)/size) * size
		for what, page := range map[string][]byte{"noise": noise, "another page": b[other : other+size]} {
			bad := bytes.Clone(b)
			copy(bad[at:], page)
			damaged(t, bad, fmt.Sprintf("page %d is %s", at/size, what))
		}
	}
	for range 100 {
		bad, at := bytes.Clone(b), r.IntN(len(b))
		bad[at] ^= byte(1 << r.IntN(8))
		damaged(t, bad, fmt.Sprintf("byte %d", at))
	}
}

// TestRaftLogIsGone: what begins anew without its log could vote twice.
func TestRaftLogIsGone(t *testing.T) {
	d, _ := testLog(t, 1)
	if err := os.Remove(d.raft()); err != nil {
		t.Fatal(err)
	}
	if _, err := openStorage(d); !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), "raft.db is gone") {
		t.Errorf("got %v", err)
	}
}

// testSnapshot stores a snapshot of a state after an entry.
func testSnapshot(t *testing.T, d *dataDir, index uint64) string {
	t.Helper()
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	address, trans := raft.NewInmemTransport("h")
	c := raft.Configuration{Servers: []raft.Server{{ID: "h", Address: address}}}
	sink, err := snapshots.Create(raft.SnapshotVersionMax, index, 1+index/100, c, 1, trans)
	if err != nil {
		t.Fatal(err)
	}
	s := fsm.New()
	s.Apply(&fsm.Command{Body: &fsm.Command_Init{Init: &fsm.Init{Cluster: uint32(index), Authority: []byte("a"), Token: "t"}}})
	if err := (persister{s.Snapshot()}).Persist(sink); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d.snapshots(), sink.ID())
}

// TestSnapshotIsCutOff: Raft goes on with an older snapshot if the log has all
// that came after it; otherwise the data dir is refused, and never does Raft panic.
func TestSnapshotIsCutOff(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first uint64 // of the log
		older uint64 // snapshot; 0: none
		newer uint64
		falls bool // to the older one, or to the log alone
	}{
		{"the log has all", 1, 50, 200, true},
		{"the log begins in between", 100, 50, 200, false},
		{"the log ends before", testEntries, 50, testEntries + 100, false},
		{"no older one", 100, 0, 200, false},
	} {
		for _, file := range []string{"state.bin", "meta.json"} {
			d, _ := testLog(t, tt.first)
			if tt.older > 0 {
				testSnapshot(t, d, tt.older)
			}
			path := filepath.Join(testSnapshot(t, d, tt.newer), file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			step := 1
			if !tt.falls {
				step = 16
			}
			for n := (len(b) - 1) % step; n < len(b); n += step {
				if err := os.WriteFile(path, b[:n], 0o600); err != nil {
					t.Fatal(err)
				}
				whole := file == "meta.json" && n == len(b)-1 // but for the end of the line
				err := startOn(d)
				if refused := errors.Is(err, ErrBadDataDir) && strings.Contains(err.Error(), d.path); err != nil && !refused || (err == nil) != (tt.falls || whole) {
					t.Fatalf("%s, %d of %d bytes of %s: %v", tt.name, n, len(b), file, err)
				}
			}
		}
	}
}

// startOn starts Raft on a data dir, and ends it.
func startOn(d *dataDir) error {
	s, err := openStorage(d)
	if err != nil {
		return err
	}
	defer s.Close()
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, io.Discard)
	if err != nil {
		return err
	}
	if err := checkHistory(d, snapshots, s); err != nil {
		return err
	}
	r, err := newTestRaft(s, snapshots)
	if err != nil {
		return err
	}
	return r.Shutdown().Error()
}

// newTestRaft is a head's Raft without the head.
func newTestRaft(s *storage, snapshots raft.SnapshotStore) (*raft.Raft, error) {
	cfg := raft.DefaultConfig()
	cfg.LocalID = "h"
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = heartbeat/10, heartbeat/10, heartbeat/10
	cfg.LogOutput = newRaftLog(slog.New(slog.DiscardHandler))
	_, trans := raft.NewInmemTransport("h")
	return raft.NewRaft(cfg, testMachine{}, s, s, snapshots, trans)
}

// testMachine takes commands and forgets them.
type testMachine struct{}

func (testMachine) Apply(*raft.Log) any { return nil }

func (testMachine) Snapshot() (raft.FSMSnapshot, error) { return persister{fsm.New().Snapshot()}, nil }

func (testMachine) Restore(in io.ReadCloser) error {
	_, err := fsm.Restore(in)
	return err
}

// TestOlderEntriesHaveNoChecksum: a log that an older version wrote is read.
func TestOlderEntriesHaveNoChecksum(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	old, err := raftboltdb.NewBoltStore(d.raft())
	if err != nil {
		t.Fatal(err)
	}
	if err := old.SetUint64([]byte(keyTerm), 1); err != nil {
		t.Fatal(err)
	}
	if err := old.StoreLogs([]*raft.Log{testEntry(1), testEntry(2)}); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if last, err := openHistory(d); err != nil || last != 2 {
		t.Errorf("to entry %d, %v", last, err)
	}
}

// FuzzRaftLog changes and cuts off a log.
func FuzzRaftLog(f *testing.F) {
	_, b := testLog(f, 1)
	f.Add(uint32(0), []byte("x"), uint32(0))
	f.Add(uint32(3*os.Getpagesize()), make([]byte, 64), uint32(100))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, cut uint32) {
		bad := bytes.Clone(b)
		copy(bad[int(at)%len(bad):], change)
		damaged(t, bad[:len(bad)-int(cut)%len(bad)], fmt.Sprintf("%x at %d, %d cut off", change, at, cut))
	})
}
