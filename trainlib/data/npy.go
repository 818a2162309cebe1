package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/half"
	"github.com/gray-runtime/gray/trainlib/model"
)

const (
	maxNPYHeader = 1 << 16
	maxDims      = 32
)

// LoadNPY reads a file of numpy's format; one that ends in .gz is decompressed.
func LoadNPY[T model.Float](path string) (gray.Tensor[T], error) {
	return load(path, func(r io.Reader) (gray.Tensor[T], error) { return ReadNPY[T](r, path) })
}

// ReadNPY reads an array of numbers or booleans as numpy.save writes it, versions 1 to 3, either order of bytes and of
// indices; name is the file's, for errors.
func ReadNPY[T model.Float](r io.Reader, name string) (gray.Tensor[T], error) {
	b := &binaryReader{r: r, name: name}
	head := b.bytes(8)
	if b.err != nil || string(head[:6]) != "\x93NUMPY" || head[6] < 1 || head[6] > 3 {
		return gray.Tensor[T]{}, b.fail(0, "it doesn't begin as numpy's files do")
	}
	n := 2
	if head[6] > 1 {
		n = 4
	}
	length := make([]byte, 4)
	copy(length, b.bytes(n))
	size := binary.LittleEndian.Uint32(length)
	if b.err == nil && size > maxNPYHeader {
		return gray.Tensor[T]{}, b.fail(8, fmt.Sprintf("a header of %d bytes", size))
	}
	text := string(b.bytes(int(size)))
	if b.err != nil {
		return gray.Tensor[T]{}, b.err
	}
	h, err := parseNPYHeader(text)
	if err != nil {
		return gray.Tensor[T]{}, b.fail(int64(8+n), err.Error())
	}
	t := gray.Tensor[T]{Shape: h.shape}
	if t.Data, err = readNumbers[T](b, h.kind, h.order, h.shape); err != nil {
		return gray.Tensor[T]{}, err
	}
	if h.fortran {
		t.Data = transpose(t.Data, h.shape)
	}
	return t, nil
}

type npyHeader struct {
	kind    string // as "f4"
	order   binary.ByteOrder
	fortran bool
	shape   []int
}

// parseNPYHeader reads a Python dict like {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }.
func parseNPYHeader(s string) (npyHeader, error) {
	h := npyHeader{order: binary.LittleEndian}
	seen := map[string]bool{}
	s = strings.TrimSpace(s)
	s, open := strings.CutPrefix(s, "{")
	s, closed := strings.CutSuffix(s, "}")
	if !open || !closed {
		return h, fmt.Errorf("the header %s is no dict", quoted(s))
	}
	for s = strings.TrimSpace(s); s != ""; {
		key, rest, ok := strings.Cut(s, ":")
		key, rest = strings.Trim(strings.TrimSpace(key), `'"`), strings.TrimSpace(rest)
		if !ok || seen[key] {
			return h, fmt.Errorf("the header has %s", quoted(s))
		}
		seen[key] = true
		var value string
		if strings.HasPrefix(rest, "(") {
			value, s, ok = strings.Cut(rest[1:], ")")
			s = strings.TrimPrefix(strings.TrimSpace(s), ",")
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		if !ok {
			return h, errors.New("the header's shape doesn't end")
		}
		if err := h.set(key, strings.TrimSpace(value)); err != nil {
			return h, err
		}
		s = strings.TrimSpace(s)
	}
	if !seen["descr"] || !seen["fortran_order"] || !seen["shape"] {
		return h, errors.New("the header lacks descr, fortran_order or shape")
	}
	return h, nil
}

func (h *npyHeader) set(key, value string) error {
	switch key {
	case "descr":
		value = strings.Trim(value, `'"`)
		if len(value) != 3 {
			return fmt.Errorf("elements of type %s aren't read", quoted(value))
		}
		if value[0] == '>' {
			h.order = binary.BigEndian
		}
		h.kind = value[1:]
		if width(h.kind) == 0 {
			return fmt.Errorf("elements of type %s aren't read", quoted(value))
		}
	case "fortran_order":
		if value != "True" && value != "False" {
			return fmt.Errorf("fortran_order is %s", quoted(value))
		}
		h.fortran = value == "True"
	case "shape":
		h.shape = []int{}
		for d := range strings.SplitSeq(value, ",") {
			if d = strings.TrimSpace(d); d == "" {
				continue
			}
			n, err := strconv.Atoi(d)
			if err != nil || n < 0 || len(h.shape) == maxDims {
				return fmt.Errorf("shape is (%s)", value)
			}
			h.shape = append(h.shape, n)
		}
	}
	return nil
}

// width is the bytes of an element, 0 if there's no such type.
func width(kind string) int {
	switch kind {
	case "b1", "i1", "u1":
		return 1
	case "i2", "u2", "f2":
		return 2
	case "i4", "u4", "f4":
		return 4
	case "i8", "u8", "f8":
		return 8
	}
	return 0
}

func decode[T model.Float](dst []T, b []byte, kind string, o binary.ByteOrder) {
	for i := range dst {
		switch kind {
		case "b1", "u1":
			dst[i] = T(b[i])
		case "i1":
			dst[i] = T(int8(b[i]))
		case "i2":
			dst[i] = T(int16(o.Uint16(b[2*i:])))
		case "u2":
			dst[i] = T(o.Uint16(b[2*i:]))
		case "f2":
			dst[i] = T(half.Float16(o.Uint16(b[2*i:])).Float32())
		case "i4":
			dst[i] = T(int32(o.Uint32(b[4*i:])))
		case "u4":
			dst[i] = T(o.Uint32(b[4*i:]))
		case "f4":
			dst[i] = T(math.Float32frombits(o.Uint32(b[4*i:])))
		case "i8":
			dst[i] = T(int64(o.Uint64(b[8*i:])))
		case "u8":
			dst[i] = T(o.Uint64(b[8*i:]))
		case "f8":
			dst[i] = T(math.Float64frombits(o.Uint64(b[8*i:])))
		}
	}
}

// transpose turns an array whose first index moves fastest into one whose last does.
func transpose[T any](x []T, shape []int) []T {
	if len(shape) < 2 {
		return x
	}
	out := make([]T, len(x))
	index := make([]int, len(shape))
	strides := make([]int, len(shape)) // in out
	for d, stride := len(shape)-1, 1; d >= 0; d-- {
		strides[d] = stride
		stride *= shape[d]
	}
	to := 0
	for _, v := range x {
		out[to] = v
		for d := range shape {
			index[d]++
			to += strides[d]
			if index[d] < shape[d] {
				break
			}
			to -= index[d] * strides[d]
			index[d] = 0
		}
	}
	return out
}
