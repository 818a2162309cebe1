package objectstore

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMappingBounds(t *testing.T) {
	s := open(t, 1<<16)
	m, err := Map(s.File())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Extent{{0, 0}, {0, 1 << 16}, {1 << 16, 0}, {64, 10}} {
		for _, view := range []func(Extent) ([]byte, error){m.Read, m.Write} {
			b, err := view(e)
			if err != nil || int64(len(b)) != e.Size || cap(b) != len(b) {
				t.Errorf("%+v: %d bytes, capacity %d, %v", e, len(b), cap(b), err)
			}
		}
	}
	for _, e := range []Extent{{-64, 64}, {0, -1}, {0, 1<<16 + 1}, {1 << 16, 1}, {1<<16 + 64, 0}, {64, math.MaxInt64}, {math.MaxInt64, 64}} {
		if _, err := m.Read(e); !errors.Is(err, ErrExtent) {
			t.Errorf("%+v: %v", e, err)
		}
		if _, err := m.Write(e); !errors.Is(err, ErrExtent) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.Read(Extent{0, 1}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestViewsAreOneMemory(t *testing.T) {
	s := open(t, 1<<16)
	m, err := Map(s.File())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e := Extent{128, 5}
	w, err := m.Write(e)
	if err != nil {
		t.Fatal(err)
	}
	copy(w, "bytes")
	r, err := m.Read(e)
	if err != nil || string(r) != "bytes" || string(s.Bytes(e)) != "bytes" {
		t.Errorf("%q, %q, %v", r, s.Bytes(e), err)
	}
	if what := spoil(r); what != "fault" {
		t.Error(what)
	}
}

func TestMapRefusesOtherFiles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 16); err != nil {
		t.Fatal(err)
	}
	if m, err := Map(f); err == nil {
		t.Error("a file that may shrink was mapped", m.Close())
	}
}

func TestTheArenaKeepsItsSize(t *testing.T) {
	s := open(t, 1<<16)
	for _, size := range []int64{0, 1 << 17} {
		if err := s.File().Truncate(size); err == nil {
			t.Errorf("the arena has %d bytes now", size)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for capacity, want := range map[int64]string{
		0: "capacity of 0", -1: "capacity of -1", 1 << 60: "capacity of 1152921504606846976 bytes, but the machine has ",
		math.MaxInt64: "but the machine has ",
	} {
		s, err := Open(Config{Capacity: capacity})
		if err == nil {
			t.Errorf("a store of %d bytes: %v", capacity, s.Close())
		} else if !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
}

func TestCapacityIsRoundedToPages(t *testing.T) {
	if got, want := open(t, 1).Usage().Capacity, int64(os.Getpagesize()); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
