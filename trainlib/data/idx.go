package data

import (
	"encoding/binary"
	"fmt"
	"io"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
)

// idxKinds is the types of the format's third byte.
var idxKinds = map[byte]string{0x08: "u1", 0x09: "i1", 0x0b: "i2", 0x0c: "i4", 0x0d: "f4", 0x0e: "f8"}

// LoadIDX reads a file of MNIST's format; one that ends in .gz is decompressed.
func LoadIDX[T model.Float](path string) (gray.Tensor[T], error) {
	return load(path, func(r io.Reader) (gray.Tensor[T], error) { return ReadIDX[T](r, path) })
}

// ReadIDX reads an array in MNIST's format; name is the file's, for errors.
func ReadIDX[T model.Float](r io.Reader, name string) (gray.Tensor[T], error) {
	b := &binaryReader{r: r, name: name}
	head := b.bytes(4)
	if b.err != nil {
		return gray.Tensor[T]{}, b.err
	}
	kind, dims := idxKinds[head[2]], int(head[3])
	if head[0] != 0 || head[1] != 0 || kind == "" || dims == 0 || dims > maxDims {
		return gray.Tensor[T]{}, b.fail(0, fmt.Sprintf("it begins with % x, which no IDX file does", head))
	}
	shape := make([]int, dims)
	for i := range shape {
		d := b.bytes(4)
		if b.err != nil {
			return gray.Tensor[T]{}, b.err
		}
		shape[i] = int(binary.BigEndian.Uint32(d))
	}
	x, err := readNumbers[T](b, kind, binary.BigEndian, shape)
	return gray.Tensor[T]{Shape: shape, Data: x}, err
}
