package head

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

func mustOpen(t *testing.T, d *dataDir) *storage {
	t.Helper()
	s, err := openStorage(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func setVote(t *testing.T, s raft.StableStore, term uint64, candidate string) {
	t.Helper()
	err := errors.Join(s.SetUint64([]byte(keyTerm), term), s.SetUint64([]byte(keyVoteTerm), term), s.Set([]byte(keyCandidate), []byte(candidate)))
	if err != nil {
		t.Fatal(err)
	}
}

func wantVote(t *testing.T, s raft.StableStore, term uint64, candidate string) {
	t.Helper()
	now, err1 := s.GetUint64([]byte(keyTerm))
	voted, err2 := s.GetUint64([]byte(keyVoteTerm))
	who, err3 := s.Get([]byte(keyCandidate))
	if err := errors.Join(err1, err2, err3); err != nil || now != term || voted != term || string(who) != candidate {
		t.Errorf("term %d, vote of %d for %q, %v; want term %d for %q", now, voted, who, err, term, candidate)
	}
}

func TestVoteIsKept(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	s := mustOpen(t, d)
	if _, err := s.GetUint64([]byte(keyTerm)); err == nil || err.Error() != "not found" {
		t.Errorf("no term: %v", err)
	}
	if who, err := s.Get([]byte(keyCandidate)); err == nil || err.Error() != "not found" || who != nil {
		t.Errorf("no candidate: %q, %v", who, err)
	}
	setVote(t, s, 3, "head-a")
	setVote(t, s, 4, "head-b")
	wantVote(t, s, 4, "head-b")
	for _, err := range []error{
		s.Set([]byte(keyCandidate), make([]byte, maxCandidate+1)), s.Set([]byte("x"), nil), s.SetUint64([]byte("x"), 1),
	} {
		if !errors.Is(err, errVoteKey) {
			t.Errorf("got %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantVote(t, mustOpen(t, d), 4, "head-b")
}

// TestVoteOfAnOlderVersion: it was in the log's file.
func TestVoteOfAnOlderVersion(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	old, err := raftboltdb.NewBoltStore(d.raft())
	if err != nil {
		t.Fatal(err)
	}
	setVote(t, old, 7, "head-a")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	wantVote(t, mustOpen(t, d), 7, "head-a")
}

// TestVoteIsDamaged: one copy is enough, and is made two again.
func TestVoteIsDamaged(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	s := mustOpen(t, d)
	setVote(t, s, 5, "head-a")
	s.Close()
	whole, err := os.ReadFile(d.vote())
	if err != nil || len(whole) != 2*voteBlock {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	try := func(what string, b []byte, ok bool) {
		t.Helper()
		if err := os.WriteFile(d.vote(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStorage(d)
		if !ok {
			if !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), d.vote()) {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer s.Close()
		wantVote(t, s, 5, "head-a")
		if b, err := os.ReadFile(d.vote()); err != nil || string(b) != string(whole) {
			t.Errorf("%s: not made whole, %v", what, err)
		}
	}
	for n := 0; n < len(whole); n += 256 {
		try("cut off", whole[:n], n >= voteRecord)
	}
	for i := 0; i < voteRecord; i += 9 {
		for _, copies := range [][]int{{0}, {1}, {0, 1}} {
			bad := append([]byte(nil), whole...)
			for _, c := range copies {
				bad[c*voteBlock+i] ^= 0x10
			}
			try("a wrong byte", bad, len(copies) == 1)
		}
	}
	next := vote{count: 99, term: 5, voteTerm: 5, candidate: "head-a"} // a write reached the first copy only
	whole = append(next.block(), next.block()...)
	try("half written", append(next.block(), (vote{count: 98, term: 1}).block()...), true)
}

func TestVoteMustFitTheLog(t *testing.T) {
	d, _ := testLog(t, 1)
	if err := os.Remove(d.vote()); err != nil {
		t.Fatal(err)
	}
	if _, err := openStorage(d); !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), "vote is missing") {
		t.Errorf("got %v", err)
	}
}

// TestLogThatWasNotBegun: a head that was killed, or had no room, after it stored
// the first term and before the first entry begins again.
func TestLogThatWasNotBegun(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	s := mustOpen(t, d)
	if err := s.SetUint64([]byte(keyTerm), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = mustOpen(t, d)
	if old, err := raft.HasExistingState(s, s, raft.NewInmemSnapshotStore()); err != nil || old {
		t.Errorf("there is a log: %v, %v", old, err)
	}
}

// TestRaftOnAFullDisk: commands fail, elections go on, and with room again commands do.
func TestRaftOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	d := &dataDir{path: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, "size=2m,mode=700"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := mustOpen(t, d)
	snapshots, err := raft.NewFileSnapshotStore(d.path, keepSnapshots, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	first := raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: testEntry(1).Data}
	if err := errors.Join(s.SetUint64([]byte(keyTerm), 1), s.StoreLog(&first)); err != nil {
		t.Fatal(err)
	}
	r, err := newTestRaft(s, snapshots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Shutdown().Error() })
	put := func() error { return r.Apply(make([]byte, 64<<10), time.Second).Error() }
	for range 3 {
		eventually(t, "a command is committed", func() bool { return put() == nil })
		ballast := fillDisk(t, d.path)
		eventually(t, "the disk is full", func() bool { return put() != nil })
		term := r.CurrentTerm()
		eventually(t, "elections", func() bool { return put() != nil && r.CurrentTerm() > term+2 }) // a failure ends a leadership
		stored, err := s.GetUint64([]byte(keyTerm))
		if err != nil || stored <= term {
			t.Errorf("the term on the disk is %d, %v", stored, err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a command is committed", func() bool { return put() == nil })
}

// fillDisk leaves no room.
func fillDisk(t *testing.T, dir string) (ballast string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}
