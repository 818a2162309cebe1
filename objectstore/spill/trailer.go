package spill

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/gray-runtime/gray/internal/ids"
)

// granule is what places in files are multiples of, in bytes.
const granule = 64

// page is what places of large objects are multiples of, in bytes.
const page = 4096

// trailerSize is the length of what follows an object's bytes.
const trailerSize = 64

var (
	magic      = []byte("grayobj1")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// errDamaged says that what was read isn't what was written.
var errDamaged = errors.New("the bytes on disk are damaged")

// trailer describes the bytes before it.
type trailer struct {
	id   ids.ObjectID
	size int64
	sum  uint32 // CRC-32C of the bytes
}

// append adds the trailer's bytes: magic, ID, length, checksum, zeros, and a checksum of
// all that; numbers are little-endian.
func (t trailer) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = t.id.Append(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.size))
	b = binary.LittleEndian.AppendUint32(b, t.sum)
	for len(b) < start+trailerSize-4 {
		b = append(b, 0)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseTrailer is the reverse of append.
func parseTrailer(b []byte) (trailer, error) {
	if len(b) != trailerSize || !bytes.HasPrefix(b, magic) {
		return trailer{}, fmt.Errorf("%w: no object ends there", errDamaged)
	}
	last := trailerSize - 4
	if crc32.Checksum(b[:last], castagnoli) != binary.LittleEndian.Uint32(b[last:]) {
		return trailer{}, fmt.Errorf("%w: the trailer's checksum is wrong", errDamaged)
	}
	b = b[len(magic):last]
	id, err := ids.ObjectIDFrom(b[:ids.Size])
	if err != nil {
		return trailer{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	b = b[ids.Size:]
	return trailer{id: id, size: int64(binary.LittleEndian.Uint64(b)), sum: binary.LittleEndian.Uint32(b[8:])}, nil
}

// taken is how much room an object takes in its file, its trailer included: the bytes
// are padded to the granule, and large objects to whole pages, so that the next
// large one is written page by page.
func taken(size int64) int64 {
	n := trailerAt(size) + trailerSize
	if size >= direct {
		n = (n + page - 1) &^ (page - 1)
	}
	return n
}

// trailerAt is where the trailer lies, from the object's beginning.
func trailerAt(size int64) int64 { return (size + granule - 1) &^ (granule - 1) }
