package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/gray-runtime/gray/trainlib/internal/simd"
	"github.com/gray-runtime/gray/trainlib/model"
)

// A message is a header and a body, both little-endian:
//
//	0   form, a byte
//	1   how many bytes a number (a scale, a value) has: 4 or 8
//	2   version, 1
//	3   0
//	4   how many numbers the message stands for, 4 bytes
//	8   parameter, 4 bytes: the block of blocks, how many are sent of sparse and random, the rank
//	12  0, 4 bytes
//
// The bodies:
//
//	full      the numbers
//	half      16 bits a number (and bhalf)
//	int8…     the blocks' scales, then the numbers' bits, those of lower numbers in lower bits
//	sparse    the values, then as many gaps between their places, as varints
//	random    the key of the places, 8 bytes, then the values
//	lowrank   how many tensors, 4 bytes; the rows and columns of each, 2 × 4 bytes (rows 0: no matrix); then of each
//	          the factors P, row by row, and Q, or the numbers as they are
type form byte

const (
	formFull form = iota + 1
	formHalf
	formBHalf
	formInt8
	formInt4
	formOneBit
	formTernary
	formSparse
	formRandom
	formLowRank
)

const (
	headerBytes = 16
	version     = 1
)

// ErrMessage is wrapped by errors about a message that isn't one, or isn't of what it's decoded to.
var ErrMessage = errors.New("compressed message")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
}

// header says what a message is.
type header struct {
	form  form
	width int // of a number, in bytes
	n     int
	param int
}

func (h header) append(dst []byte) []byte {
	dst = append(dst, byte(h.form), byte(h.width), version, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.n))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.param))
	return append(dst, 0, 0, 0, 0)
}

func parse(message []byte) (header, []byte, error) {
	if len(message) < headerBytes {
		return header{}, nil, refuse("%d bytes are less than a header", len(message))
	}
	b := message[:headerBytes]
	h := header{
		form: form(b[0]), width: int(b[1]),
		n: int(binary.LittleEndian.Uint32(b[4:])), param: int(binary.LittleEndian.Uint32(b[8:])),
	}
	if b[2] != version || b[3] != 0 || binary.LittleEndian.Uint32(b[12:]) != 0 {
		return header{}, nil, refuse("header %x isn't of version %d", b, version)
	}
	return h, message[headerBytes:], nil
}

// Len is how many numbers a message stands for.
func Len(message []byte) (int, error) {
	h, _, err := parse(message)
	return h.n, err
}

// Decode sets out, which is as long as what was encoded, to what a message says.
// If it's damaged, out may have changed.
func Decode[T model.Float](out []T, message []byte) error { return decode(out, message, false) }

// AddTo adds what a message says to sum, which is as long as what was encoded.
// If it's damaged, sum may have changed.
func AddTo[T model.Float](sum []T, message []byte) error { return decode(sum, message, true) }

func decode[T model.Float](out []T, message []byte, add bool) error {
	h, body, err := parse(message)
	if err != nil {
		return err
	}
	if h.n != len(out) || h.width != sizeOf[T]() {
		return refuse("%d numbers of %d bytes, not %d of %d", h.n, h.width, len(out), sizeOf[T]())
	}
	switch h.form {
	case formFull:
		return decodeFull(out, body, add)
	case formHalf, formBHalf:
		return decodeHalf(out, h, body, add)
	case formInt8, formInt4, formOneBit, formTernary:
		return decodeBlocks(out, h, body, add)
	case formSparse:
		return decodeSparse(out, h, body, add)
	case formRandom:
		return decodeRandom(out, h, body, add)
	case formLowRank:
		return decodeLowRank(out, h, body, add)
	}
	return refuse("there is no form %d", h.form)
}

func decodeFull[T model.Float](out []T, body []byte, add bool) error {
	if len(body) != len(out)*sizeOf[T]() {
		return refuse("%d bytes for %d numbers", len(body), len(out))
	}
	if add {
		simd.Add(out, numbers[T](body))
	} else {
		copy(out, numbers[T](body))
	}
	return nil
}

func sizeOf[T model.Float]() int { return int(unsafe.Sizeof(T(0))) }

// numbers is b as numbers, for machines that are little-endian, as all that gray runs on are. They may not be
// aligned, which those machines allow.
func numbers[T model.Float | uint16 | int8](b []byte) []T {
	size := int(unsafe.Sizeof(T(0)))
	if len(b) < size {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/size)
}

// bytesOf is the reverse of numbers.
func bytesOf[T model.Float](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*sizeOf[T]())
}

// grow makes dst n bytes longer. What they are is left open.
func grow(dst []byte, n int) (all, added []byte) {
	at := len(dst)
	if cap(dst)-at < n {
		dst = append(make([]byte, 0, max(at+n, min(2*cap(dst), math.MaxInt32))), dst...)
	}
	return dst[:at+n], dst[at : at+n]
}
