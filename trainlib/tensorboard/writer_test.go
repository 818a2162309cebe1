package tensorboard

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestSumIsMaskedAsTheFormatSays: files by TensorFlow begin with a record of 24 bytes, whose length has this sum.
func TestSumIsMaskedAsTheFormatSays(t *testing.T) {
	if got := masked(binary.LittleEndian.AppendUint64(nil, 24)); got != 0x224b7fa3 {
		t.Errorf("the sum of a length of 24 is %#x", got)
	}
}

// fields finds the fields of a message.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	m := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("% x is no message", b)
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			t.Fatalf("% x is no value", b)
		}
		v := b[:n]
		if typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(b)
		}
		m[num] = append(m[num], v)
		b = b[n:]
	}
	return m
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 500_000_000)
	if err := w.Scalars(300, at, map[string]float64{"loss": 0.25, "accuracy": 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		data := b[12 : 12+n]
		if binary.LittleEndian.Uint32(b[8:]) != masked(b[:8]) || binary.LittleEndian.Uint32(b[12+n:]) != masked(data) {
			t.Fatal("a record's sum is wrong")
		}
		records = append(records, data)
		b = b[16+n:]
	}
	if len(records) != 2 || string(fields(t, records[0])[3][0]) != "brain.Event:2" {
		t.Fatalf("%d records, the first % x", len(records), records[0])
	}
	event := fields(t, records[1])
	if s := math.Float64frombits(binary.LittleEndian.Uint64(event[1][0])); s != 1_700_000_000.5 {
		t.Errorf("at %f", s)
	}
	if step, _ := protowire.ConsumeVarint(event[2][0]); step != 300 {
		t.Errorf("step %d", step)
	}
	values := fields(t, event[5][0])[1]
	for i, want := range []struct {
		tag string
		v   float32
	}{{"accuracy", 1}, {"loss", 0.25}} {
		v := fields(t, values[i])
		if got := math.Float32frombits(binary.LittleEndian.Uint32(v[2][0])); string(v[1][0]) != want.tag || got != want.v {
			t.Errorf("%s is %g", v[1][0], got)
		}
	}
}
