package logs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/gray-runtime/gray/internal/logtail"
)

// DefaultLimit is how large a log file grows before it is rotated, in bytes.
const DefaultLimit = 64 << 20

// File is a log file of bounded size that can be followed while it is written.
type File struct {
	path  string
	limit int64

	mu      sync.Mutex
	f       *os.File
	base    int64 // logical offset of f's first byte
	end     int64 // logical offset past the last byte
	lost    int   // bytes that the disk didn't take, not told of yet
	closed  bool
	changed chan struct{} // closed at the next write or at Close
	marks   marks
}

// Open appends to the log file at path, made with mode 0600.
func Open(path string, limit int64) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &File{path: path, limit: limit, f: f, end: size, changed: make(chan struct{})}, nil
}

// Path returns the file's name.
func (l *File) Path() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.path
}

// Rename gives the file another name in its folder.
func (l *File) Rename(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.Rename(l.path, path); err != nil {
		return fmt.Errorf("rename log: %w", err)
	}
	l.marks.moved(l.path, path)
	l.path = path
	return nil
}

// WriteOf is Write of what a task has written, if one runs; it can be found by the task's
// name then.
func (l *File) WriteOf(task string, p []byte) (int, error) {
	l.mu.Lock()
	l.marks.task = task
	l.mu.Unlock()
	return l.Write(p)
}

// Write appends p. What the disk doesn't take is lost, and the file says so once
// the disk takes something again.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, os.ErrClosed
	}
	if l.lost > 0 {
		if _, err := l.append(fmt.Appendf(nil, "\n… %d bytes of output lost: they couldn't be written\n", l.lost)); err != nil {
			l.lost += len(p)
			return 0, err
		}
		l.lost = 0
	}
	n, err := l.append(p)
	l.lost += len(p) - n
	return n, err
}

func (l *File) append(p []byte) (int, error) {
	if l.end-l.base > 0 && l.end-l.base+int64(len(p)) > l.limit {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	l.marks.at(l.path, l.end-l.base)
	n, err := l.f.Write(p)
	l.end += int64(n)
	close(l.changed)
	l.changed = make(chan struct{})
	if err != nil {
		return n, fmt.Errorf("write log: %w", err)
	}
	return n, nil
}

func (l *File) rotate() error {
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	l.f.Close()
	l.f, l.base = f, l.end
	l.marks.rotated(l.path)
	return nil
}

// ReadFrom reads at a logical offset and returns where the next read goes on.
// Bytes that rotation removed are skipped. At the end it returns no bytes, a
// channel that is closed when there is more to read or the file was closed,
// and whether it was closed.
func (l *File) ReadFrom(p []byte, off int64) (n int, next int64, more <-chan struct{}, closed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if off >= l.end {
		return 0, off, l.changed, l.closed, nil
	}
	from := l.f
	at := off - l.base
	if off < l.base {
		if from, at = l.older(off); from == nil {
			from, off, at = l.f, l.base, 0
		} else {
			defer from.Close()
		}
	}
	n, err = from.ReadAt(p, at)
	if errors.Is(err, io.EOF) || n > 0 {
		err = nil
	}
	if n == 0 && off < l.base {
		return 0, l.base, l.changed, l.closed, err
	}
	return n, off + int64(n), l.changed, l.closed, err
}

// older opens the rotated file and places off in it.
func (l *File) older(off int64) (*os.File, int64) {
	f, err := os.Open(l.path + ".1")
	if err != nil {
		return nil, 0
	}
	info, err := f.Stat()
	if err != nil || off < l.base-info.Size() {
		f.Close()
		return nil, 0
	}
	return f, off - (l.base - info.Size())
}

// Close ends writing; followers are told. The file stays.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.changed)
	l.changed = make(chan struct{})
	close(l.changed)
	return nil
}

// Release closes the descriptor beneath; no read may follow.
func (l *File) Release() error {
	l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks.close()
	return l.f.Close()
}

// LastLines is the logical offset from which on ReadFrom gives the last lines.
func (l *File) LastLines(n int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, err := logtail.Offset(l.path, n)
	if err != nil {
		return 0, err
	}
	older := int64(0)
	if st, err := os.Stat(l.path + ".1"); err == nil {
		older = st.Size()
	}
	return max(0, l.base-older+at), nil
}
