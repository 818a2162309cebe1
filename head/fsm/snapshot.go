package fsm

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	protobuf "google.golang.org/protobuf/proto"
)

// A snapshot's file: magic, format, records (a length and a Record each), a
// length of zero, and the SHA-256 of everything before. Format 1 has no clients.
// A state of version 1 is written in format 1: a head that is older may need it.
const (
	snapshotMagic  = "graysnap"
	snapshotFormat = 2
	maxRecord      = 64 << 20
)

// Snapshot is the state at one moment. It may be written while the state goes on.
type Snapshot struct {
	meta     *Meta
	nodes    []*Node
	jobs     []*Job
	actors   []*Actor
	keys     []*KeyRecord
	packages []*PackageRecord
	groups   []*Group
	replies  []*ReplyRecord // of version 1
	sessions []session
}

// Snapshot takes the state as it is: pointers to records that never change.
// Nothing is applied meanwhile, so it leaves all else to WriteTo.
func (s *State) Snapshot() *Snapshot {
	return &Snapshot{
		meta: s.meta, nodes: values(s.nodes), jobs: values(s.jobs), actors: values(s.actors), keys: values(s.keys),
		packages: values(s.packages), groups: values(s.groups), replies: s.replies.records(), sessions: s.sessions.all(),
	}
}

func values[K comparable, V any](m map[K]V) []V {
	return slices.AppendSeq(make([]V, 0, len(m)), maps.Values(m))
}

// sort brings the records into the order of the file.
func (s *Snapshot) sort() {
	slices.SortFunc(s.nodes, byNode)
	slices.SortFunc(s.jobs, byJob)
	slices.SortFunc(s.actors, byActor)
	slices.SortFunc(s.keys, byKey)
	slices.SortFunc(s.packages, byPackage)
	slices.SortFunc(s.groups, byGroup)
}

// recordWriter writes the records, and sums up what it wrote.
type recordWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	buf []byte
	err error
}

func (w *recordWriter) write(b []byte) {
	if w.err == nil {
		w.sum.Write(b)
		_, w.err = w.w.Write(b)
	}
}

func (w *recordWriter) record(body isRecord_Body) {
	if w.err != nil {
		return
	}
	r := &Record{Body: body}
	var err error
	w.buf, err = protobuf.MarshalOptions{Deterministic: true}.MarshalAppend(w.buf[:0], r)
	if err != nil {
		w.err = fmt.Errorf("encode a record: %w", err)
		return
	}
	w.write(binary.AppendUvarint(nil, uint64(len(w.buf))))
	w.write(w.buf)
}

func (s *Snapshot) format() uint32 {
	if s.meta.Version < 2 {
		return 1
	}
	return snapshotFormat
}

// WriteTo writes the snapshot; the same state gives the same bytes.
func (s *Snapshot) WriteTo(out io.Writer) (int64, error) {
	s.sort()
	counted := &counter{w: out}
	w := &recordWriter{w: bufio.NewWriterSize(counted, 64<<10), sum: sha256.New()}
	w.write(binary.LittleEndian.AppendUint32([]byte(snapshotMagic), s.format()))
	w.record(&Record_Meta{s.meta})
	for _, n := range s.nodes {
		w.record(&Record_Node{n.record()})
	}
	for _, j := range s.jobs {
		w.record(&Record_Job{j.record()})
	}
	for _, a := range s.actors {
		w.record(&Record_Actor{a.record()})
	}
	for _, k := range s.keys {
		w.record(&Record_Key{k})
	}
	for _, p := range s.packages {
		w.record(&Record_Package{p})
	}
	for _, g := range s.groups {
		w.record(&Record_Group{g.record()})
	}
	for _, r := range s.replies {
		w.record(&Record_Reply{r})
	}
	for _, k := range s.sessions {
		w.record(&Record_Client{&ClientRecord{Name: k.name, Done: k.done, UsedMs: k.usedMs}})
		for _, r := range k.replies {
			w.record(&Record_Reply{&ReplyRecord{Client: k.name, Sequence: r.sequence, Result: r.result}})
		}
	}
	w.write([]byte{0})
	if w.err == nil {
		_, w.err = w.w.Write(w.sum.Sum(nil))
	}
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return counted.n, w.err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// recordReader reads what recordWriter wrote, summing up.
type recordReader struct {
	r   *bufio.Reader
	sum hash.Hash
}

func (r *recordReader) ReadByte() (byte, error) {
	b, err := r.r.ReadByte()
	if err == nil {
		r.sum.Write([]byte{b})
	}
	return b, err
}

func (r *recordReader) next(n int) ([]byte, error) {
	// Grown as it's read: a length that lies costs no memory.
	var b []byte
	for len(b) < n {
		part := make([]byte, min(n-len(b), 1<<20))
		if _, err := io.ReadFull(r.r, part); err != nil {
			return nil, err
		}
		b = append(b, part...)
	}
	r.sum.Write(b)
	return b, nil
}

// Restore reads a snapshot into a new state. Whatever is wrong with it is an
// ErrSnapshot.
func Restore(in io.Reader) (*State, error) {
	r := &recordReader{r: bufio.NewReaderSize(in, 64<<10), sum: sha256.New()}
	head, err := r.next(len(snapshotMagic) + 4)
	if err != nil || string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: it isn't one of gray's", ErrSnapshot)
	}
	if f := binary.LittleEndian.Uint32(head[len(snapshotMagic):]); f == 0 || f > snapshotFormat {
		return nil, fmt.Errorf("%w: its format is %d, this version of gray reads 1 to %d", ErrSnapshot, f, snapshotFormat)
	}
	s := New()
	for first := true; ; first = false {
		size, err := binary.ReadUvarint(r)
		if err != nil || size > maxRecord {
			return nil, fmt.Errorf("%w: it was cut off or is damaged", ErrSnapshot)
		}
		if size == 0 {
			break
		}
		b, err := r.next(int(size))
		if err != nil {
			return nil, fmt.Errorf("%w: it was cut off: %w", ErrSnapshot, err)
		}
		rec := &Record{}
		if err := protobuf.Unmarshal(b, rec); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
		if (rec.GetMeta() != nil) != first { // it says how to read the others
			return nil, fmt.Errorf("%w: its first record, and no other, describes the cluster", ErrSnapshot)
		}
		if err := s.load(rec); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
	}
	want := r.sum.Sum(nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r.r, got); err != nil || !slices.Equal(got, want) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrSnapshot)
	}
	s.index()
	return s, nil
}

var errRecord = errors.New("a record without its key")
