package spill

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gray-runtime/gray/objectstore"
)

// memory is what objects' bytes are taken from.
type memory []byte

func (m memory) at(e objectstore.Extent) []byte { return m[e.Offset:][:e.Size] }

// TestFilesModel holds the files against a map, with every operation failing at
// times.
func TestFilesModel(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 1))
		sys := &faulty{random: rand.New(rand.NewPCG(seed, 2))}
		if seed%3 > 0 {
			sys.odds = 30
		}
		parents := []string{t.TempDir(), t.TempDir()}
		f, err := openFiles(parents, sys)
		if err != nil {
			t.Fatal(err)
		}
		f.rest = 1 // nanosecond
		source := make(memory, 3<<20)
		content(source, int(seed))
		on := map[uint64]objectstore.Victim{}
		for range 60 {
			switch random.IntN(4) {
			case 0, 1:
				var victims []objectstore.Victim
				for n := range 1 + random.IntN(12) {
					size := random.Int64N(1 << random.IntN(20))
					at := random.Int64N(int64(len(source)) - size)
					victims = append(victims, objectstore.Victim{ID: object(n), Extent: objectstore.Extent{Offset: at, Size: size}})
				}
				d := f.take(time.Now().Add(time.Hour))
				err := f.write(d, victims, source.at)
				placed := 0
				for _, v := range victims {
					if v.Disk == 0 {
						continue
					}
					if placed++; on[v.Disk].Disk != 0 {
						t.Fatalf("seed %d: place %x is given twice", seed, v.Disk)
					}
					on[v.Disk] = v
				}
				if placed < len(victims) && err == nil || err != nil && sys.odds == 0 {
					t.Fatalf("seed %d: %d of %d objects are on disk: %v", seed, placed, len(victims), err)
				}
			case 2:
				var places []objectstore.Place
				for _, v := range on {
					if random.IntN(3) == 0 {
						places = append(places, objectstore.Place{Disk: v.Disk, Size: v.Extent.Size})
						delete(on, v.Disk)
					}
				}
				if err := f.free(places); err != nil && sys.odds == 0 {
					t.Fatal(err)
				}
			case 3:
				for _, v := range on {
					got := make([]byte, v.Extent.Size)
					err := f.read(v.ID, v.Disk, got)
					if err != nil && sys.odds == 0 || err == nil && !bytes.Equal(got, source.at(v.Extent)) {
						t.Fatalf("seed %d: %d bytes: %v", seed, len(got), err)
					}
				}
			}
		}
		sys.set(0)
		var places []objectstore.Place
		for _, v := range on {
			got := make([]byte, v.Extent.Size)
			if err := f.read(v.ID, v.Disk, got); err != nil || !bytes.Equal(got, source.at(v.Extent)) {
				t.Fatalf("seed %d: %d bytes: %v", seed, len(got), err)
			}
			places = append(places, objectstore.Place{Disk: v.Disk, Size: v.Extent.Size})
		}
		if err := f.free(places); err != nil || len(f.all) > 0 {
			t.Fatalf("seed %d: %v; left: %v", seed, err, f.all)
		}
		if left := spillFiles(t, parents...); len(left) > 0 && seed%3 == 0 {
			t.Fatalf("seed %d: left: %v", seed, left)
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		for _, parent := range parents {
			if left, _ := filepath.Glob(filepath.Join(parent, "gray-spill-*")); len(left) > 0 {
				t.Fatalf("seed %d: left: %v", seed, left)
			}
		}
	}
}

// TestFilesRollOver: files end at about their size, and a hole takes no room.
func TestFilesRollOver(t *testing.T) {
	parent := t.TempDir()
	f, err := openFiles([]string{parent}, disk{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	source := make(memory, 48<<20)
	content(source, 1)
	victims := make([]objectstore.Victim, 3)
	for i := range victims {
		victims[i] = objectstore.Victim{ID: object(i), Extent: objectstore.Extent{Size: int64(len(source))}}
	}
	if err := f.write(f.take(time.Now()), victims, source.at); err != nil {
		t.Fatal(err)
	}
	paths := spillFiles(t, parent)
	if len(paths) != 2 || filepath.Base(paths[0]) != "1.spill" {
		t.Fatal(paths)
	}
	used := blocks(t, paths[0])
	if err := f.free([]objectstore.Place{{Disk: victims[0].Disk, Size: victims[0].Extent.Size}}); err != nil {
		t.Fatal(err)
	}
	if now := blocks(t, paths[0]); now > used*6/10 && strings.HasPrefix(parent, "/tmp") {
		t.Errorf("%d blocks of %d are left", now, used)
	}
	if err := f.free([]objectstore.Place{{Disk: victims[1].Disk, Size: victims[1].Extent.Size}}); err != nil || exists(paths[0]) {
		t.Errorf("%v; the file is left", err)
	}
	info, err := os.Stat(filepath.Dir(paths[1]))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(paths[1]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks
}

// TestDamage flips bytes everywhere in a file: never is anything else read than
// what was written.
func TestDamage(t *testing.T) {
	f, err := openFiles([]string{t.TempDir()}, disk{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	source := make(memory, 1000)
	content(source, 1)
	victims := []objectstore.Victim{{ID: object(1), Extent: objectstore.Extent{Size: 1000}}}
	if err := f.write(f.take(time.Now()), victims, source.at); err != nil {
		t.Fatal(err)
	}
	s := f.all[1]
	got := make([]byte, 1000)
	for at := range taken(1000) {
		var b [1]byte
		for _, flip := range []byte{1, 128} {
			if _, err := s.file.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= flip
			if _, err := s.file.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			err := f.read(object(1), victims[0].Disk, got)
			padding := at >= 1000 && at < 1024
			var read *ReadError
			if !padding && (!errors.As(err, &read) || !errors.Is(err, errDamaged) || read.File != s.path) || padding && err != nil {
				t.Fatalf("byte %d: %v", at, err)
			}
			b[0] ^= flip
			if _, err := s.file.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.read(object(2), victims[0].Disk, got); !errors.Is(err, errDamaged) {
		t.Errorf("another object: %v", err)
	}
	if err := f.read(object(1), victims[0].Disk, got[:900]); !errors.Is(err, errDamaged) {
		t.Errorf("a shorter one: %v", err)
	}
	if err := s.file.truncate(500); err != nil {
		t.Fatal(err)
	}
	if err := f.read(object(1), victims[0].Disk, got); err == nil {
		t.Error("a cut file is read")
	}
}

// TestLeftovers: what a killed node left goes, what a living one has and what
// isn't ours stays.
func TestLeftovers(t *testing.T) {
	parent := t.TempDir()
	open := func() *files {
		f, err := openFiles([]string{parent}, disk{})
		if err != nil {
			t.Fatal(err)
		}
		source := make(memory, 1000)
		if err := f.write(f.take(time.Now()), []objectstore.Victim{{ID: object(1), Extent: objectstore.Extent{Size: 1000}}}, source.at); err != nil {
			t.Fatal(err)
		}
		return f
	}
	killed, lives := open(), open()
	foreign := filepath.Join(parent, "gray-spill-notes")
	alien := filepath.Join(killed.dirs[0].path, "thesis.txt")
	for _, path := range []string{foreign, alien} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlocked := filepath.Join(parent, filepath.Base(killed.dirs[0].path)+"0")
	if err := os.Mkdir(unlocked, 0o700); err != nil { // killed before it had made its lock
		t.Fatal(err)
	}
	if err := killed.dirs[0].lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := killed.all[1].file.Close(); err != nil {
		t.Fatal(err)
	}
	next := open()
	for path, want := range map[string]bool{
		killed.all[1].path: false, unlocked: false, foreign: true, alien: true, lives.all[1].path: true, next.all[1].path: true,
	} {
		if exists(path) != want {
			t.Errorf("%s: is there: %v", path, !want)
		}
	}
	for _, f := range []*files{lives, next} {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(parent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := t.TempDir()
	if _, err := openFiles([]string{good, parent}, disk{}); err == nil || !strings.Contains(err.Error(), parent) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(good, "gray-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func FuzzTrailer(f *testing.F) {
	f.Add(trailer{object(1), 1000, 77}.append(nil))
	f.Add([]byte("grayobj1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseTrailer(b)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Error(err)
			}
			return
		}
		again, err := parseTrailer(got.append(nil))
		if err != nil || again != got {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
	})
}
