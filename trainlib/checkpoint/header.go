package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

const (
	maxHeader   = 100_000_000 // as other readers have it
	metadataKey = "__metadata__"
	headerSum   = "gray.crc32c" // of the header, with 8 zeros in place of the sum
	tensorSum   = "gray.crc32c:"
	noSum       = "00000000"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func hex(s uint32) string { return fmt.Sprintf("%08x", s) }

type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// header is the file's beginning, for tensors that lie one after another in this order; its length is a multiple of 64, whatever the sums are.
func header(tensors []Tensor, meta map[string]string, sums []uint32) ([]byte, error) {
	b := make([]byte, 8, 4096)
	b = append(b, `{"`+metadataKey+`":{"`+headerSum+`":"`...)
	at := len(b)
	b = append(b, noSum+`"`...)
	pair := func(k, v string) {
		b = append(append(b, ',', '\n'), quote(k)...)
		b = append(append(b, ':'), quote(v)...)
	}
	for i, t := range tensors {
		pair(tensorSum+t.Name, hex(sums[i]))
	}
	keys := make([]string, 0, len(meta))
	for k := range meta {
		if strings.HasPrefix(k, headerSum) {
			return nil, fmt.Errorf("the metadata key %s is gray's own", k)
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		pair(k, meta[k])
	}
	b = append(b, '}')
	offset := 0
	seen := map[string]bool{metadataKey: true}
	for _, t := range tensors {
		if n, ok := length(t.DType, t.Shape); !ok || n != len(t.Data) || seen[t.Name] {
			return nil, fmt.Errorf("tensor %q of type %s and shape %v has %d bytes, or its name twice", t.Name, t.DType, t.Shape, len(t.Data))
		}
		seen[t.Name] = true
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		e, err := json.Marshal(entry{t.DType, shape, [2]int{offset, offset + len(t.Data)}})
		if err != nil {
			return nil, err
		}
		b = append(append(b, ',', '\n'), quote(t.Name)...)
		b = append(append(b, ':'), e...)
		offset += len(t.Data)
	}
	b = append(b, '}')
	for len(b)%64 != 0 {
		b = append(b, ' ')
	}
	if len(b) > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes is too long", len(b))
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	copy(b[at:], hex(sum(b[8:])))
	return b, nil
}

func quote(s string) []byte {
	b, _ := json.Marshal(s)
	return b
}

// parseHeader reads the header of a file of this many bytes: the tensors, without their Data, in the order in which they lie, with where
// each begins in the file.
func parseHeader(h []byte, size int) (tensors []Tensor, begins []int, meta map[string]string, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(h, &all); err != nil {
		return nil, nil, nil, fmt.Errorf("the header is no JSON: %w", err)
	}
	if m, ok := all[metadataKey]; ok {
		if err := json.Unmarshal(m, &meta); err != nil {
			return nil, nil, nil, fmt.Errorf("the header's metadata: %w", err)
		}
		delete(all, metadataKey)
	}
	if err := checkSum(h, meta); err != nil {
		return nil, nil, nil, err
	}
	type placed struct {
		Tensor
		begin, end int
	}
	var list []placed
	for name, raw := range all {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, nil, nil, fmt.Errorf("the header's entry of tensor %q: %w", name, err)
		}
		n, ok := length(e.DType, e.Shape)
		if !ok || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1]-e.Offsets[0] != n {
			return nil, nil, nil, fmt.Errorf("tensor %q of type %q and shape %v lies at %v", name, e.DType, e.Shape, e.Offsets)
		}
		list = append(list, placed{Tensor{Name: name, DType: e.DType, Shape: e.Shape}, e.Offsets[0], e.Offsets[1]})
	}
	slices.SortFunc(list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	end := 0
	for _, p := range list {
		if p.begin != end {
			return nil, nil, nil, fmt.Errorf("tensor %q lies at %d, where %d is to be", p.Name, p.begin, end)
		}
		end = p.end
		tensors, begins = append(tensors, p.Tensor), append(begins, 8+len(h)+p.begin)
	}
	if 8+len(h)+end != size {
		return nil, nil, nil, fmt.Errorf("the file has %d bytes, its header speaks of %d", size, 8+len(h)+end)
	}
	return tensors, begins, meta, nil
}

// checkSum checks the header's own sum, if it has one.
func checkSum(h []byte, meta map[string]string) error {
	want, ok := meta[headerSum]
	if !ok {
		for k := range meta {
			if strings.HasPrefix(k, tensorSum) {
				return errors.New("the header is damaged: it lacks its sum")
			}
		}
		return nil
	}
	mark := []byte(`"` + headerSum + `":"`)
	before, after, found := bytes.Cut(h, mark)
	if !found || len(after) < len(noSum) {
		return errors.New("the header's sum isn't where it's to be")
	}
	s := crc32.Update(sum(before), castagnoli, mark)
	s = crc32.Update(crc32.Update(s, castagnoli, []byte(noSum)), castagnoli, after[len(noSum):])
	if got := hex(s); got != want {
		return fmt.Errorf("the header is damaged: its sum is %s, not %.8s", got, want)
	}
	return nil
}
