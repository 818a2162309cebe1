// Package codec turns Go values into objects and back: standard msgpack,
// compiled once per Go type.
//
// It owns the byte format of every value that crosses a process in gray: task
// arguments, results, stored objects, actor calls. It never touches a network,
// a file or a clock, starts no goroutine that outlives a call (large copies are
// shared by two), and keeps no state but the cache of
// compiled types and the table of extension readers (RegisterExt).
//
// # Why not a library
//
// Numeric slices have to be readable in place from shared memory, so they are
// aligned extensions; references inside any value must be collected while it
// is encoded; and small values, of which a cluster moves a million a second,
// must cost tens of nanoseconds without garbage.
//
// # Invariants
//
//  1. Whatever Append writes is one valid msgpack value; Decode and View accept
//     exactly one and refuse bytes after it.
//  2. Append never writes more than Size answered for the same, unchanged value,
//     and never reallocates a dst that has that much spare capacity.
//  3. Decoding hostile bytes gives a *DecodeError: no panic, no unbounded
//     recursion, and no allocation that the length of the input times the size
//     of the Go type doesn't justify: a count is checked against the bytes left
//     before anything is made from it.
//  4. After Decode the value shares no memory with src. After View its strings,
//     byte slices and numeric slices may alias src, which must then outlive it
//     and must not change; and they must not be written to.
//  5. The result of Decode doesn't depend on what v held before: it's overwritten.
//  6. Size and Append of Codec copy v as an assignment does, so that it needn't
//     be on the heap. It mustn't change while they run, nor between the two.
//  7. The same Go type is compiled at most a few times a process (once, but for
//     a race of first uses), and its code is immutable and safe for concurrent use.
//
// There are no locks, hence no lock order.
//
// # Format
//
// docs/FORMAT.md says the same for writers of other languages.
//
// An object is one msgpack value, beginning at offset 0. Lengths and numbers of
// msgpack's own are big-endian; the data of numeric extensions is little-endian.
//
//	Go                             msgpack
//	bool                           true, false
//	int*, uint*, Duration          the smallest integer form; zero and above as unsigned
//	float32, float64               float 32, float 64
//	complex64, complex128          array of two floats: real, imaginary
//	string                         str (UTF-8 isn't checked)
//	[]byte, [N]byte, named         bin
//	numeric slice or array         extension 1 if it has 8 elements or more, else array
//	Tensor                         extension 2, or nil if it has neither shape nor data
//	other slice or array           array
//	map                            map, in the map's own order
//	struct                         map keyed by field name, in field order
//	pointer                        nil, or what it points to
//	time.Time                      timestamp (extension -1): an instant, read back in UTC
//	any                            what it holds, see below
//	Marshaler                      one extension of its own kind, or nil if it wrote none
//	BinaryMarshaler + Unmarshaler  bin
//	TextMarshaler + Unmarshaler    str
//	nil slice, nil map             nil; an empty one is an empty array, bin or map
//
// Readers are more generous than the writer. nil reads as the zero value of any
// type; any integer form reads as any integer type that can hold the number; a
// float type reads integers and both float forms (float32 rounds); string and
// []byte read str and bin; a numeric slice reads an array and any form of
// extension 1 whose element type is its own.
//
// Structs: exported fields only. A tag gray:"name" renames a field, gray:"-"
// leaves it out. Embedded structs are flattened by the rules of encoding/json:
// the shallowest field of a name wins, then the tagged one, else all are left
// out; the fields of a nil embedded pointer aren't written. Unknown keys are
// skipped, missing ones leave the zero value, so both ends may have fields that
// the other lacks. Methods promoted from an embedded field don't count as the
// struct's own encoding: such a field is written under its type's name beside
// the others, and an embedded Marshaler is refused unless its field has a name.
//
// # Extension 1: numeric array
//
//	offset  size       content
//	0       1 byte     element type
//	1       1 byte     pad length, 0 to 63
//	2       pad        zero bytes
//	2+pad   n * width  elements, little-endian
//
// The writer uses the ext 32 form and chooses the pad that puts the first
// element at a multiple of 64 bytes from the object's first byte. Readers accept
// any ext form and any pad: the alignment is a speed, not a condition. Element
// types:
//
//	1 int8    2 int16    3 int32     4 int64     5 uint8      6 uint16    7 uint32
//	8 uint64  9 float32  10 float64  11 complex64  12 complex128  13 int  14 uint
//
// 13 and 14 are 64 bits wide and differ from 4 and 8 only in what they become
// inside an any. complex elements are real then imaginary.
//
// # Extension 2: n-dimensional array
//
//	offset        size       content
//	0             1 byte     element type
//	1             1 byte     pad length, 0 to 63
//	2             1 byte     rank, 0 to 32
//	3             8 * rank   shape: uint64, little-endian, the slowest dimension first
//	3+8*rank      pad        zero bytes
//	3+8*rank+pad  n * width  elements, little-endian; n is the product of the shape
//
// A Tensor also reads arrays and extension 1, as one dimension. Kinds 3 to 9 are
// reserved for later numeric forms; 16 and above are for Marshalers. msgpack's
// lengths end at 4 GiB less one byte: longer values are refused with ErrTooLong.
//
// # Values in any
//
// A value inside an any is written as its dynamic type, and read back without
// it: nil, bool, string, []byte, float32, float64 and time.Time as themselves;
// integers as int (uint64 when they don't fit); arrays as []any; maps as
// map[string]any, or map[any]any if a key isn't a string; numeric slices that lie
// directly in an any, of any length, as slices of their element type; tensors as
// Tensors of it; structs as map[string]any of their fields; extensions by the reader given to RegisterExt.
package codec
