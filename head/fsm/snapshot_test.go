package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

func snapshotOf(t testing.TB, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Snapshot().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFormat1 loads what version 1 wrote.
func TestFormat1(t *testing.T) {
	old, err := os.ReadFile("testdata/snapshot-1")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Restore(bytes.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	cluster, authority, token := s.Identity()
	if cluster != 7 || string(authority) != "ca" || token != "token" || s.Version() != 1 {
		t.Errorf("cluster %d, %q, %q, version %d", cluster, authority, token, s.Version())
	}
	nodes := s.Nodes()
	if len(nodes) != 3 || nodes[0].Instance != "i1" || nodes[0].Info.Alive || nodes[0].Info.DeathCause != "c" || !nodes[2].Info.Alive {
		t.Errorf("nodes %v", nodes)
	}
	if j := s.FindJob("job3"); len(s.Jobs()) != 3 || j.Spec.Id != 2 || j.Status != Pending || j.SubmittedMs != 420 || j.Spec.Env["x"] != "1" {
		t.Errorf("job %+v", j)
	}
	if v, _ := s.Key("n", "job5"); string(v) != "job5" || s.Package("job5").GetStoredMs() != 400 {
		t.Errorf("value %q, package %v", v, s.Package("job5"))
	}
	if r := s.replies.get("rest:11", 1); len(s.replies.order) != 50 || r.GetId() != 1 || r.GetName() != "job1" {
		t.Errorf("%d replies, %v", len(s.replies.order), r)
	}

	again := snapshotOf(t, s)
	if format := formatOf(again); format != 1 {
		t.Errorf("of version 1, written in format %d", format)
	}
	second, err := Restore(bytes.NewReader(again))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshotOf(t, second), again) {
		t.Error("read again, it differs")
	}
	for _, s := range []*State{s, second} {
		s.Apply(&Command{Version: 2, TimeMs: 1000, Body: &Command_RaiseVersion{&RaiseVersion{Version: 2}}})
		c := &Command{Version: 2, TimeMs: 1010, Client: "rest:11", Sequence: 1, Body: &Command_SubmitJob{&SubmitJob{}}}
		if r, _ := s.Apply(c); r.Id != 1 || r.Name != "job1" {
			t.Errorf("a reply from before: %v", r)
		}
		if format := formatOf(snapshotOf(t, s)); format != 2 {
			t.Errorf("of version 2, written in format %d", format)
		}
	}
}

func formatOf(b []byte) uint32 { return binary.LittleEndian.Uint32(b[len(snapshotMagic):]) }

// sealed is a snapshot of any format and records, with the right checksum.
func sealed(format uint32, records []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(snapshotMagic), format), records...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func recordOf(t testing.TB, body isRecord_Body) []byte {
	b, err := protobuf.Marshal(&Record{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

func TestRestoreRefusesTheUnknown(t *testing.T) {
	meta := func(version uint32) []byte { return recordOf(t, &Record_Meta{&Meta{Cluster: 7, Version: version}}) }
	client := recordOf(t, &Record_Client{&ClientRecord{Name: "c"}})
	reply := recordOf(t, &Record_Reply{&ReplyRecord{Client: "d", Sequence: 1}})
	end := []byte{0}
	whole := sealed(2, slices.Concat(meta(2), client, end))
	if _, err := Restore(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for text, b := range map[string][]byte{
		"its format is 3, this version of gray reads 1 to 2": sealed(3, slices.Concat(meta(2), end)),
		"its format is 0": sealed(0, slices.Concat(meta(2), end)),
		"its state is of version 4, this gray knows up to 3: upgrade this head": sealed(2, slices.Concat(meta(4), end)),
		"first record":             sealed(2, slices.Concat(client, end)),
		"no other":                 sealed(2, slices.Concat(meta(1), meta(2), end)),
		"a record without its key": sealed(2, slices.Concat(meta(2), client, reply, end)),
		"it isn't one of gray's":   []byte("gray's own snapshot"),
		"its checksum is wrong":    slices.Concat(whole[:len(whole)-1], []byte{^whole[len(whole)-1]}),
	} {
		if _, err := Restore(bytes.NewReader(b)); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}

// small is a state with a record of each kind.
func small(t testing.TB) *State {
	m := newMachine(t)
	n := m.node("a")
	m.actor(1, m.submit("job", n), n, nil)
	m.put("c", 1, 0)
	m.must(&Command_PutPackage{&PutPackage{Name: "p", Sha256: strings.Repeat("0", 64)}})
	return m.s
}

// TestDamagedSnapshots cuts everywhere, and flips each bit and all of each byte:
// everything is refused.
func TestDamagedSnapshots(t *testing.T) {
	whole := snapshotOf(t, small(t))
	for i := range whole {
		if _, err := Restore(bytes.NewReader(whole[:i])); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("cut at %d of %d: %v", i, len(whole), err)
		}
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			whole[i] ^= flip
			if _, err := Restore(bytes.NewReader(whole)); !errors.Is(err, ErrSnapshot) {
				t.Fatalf("byte %d of %d changed by %#x: %v", i, len(whole), flip, err)
			}
			whole[i] ^= flip
		}
	}
}

// FuzzRestore reads any records, with a right checksum and as they are. What is
// accepted is written and read the same.
func FuzzRestore(f *testing.F) {
	whole := snapshotOf(f, small(f))
	f.Add(whole[len(snapshotMagic)+4 : len(whole)-sha256.Size])
	m := newMachineOf(f, 1)
	r := rand.New(rand.NewSource(1))
	for range 100 {
		m.request(randomRequest(r, randomBody(r)))
	}
	whole = snapshotOf(f, m.s)
	f.Add(whole[len(snapshotMagic)+4 : len(whole)-sha256.Size])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Restore(bytes.NewReader(b)); err != nil && !errors.Is(err, ErrSnapshot) {
			t.Fatal(err)
		}
		for _, format := range []uint32{1, 2} {
			s, err := Restore(bytes.NewReader(sealed(format, b)))
			if err != nil {
				if !errors.Is(err, ErrSnapshot) {
					t.Fatal(err)
				}
				continue
			}
			want := snapshotOf(t, s)
			again, err := Restore(bytes.NewReader(want))
			if err != nil || !bytes.Equal(snapshotOf(t, again), want) {
				t.Fatalf("written and read again, it differs: %v", err)
			}
		}
	})
}

// BenchmarkSnapshot measures a state of many actors: what a snapshot takes while
// nothing can be applied, writing, and reading.
func BenchmarkSnapshot(b *testing.B) {
	const actors = 100_000
	m := newMachine(b)
	n := m.node("a")
	j := m.submit("job", n)
	for i := range uint64(actors) {
		spec := &proto.ActorSpec{Id: id(i), Job: j, Class: "main.Counter", Payload: make([]byte, 64), Name: fmt.Sprint("actor", i)}
		m.s.Apply(&Command{Version: Version, TimeMs: 1, Body: &Command_CreateActor{&CreateActor{Spec: spec, Node: n}}})
	}
	b.Run("lock", func(b *testing.B) {
		for b.Loop() {
			m.s.Snapshot()
		}
	})
	b.Run("write", func(b *testing.B) {
		var size int64
		for b.Loop() {
			b.StopTimer()
			s := m.s.Snapshot() // not sorted yet
			b.StartTimer()
			var err error
			if size, err = s.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(size)/actors, "file-B/actor")
	})
	b.Run("restore", func(b *testing.B) {
		whole := snapshotOf(b, m.s)
		var s *State
		before := heapBytes()
		for b.Loop() {
			var err error
			if s, err = Restore(bytes.NewReader(whole)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heapBytes()-before)/actors, "heap-B/actor")
		runtime.KeepAlive(s)
		runtime.KeepAlive(whole)
	})
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
