package logs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	marksSuffix = ".tasks"
	maxMarks    = 4 << 20 // bytes of marks beside one log file; what comes later is nobody's
	nobody      = "-"
)

// marks notes, in a file beside a log, from which offset on it is of which task. Guarded
// by File.mu.
type marks struct {
	task string // that writes now
	last string // noted last
	f    *os.File
	size int
	full bool
}

// at notes that what the log gets from an offset on is of the task.
func (m *marks) at(log string, offset int64) {
	if m.task == m.last || m.full {
		return
	}
	if m.f == nil {
		f, err := os.OpenFile(log+marksSuffix, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			m.full = true // the log is what counts
			return
		}
		m.f = f
	}
	name := m.task
	if m.full = m.size > maxMarks; m.full || name == "" {
		name = nobody
	}
	n, err := fmt.Fprintf(m.f, "%d %s\n", offset, name)
	m.size += n
	m.full = m.full || err != nil
	m.last = m.task
}

// moved follows a log that has got another name.
func (m *marks) moved(from, to string) { _ = os.Rename(from+marksSuffix, to+marksSuffix) }

// rotated begins anew with a log.
func (m *marks) rotated(log string) {
	m.close()
	if err := os.Rename(log+marksSuffix, log+".1"+marksSuffix); err != nil {
		_ = os.Remove(log + ".1" + marksSuffix) // the marks of what is no more
	}
	*m = marks{task: m.task}
}

func (m *marks) close() {
	if m.f != nil {
		m.f.Close()
		m.f = nil
	}
}

// Remove deletes a log file and what is beside it.
func Remove(path string) {
	for _, name := range []string{path, path + marksSuffix, path + ".1", path + ".1" + marksSuffix} {
		_ = os.Remove(name)
	}
}

// CopyOf writes what a task has written, as the logs in a folder have it, to w, and reports
// whether there was any of it.
func CopyOf(w io.Writer, dir, task string) (found bool, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+marksSuffix))
	if err != nil {
		return false, fmt.Errorf("find logs: %w", err)
	}
	slices.SortStableFunc(names, func(a, b string) int { return changed(a).Compare(changed(b)) }) // earlier attempts first
	for _, name := range names {
		parts, err := partsOf(name, task)
		if err != nil {
			return found, err
		}
		if len(parts) == 0 {
			continue
		}
		found = true
		if err := copyParts(w, strings.TrimSuffix(name, marksSuffix), parts); err != nil {
			return found, err
		}
	}
	return found, nil
}

// changed is when a file was written last.
func changed(name string) (at time.Time) {
	if st, err := os.Stat(name); err == nil {
		at = st.ModTime()
	}
	return at
}

// part is from one offset of a log to another, or to its end (-1).
type part struct{ from, to int64 }

func partsOf(name, task string) (parts []part, err error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // rotated away this instant
	}
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	defer f.Close()
	open := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		at, of, _ := strings.Cut(lines.Text(), " ")
		offset, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			continue // a line that the disk didn't take whole
		}
		if open {
			parts[len(parts)-1].to, open = offset, false
		}
		if of == task {
			parts, open = append(parts, part{offset, -1}), true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	return parts, nil
}

func copyParts(w io.Writer, path string, parts []part) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	for _, p := range parts {
		if _, err := f.Seek(p.from, io.SeekStart); err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		var r io.Reader = f
		if p.to >= 0 {
			r = io.LimitReader(f, p.to-p.from)
		}
		if _, err := io.Copy(w, r); err != nil {
			return fmt.Errorf("copy log: %w", err)
		}
	}
	return nil
}
