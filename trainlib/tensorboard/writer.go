package tensorboard

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is a sum as the format stores it: sums of data that has sums in it are weak.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// Writer appends events to a file. One goroutine at a time uses it.
type Writer struct {
	f   *os.File
	w   *bufio.Writer
	err error
}

// Create makes a new event file in the folder dir, which is what `tensorboard --logdir` takes.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create event file: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	now := time.Now()
	path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), host, os.Getpid(), now.Nanosecond()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create event file: %w", err)
	}
	w := &Writer{f: f, w: bufio.NewWriter(f)}
	w.record(appendBytes(appendTime(nil, now), 3, []byte("brain.Event:2")))
	return w, w.Flush()
}

// Scalars writes values at a step, by their tags, such as "loss".
func (w *Writer) Scalars(step int64, at time.Time, values map[string]float64) error {
	var summary []byte
	tags := make([]string, 0, len(values))
	for tag := range values {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	for _, tag := range tags {
		v := appendBytes(nil, 1, []byte(tag))
		v = binary.LittleEndian.AppendUint32(append(v, 2<<3|5), math.Float32bits(float32(values[tag])))
		summary = appendBytes(summary, 1, v)
	}
	event := binary.AppendUvarint(append(appendTime(nil, at), 2<<3), uint64(step))
	w.record(appendBytes(event, 5, summary))
	return w.err
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.LittleEndian.AppendUint64(append(b, 1<<3|1), math.Float64bits(float64(t.UnixNano())/1e9))
}

// appendBytes appends a field of bytes.
func appendBytes(b []byte, field byte, v []byte) []byte {
	return append(binary.AppendUvarint(append(b, field<<3|2), uint64(len(v))), v...)
}

func (w *Writer) record(data []byte) {
	if w.err != nil {
		return
	}
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = binary.LittleEndian.AppendUint32(append(b, data...), masked(data))
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("write event file %s: %w", w.f.Name(), err)
	}
}

// Flush has what was written be seen.
func (w *Writer) Flush() error {
	if w.err == nil {
		if err := w.w.Flush(); err != nil {
			w.err = fmt.Errorf("write event file %s: %w", w.f.Name(), err)
		}
	}
	return w.err
}

// Close flushes and closes the file.
func (w *Writer) Close() error {
	err := w.Flush()
	if closed := w.f.Close(); err == nil {
		err = closed
	}
	return err
}
