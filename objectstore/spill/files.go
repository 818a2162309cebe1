package spill

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

const (
	// fileBytes is from what size on a file isn't appended to.
	fileBytes = 64 << 20
	// piece is how much is written or read at once: it's summed while in cache.
	piece = 1 << 20
	// direct is the size from which an object's bytes aren't copied together with
	// others'.
	direct = 64 << 10
)

// files is what lies on disk.
type files struct {
	system system
	rest   time.Duration // of a directory that has failed once
	moved  atomic.Uint64 // pieces written and read

	mu   sync.Mutex
	dirs []*dir
	next int // whose turn it is
	last uint32
	all  map[uint32]*spillFile
}

// A spillFile holds objects, one after another.
type spillFile struct {
	number uint32
	path   string
	file   file
	end    int64 // where the next object goes; the writer's
	live   int   // objects in it
}

// place is where an object begins: its file's number, and its offset in granules.
func place(number uint32, offset int64) uint64 { return uint64(number)<<32 | uint64(offset/granule) }

func placeOf(p uint64) (number uint32, offset int64) {
	return uint32(p >> 32), int64(p&(1<<32-1)) * granule
}

// openFiles takes a directory of its own in each of parents.
func openFiles(parents []string, s system) (*files, error) {
	f := &files{system: s, rest: firstRest, all: map[uint32]*spillFile{}}
	for _, parent := range parents {
		d, err := claim(parent)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open spill directory %s: %w", parent, err), f.close())
		}
		f.dirs = append(f.dirs, d)
	}
	return f, nil
}

// close removes everything.
func (f *files) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, s := range f.all {
		err = errors.Join(err, s.file.Close())
	}
	f.all = nil
	for _, d := range f.dirs {
		err = errors.Join(err, d.close())
	}
	f.dirs = nil
	return err
}

// take finds a directory to write to, the next in turn, which belongs to the
// caller until it's given back; nil if all are busy or set aside.
func (f *files) take(now time.Time) *dir {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.dirs {
		d := f.dirs[f.next%len(f.dirs)]
		f.next++
		if !d.busy && !d.tryAt.After(now) {
			d.busy = true
			return d
		}
	}
	return nil
}

// untake gives a directory back that wasn't used.
func (f *files) untake(d *dir) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.busy = false
}

// retry is when the next directory that is set aside is to be tried again.
func (f *files) retry(now time.Time) (at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.dirs {
		if !d.busy && d.tryAt.After(now) && (at.IsZero() || d.tryAt.Before(at)) {
			at = d.tryAt
		}
	}
	return at
}

// trouble is what directories failed with that have not worked since.
func (f *files) trouble() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, d := range f.dirs {
		err = errors.Join(err, d.err)
	}
	return err
}

// write appends objects to the directory's file, and gives the directory back.
// Each that is on disk then has its place; an error says why others have none.
func (f *files) write(d *dir, victims []objectstore.Victim, bytes func(objectstore.Extent) []byte) error {
	var err error
	for rest := victims; len(rest) > 0 && err == nil; {
		var s *spillFile
		if s, err = f.current(d); err == nil {
			var n int
			n, err = f.appendTo(s, rest, bytes)
			rest = rest[n:]
		}
	}
	if err != nil {
		err = fmt.Errorf("spill to %s: %w", d.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d.busy = false
	s := d.current
	if err != nil {
		d.current = nil // what is behind its end is of no use
		d.failed(err, time.Now(), f.rest)
	} else {
		d.worked()
	}
	if s != nil && s.live == 0 {
		d.current = nil
		return errors.Join(err, f.drop(s))
	}
	if s != nil && err != nil {
		return errors.Join(err, s.file.truncate(s.end))
	}
	return err
}

// current is the file to append to.
func (f *files) current(d *dir) (*spillFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.current != nil && d.current.end < fileBytes {
		return d.current, nil
	}
	if s := d.current; s != nil {
		d.current = nil
		if s.live == 0 {
			if err := f.drop(s); err != nil {
				return nil, err
			}
		}
	}
	f.last++
	path := filepath.Join(d.path, fmt.Sprintf("%d.spill", f.last))
	file, err := f.system.create(path)
	if err != nil {
		return nil, err
	}
	s := &spillFile{number: f.last, path: path, file: file}
	f.all[s.number] = s
	d.current = s
	return s, nil
}

// appendTo writes objects until the file is full, and returns how many.
func (f *files) appendTo(s *spillFile, victims []objectstore.Victim, bytes func(objectstore.Extent) []byte) (n int, err error) {
	a := appender{f: f, file: s, at: s.end}
	defer func() {
		if err != nil {
			f.moved.Add(-a.moved)
		}
	}()
	for n < len(victims) && a.end() < fileBytes {
		v := &victims[n]
		if err := a.add(v, bytes(v.Extent)); err != nil {
			return n, err
		}
		n++
	}
	return n, a.flush()
}

// An appender gathers small objects, and what comes between large ones.
type appender struct {
	f       *files
	file    *spillFile
	buffer  []byte
	at      int64                 // where buffer goes
	pending []*objectstore.Victim // what is on disk once buffer is
	places  []uint64              // and where
	moved   uint64                // pieces of them, which don't count if they fail
}

func (a *appender) end() int64 { return a.at + int64(len(a.buffer)) }

func (a *appender) add(v *objectstore.Victim, data []byte) error {
	size := v.Extent.Size
	if size >= direct {
		a.zeros(-a.end() & (page - 1))
		if err := a.flush(); err != nil {
			return err
		}
	}
	begin := a.end()
	var sum uint32
	for len(data) >= direct {
		p := data[:min(len(data), piece)]
		sum = crc32.Update(sum, castagnoli, p)
		if _, err := a.file.file.WriteAt(p, a.at); err != nil {
			return err
		}
		a.f.moved.Add(1)
		a.moved++
		a.at += int64(len(p))
		data = data[len(p):]
	}
	sum = crc32.Update(sum, castagnoli, data)
	a.buffer = append(a.buffer, data...)
	a.zeros(begin + trailerAt(size) - a.end())
	a.buffer = trailer{v.ID, size, sum}.append(a.buffer)
	a.zeros(begin + taken(size) - a.end())
	a.pending, a.places = append(a.pending, v), append(a.places, place(a.file.number, begin))
	if size >= direct || len(a.buffer) >= piece {
		return a.flush()
	}
	return nil
}

func (a *appender) zeros(n int64) {
	for range n {
		a.buffer = append(a.buffer, 0)
	}
}

// flush writes the buffer: with it the pending objects have their places.
func (a *appender) flush() error {
	if len(a.buffer) == 0 {
		return nil
	}
	if _, err := a.file.file.WriteAt(a.buffer, a.at); err != nil {
		return err
	}
	a.at += int64(len(a.buffer))
	a.buffer, a.moved = a.buffer[:0], 0
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	a.file.end = a.at
	a.file.live += len(a.pending)
	for i, v := range a.pending {
		v.Disk = a.places[i]
	}
	a.pending, a.places = a.pending[:0], a.places[:0]
	return nil
}

// read fills dst with an object's bytes. The error is a *ReadError.
func (f *files) read(id ids.ObjectID, disk uint64, dst []byte) error {
	number, offset := placeOf(disk)
	f.mu.Lock()
	s := f.all[number]
	f.mu.Unlock()
	if s == nil {
		return &ReadError{Object: id, Offset: offset, Err: errors.New("its file is gone")}
	}
	if err := f.readAt(s.file, id, offset, dst); err != nil {
		return &ReadError{Object: id, File: s.path, Offset: offset, Err: err}
	}
	return nil
}

func (f *files) readAt(file file, id ids.ObjectID, offset int64, dst []byte) error {
	var sum uint32
	for at := 0; at < len(dst); at += piece {
		p := dst[at:min(at+piece, len(dst))]
		if _, err := file.ReadAt(p, offset+int64(at)); err != nil {
			return err
		}
		f.moved.Add(1)
		sum = crc32.Update(sum, castagnoli, p)
	}
	size := int64(len(dst))
	var end [trailerSize]byte
	if _, err := file.ReadAt(end[:], offset+trailerAt(size)); err != nil {
		return err
	}
	t, err := parseTrailer(end[:])
	switch {
	case err != nil:
		return err
	case t.id != id || t.size != size:
		return fmt.Errorf("%w: they are %d of object %s", errDamaged, t.size, t.id)
	case t.sum != sum:
		return fmt.Errorf("%w: their checksum is wrong", errDamaged)
	}
	return nil
}

// free gives up what lies at some places.
func (f *files) free(places []objectstore.Place) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	for _, p := range places {
		number, offset := placeOf(p.Disk)
		s := f.all[number]
		if s == nil {
			continue
		}
		if s.live--; s.live > 0 || f.writes(s) {
			err = errors.Join(err, s.file.punch(offset, taken(p.Size)))
			continue
		}
		err = errors.Join(err, f.drop(s))
	}
	if err != nil {
		return fmt.Errorf("free spilled objects: %w", err)
	}
	return nil
}

// writes reports whether a batch is being appended to a file; the last one that
// isn't is forgotten as its directory's current.
func (f *files) writes(s *spillFile) bool {
	for _, d := range f.dirs {
		if d.current == s {
			if d.busy {
				return true
			}
			d.current = nil
		}
	}
	return false
}

// drop removes a file. Called with mu held, by whoever made sure that nothing in
// it is needed.
func (f *files) drop(s *spillFile) error {
	delete(f.all, s.number)
	return errors.Join(s.file.Close(), f.system.remove(s.path))
}
