package data

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
)

// FromTensors is the set whose samples are the first index of x, and of y.
func FromTensors[T model.Float](x, y gray.Tensor[T]) (*Set[T], error) {
	if len(x.Shape) == 0 || len(y.Shape) == 0 || x.Shape[0] != y.Shape[0] {
		return nil, fmt.Errorf("samples of shape %v and targets of shape %v don't fit", x.Shape, y.Shape)
	}
	s := &Set[T]{X: x.Data, XShape: x.Shape[1:], Y: y.Data, YShape: y.Shape[1:]}
	return s, s.Check()
}

// load reads a file, decompressed if its name says so.
func load[V any](path string, read func(io.Reader) (V, error)) (v V, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, fmt.Errorf("read data: %w", err)
	}
	defer func() { _ = f.Close() }()
	if !strings.HasSuffix(path, ".gz") {
		return read(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return v, fmt.Errorf("read data %s: %w", path, err)
	}
	return read(z)
}

// binaryReader counts bytes, and keeps its first error.
type binaryReader struct {
	r    io.Reader
	name string
	at   int64
	err  error
}

func (b *binaryReader) bytes(n int) []byte {
	p := make([]byte, n)
	b.fill(p)
	return p
}

func (b *binaryReader) fill(p []byte) {
	if b.err != nil {
		return
	}
	n, err := io.ReadFull(b.r, p)
	b.at += int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		b.err = &ParseError{File: b.name, Offset: b.at, Err: errors.New("the file ends too early")}
	case err != nil:
		b.err = fmt.Errorf("read %s: %w", b.name, err)
	}
}

func (b *binaryReader) fail(at int64, why string) error {
	if b.err == nil {
		b.err = &ParseError{File: b.name, Offset: at, Err: errors.New(why)}
	}
	return b.err
}

// readNumbers reads an array. It makes room as bytes come, whatever the shape promises.
func readNumbers[T model.Float](b *binaryReader, kind string, o binary.ByteOrder, shape []int) ([]T, error) {
	const most = math.MaxInt64 / 8
	n := 1
	for _, d := range shape {
		if d != 0 && n > most/d {
			return nil, b.fail(b.at, fmt.Sprintf("an array of shape %v is too large", shape))
		}
		n *= d
	}
	const chunk = 1 << 15
	w := width(kind)
	x := make([]T, 0, min(n, chunk))
	buf := make([]byte, min(n, chunk)*w)
	for len(x) < n {
		k := min(n-len(x), chunk)
		if b.fill(buf[:k*w]); b.err != nil {
			return nil, b.err
		}
		x = append(x, make([]T, k)...)
		decode(x[len(x)-k:], buf, kind, o)
	}
	switch k, err := io.ReadFull(b.r, make([]byte, 1)); {
	case k > 0:
		return nil, b.fail(b.at, fmt.Sprintf("the file goes on after an array of shape %v", shape))
	case !errors.Is(err, io.EOF): // as of gzip's sum
		return nil, fmt.Errorf("read %s: %w", b.name, err)
	}
	return x, nil
}
