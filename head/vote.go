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
	"sync"

	"github.com/hashicorp/raft"
)

// The vote's file is two copies of a record, each in a block of the disk of its own.
const (
	voteFile     = "vote"
	voteMagic    = "grayvot1"
	voteRecord   = 512
	voteBlock    = 4096
	maxCandidate = 256
)

// Raft's names for what it keeps.
const (
	keyTerm      = "CurrentTerm"
	keyVoteTerm  = "LastVoteTerm"
	keyCandidate = "LastVoteCand"
)

var (
	// errNotFound has the text by which Raft knows that there is no value.
	errNotFound = errors.New("not found")
	errVoteKey  = errors.New("not a value of Raft's vote")
)

// voteStore keeps Raft's term and vote. Raft panics if it can't store them, so they
// have a file that never grows: a full disk doesn't matter. A write replaces one copy,
// then the other, so whatever befalls one the other has the last vote but for the
// write that was under way.
type voteStore struct {
	mu   sync.Mutex
	f    *os.File
	vote vote
}

type vote struct {
	count     uint64 // of writes
	term      uint64
	voteTerm  uint64
	candidate string
}

var _ raft.StableStore = (*voteStore)(nil)

// openVote opens the vote that goes with a log. The first time it's what the log's
// own store has, where older versions kept it.
func openVote(path string, log raft.LogStore, old raft.StableStore) (*voteStore, error) {
	b, err := os.ReadFile(path)
	var v vote
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v, err = olderVote(old)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	default:
		var ok bool
		if v, ok = newestVote(b); !ok {
			return nil, unusable(path, errors.New("is damaged"))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the Raft log's vote: %w", err)
	}
	if v, err = fitting(path, v, log); err != nil {
		return nil, err
	}
	// Both copies, and all blocks of the file. Usually they're there, and the disk may be full.
	if whole := append(v.block(), v.block()...); !bytes.Equal(b, whole) {
		if err := writeFile(path, whole); err != nil {
			return nil, fmt.Errorf("write Raft's vote: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDataDir, err)
	}
	return &voteStore{f: f, vote: v}, nil
}

// fitting refuses a vote that is older than its log: this head could vote twice. A
// log that was never begun, its head having got no further than the term, has none.
func fitting(path string, v vote, log raft.LogStore) (vote, error) {
	last, err := log.LastIndex()
	switch {
	case err != nil:
		return v, fmt.Errorf("read the Raft log: %w", err)
	case last == 0 && v.term == 1 && v.voteTerm == 0:
		return vote{}, nil
	case last == 0:
		return v, nil
	}
	var l raft.Log
	if err := log.GetLog(last, &l); err != nil {
		return v, fmt.Errorf("read the Raft log: %w", err)
	}
	if v.term < l.Term {
		return v, unusable(path, fmt.Errorf("is missing or not this Raft log's: the log is in term %d, the vote in %d", l.Term, v.term))
	}
	return v, nil
}

func olderVote(old raft.StableStore) (v vote, err error) {
	if v.term, err = old.GetUint64([]byte(keyTerm)); err != nil && err.Error() != errNotFound.Error() {
		return v, err
	}
	if v.voteTerm, err = old.GetUint64([]byte(keyVoteTerm)); err != nil && err.Error() != errNotFound.Error() {
		return v, err
	}
	candidate, err := old.Get([]byte(keyCandidate))
	if err != nil && err.Error() != errNotFound.Error() {
		return v, err
	}
	if len(candidate) > maxCandidate {
		return v, fmt.Errorf("%w: a candidate of %d bytes, more than %d", errVoteKey, len(candidate), maxCandidate)
	}
	v.candidate = string(candidate)
	return v, nil
}

// block is the vote as its file has it.
func (v vote) block() []byte {
	b := make([]byte, 0, voteBlock)
	b = append(b, voteMagic...)
	for _, n := range []uint64{v.count, v.term, v.voteTerm} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v.candidate)))
	b = append(b, v.candidate...)
	b = b[:voteRecord-4]
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))[:voteBlock]
}

func parseVote(b []byte) (v vote, ok bool) {
	if len(b) < voteRecord || string(b[:8]) != voteMagic ||
		binary.LittleEndian.Uint32(b[voteRecord-4:]) != crc32.ChecksumIEEE(b[:voteRecord-4]) {
		return vote{}, false
	}
	size := binary.LittleEndian.Uint16(b[32:])
	if size > maxCandidate {
		return vote{}, false
	}
	return vote{
		count: binary.LittleEndian.Uint64(b[8:]), term: binary.LittleEndian.Uint64(b[16:]),
		voteTerm: binary.LittleEndian.Uint64(b[24:]), candidate: string(b[34 : 34+size]),
	}, true
}

func newestVote(b []byte) (vote, bool) {
	first, ok := parseVote(b)
	second, ok2 := parseVote(b[min(voteBlock, len(b)):])
	if !ok || ok2 && second.count > first.count {
		return second, ok2
	}
	return first, ok
}

// change stores a vote that differs. When it returns it's on the disk, twice.
func (s *voteStore) change(f func(*vote)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.vote
	if f(&next); next == s.vote {
		return nil
	}
	next.count++
	for _, at := range []int64{0, voteBlock} {
		if _, err := s.f.WriteAt(next.block()[:voteRecord], at); err != nil {
			return fmt.Errorf("write Raft's vote: %w", err)
		}
		if err := s.f.Sync(); err != nil {
			return fmt.Errorf("write Raft's vote: %w", err)
		}
	}
	s.vote = next
	return nil
}

func (s *voteStore) get() vote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vote
}

// Set stores the candidate that got the last vote.
func (s *voteStore) Set(key, value []byte) error {
	switch {
	case string(key) != keyCandidate:
		return fmt.Errorf("%w: %s", errVoteKey, key)
	case len(value) > maxCandidate:
		return fmt.Errorf("%w: a candidate of %d bytes, more than %d", errVoteKey, len(value), maxCandidate)
	}
	return s.change(func(v *vote) { v.candidate = string(value) })
}

// Get returns the candidate that got the last vote.
func (s *voteStore) Get(key []byte) ([]byte, error) {
	if string(key) != keyCandidate {
		return nil, fmt.Errorf("%w: %s", errVoteKey, key)
	}
	v := s.get()
	if v.candidate == "" {
		return nil, errNotFound
	}
	return []byte(v.candidate), nil
}

// SetUint64 stores the term, or the last vote's.
func (s *voteStore) SetUint64(key []byte, n uint64) error {
	switch string(key) {
	case keyTerm:
		return s.change(func(v *vote) { v.term = n })
	case keyVoteTerm:
		return s.change(func(v *vote) { v.voteTerm = n })
	}
	return fmt.Errorf("%w: %s", errVoteKey, key)
}

// GetUint64 returns the term, or the last vote's.
func (s *voteStore) GetUint64(key []byte) (uint64, error) {
	v := s.get()
	n := v.term
	switch string(key) {
	case keyTerm:
	case keyVoteTerm:
		n = v.voteTerm
	default:
		return 0, fmt.Errorf("%w: %s", errVoteKey, key)
	}
	if n == 0 {
		return 0, errNotFound
	}
	return n, nil
}

func (s *voteStore) close() error { return s.f.Close() }

func (d *dataDir) vote() string { return filepath.Join(d.path, voteFile) }
