package logtail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gray-runtime/gray/internal/pause"
)

const (
	// maxScan is how far back last lines are looked for, in bytes.
	maxScan = 64 << 20
	// look is how often a file that is followed is looked at.
	look  = 250 * time.Millisecond
	chunk = 64 << 10
)

// Offset is where the last lines of the log at path begin.
func Offset(path string, lines int) (int64, error) {
	older, err := size(path + ".1")
	if err != nil {
		return 0, err
	}
	newer, err := size(path)
	if err != nil {
		return 0, err
	}
	left := lines
	at, found, err := back(path, newer, &left, true)
	if err != nil || found {
		return older + at, err
	}
	at, _, err = back(path+".1", older, &left, newer == 0)
	return at, err
}

func size(path string) (int64, error) {
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find the log's end: %w", err)
	}
	return st.Size(), nil
}

// back goes back from the end of a file by as many lines as are left. last: the newline
// at the end ends no line but the last one.
func back(path string, end int64, left *int, last bool) (at int64, found bool, err error) {
	if end == 0 {
		return 0, false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, false, fmt.Errorf("find the log's end: %w", err)
	}
	defer f.Close()
	buf := make([]byte, chunk)
	for to := end; to > 0 && end-to < maxScan; {
		from := max(0, to-chunk)
		b := buf[:to-from]
		if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
			return 0, false, fmt.Errorf("find the log's end: %w", err)
		}
		if last && to == end && b[len(b)-1] == '\n' {
			b = b[:len(b)-1]
		}
		for {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 {
				break
			}
			if *left--; *left <= 0 {
				return from + int64(i) + 1, true, nil
			}
			b = b[:i]
		}
		to = from
	}
	return 0, false, nil
}

// Copy writes the log at path from an offset on to w. Following, it goes on until ctx
// ends, which is no error.
func Copy(ctx context.Context, w io.Writer, path string, offset int64, follow bool) error {
	for {
		before, _ := os.Stat(path + ".1")
		var older int64
		if before != nil {
			older = before.Size()
		}
		for _, part := range []struct {
			path  string
			begin int64
		}{{path + ".1", 0}, {path, older}} {
			n, err := copyFrom(w, part.path, max(0, offset-part.begin))
			offset = max(offset, part.begin) + n
			if err != nil {
				return err
			}
		}
		if !follow || !pause.For(ctx, look) {
			return nil
		}
		if now, err := os.Stat(path + ".1"); err == nil && (before == nil || !os.SameFile(before, now)) {
			offset -= older // it was rotated: what was read of it is in the older one now
		}
	}
}

func copyFrom(w io.Writer, path string, at int64) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	if at >= st.Size() {
		return 0, nil
	}
	n, err := io.Copy(w, io.NewSectionReader(f, at, st.Size()-at))
	if err != nil {
		return n, fmt.Errorf("copy the log: %w", err)
	}
	return n, nil
}
