package codec

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

var (
	// ErrTruncated: the bytes end before the value does, or a length in them
	// is more than what is left.
	ErrTruncated = errors.New("value is cut short")
	// ErrTrailing: there are bytes after the value.
	ErrTrailing = errors.New("bytes after the value")
	// ErrMismatch: the value is of another kind than the Go type read into.
	ErrMismatch = errors.New("wrong kind of value")
	// ErrRange: the number doesn't fit the Go type, or an array isn't as long
	// as the Go array.
	ErrRange = errors.New("out of range")
	// ErrDepth: the value nests deeper than 10,000 levels; when encoding, it
	// most likely contains itself.
	ErrDepth = errors.New("nested deeper than 10000 levels (does the value contain itself?)")
	// ErrTooLong: msgpack can't hold a string, slice or map of 4 GiB or more.
	ErrTooLong = errors.New("longer than 4 GiB, the most that one msgpack value can hold: split it")
	// ErrMalformed: bytes that no msgpack writer makes.
	ErrMalformed = errors.New("malformed value")
)

// TypeError says why a Go type can't be encoded. Path leads to the culprit,
// beginning with the name of the type asked for: "Job.Tasks[].Done".
type TypeError struct {
	Path   string
	Type   reflect.Type
	Reason string
}

func (e *TypeError) Error() string {
	if e.Path == rootName(e.Type) && e.Type.Name() == "" {
		return e.Reason
	}
	return e.Path + ": " + e.Reason
}

// EncodeError says where in a value encoding failed.
type EncodeError struct {
	Path string
	Err  error
}

func (e *EncodeError) Error() string { return "encode " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *EncodeError) Unwrap() error { return e.Err }

// DecodeError says where decoding failed: the path in the Go value and the
// offset in the bytes.
type DecodeError struct {
	Path   string
	Offset int
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode %s at byte %d: %v", e.Path, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// maxPath keeps the path of an error in a deep value readable, and the work of
// building it linear. It's built from the inside out, so the outer end is cut.
const maxPath = 200

func join(seg, path string) string {
	if len(path) > maxPath {
		if strings.HasPrefix(path, "...") {
			return path
		}
		return "..." + path
	}
	return seg + path
}

// encodeAt adds one step to the path of an error on its way out.
func encodeAt(err error, seg string) error {
	e, ok := err.(*EncodeError) //nolint:errorlint // one that a user's error wraps isn't ours to change
	if !ok {
		return &EncodeError{Path: seg, Err: err}
	}
	e.Path = join(seg, e.Path)
	return e
}

func decodeAt(err error, seg string) error {
	e, ok := err.(*DecodeError) //nolint:errorlint // as above
	if !ok {
		return &DecodeError{Path: seg, Err: err}
	}
	e.Path = join(seg, e.Path)
	return e
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func keyed(key any) string {
	s := fmt.Sprintf("%#v", key)
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return "[" + s + "]"
}

// rootName is how error paths begin.
func rootName(t reflect.Type) string {
	if n := t.Name(); n != "" {
		return n
	}
	return t.String()
}
