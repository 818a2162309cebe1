package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCSV(t *testing.T) {
	s, err := ReadCSV[float64](strings.NewReader("a,b,label\n1, 2,0\n3,4.5e1,1\n"), "x.csv", CSV{Header: true, Target: -1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.X, []float64{1, 2, 3, 45}) || !slices.Equal(s.Y, []float64{0, 1}) || s.Len() != 2 || s.Check() != nil {
		t.Errorf("read %+v", s)
	}
}

func TestCSVNamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"0,1,2\n0,1,abc\n":    `x.csv:2:5: "abc" is no number`,
		"0,1,2\n0,1\n":        `x.csv:2:1: wrong number of fields`,
		"0,1,NaN\n":           `x.csv:1:5: "NaN" is no number`,
		"0,1,1e999\n":         `x.csv:1:5: "1e999" is no number`,
		"0,1,\n":              `x.csv:1:5: "" is no number`,
		"0,\"1,2\n":           `x.csv:1:`,
		"7\n":                 `x.csv:1:1: the line has 0 features`,
		"0,1,2\n\n0,\"x\"y,1": `x.csv:3:`,
	} {
		_, err := ReadCSV[float32](strings.NewReader(text), "x.csv", CSV{})
		var at *ParseError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// npy is a file of numpy's format.
func npy(version byte, descr, order, shape string, values any, o binary.ByteOrder) []byte {
	h := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", descr, order, shape)
	b := append([]byte("\x93NUMPY"), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(h)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(h)))
	}
	out := bytes.NewBuffer(append(b, h...))
	if err := binary.Write(out, o, values); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func TestNPY(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	for name, file := range map[string][]byte{
		"f8":      npy(1, "<f8", "False", "2, 3", []float64{1, 2, 3, 4, 5, 6}, le),
		"f4":      npy(2, "<f4", "False", "2, 3", []float32{1, 2, 3, 4, 5, 6}, le),
		"big":     npy(3, ">i2", "False", "2, 3", []int16{1, 2, 3, 4, 5, 6}, be),
		"u1":      npy(1, "|u1", "False", "2, 3", []uint8{1, 2, 3, 4, 5, 6}, le),
		"i8":      npy(1, "<i8", "False", "2, 3", []int64{1, 2, 3, 4, 5, 6}, le),
		"f2":      npy(1, "<f2", "False", "2, 3", []uint16{0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600}, le),
		"fortran": npy(1, "<f8", "True", "2, 3", []float64{1, 4, 2, 5, 3, 6}, le),
	} {
		a, err := ReadNPY[float64](bytes.NewReader(file), name)
		if err != nil || !slices.Equal(a.Shape, []int{2, 3}) || !slices.Equal(a.Data, []float64{1, 2, 3, 4, 5, 6}) {
			t.Errorf("%s: %v %v", name, a, err)
		}
		for _, cut := range []int{0, 5, 9, 30, len(file) - 1} {
			var at *ParseError
			if _, err := ReadNPY[float64](bytes.NewReader(file[:cut]), name); !errors.As(err, &at) {
				t.Errorf("%s cut at %d: %v", name, cut, err)
			}
		}
		if _, err := ReadNPY[float64](bytes.NewReader(append(file, 0)), name); err == nil {
			t.Errorf("%s with a byte more was read", name)
		}
	}
	huge := npy(1, "<f8", "False", "1000000000000", []float64{1}, le)
	if _, err := ReadNPY[float32](bytes.NewReader(huge), "huge"); err == nil || !strings.Contains(err.Error(), "ends too early") {
		t.Errorf("a file that promises more than it has: %v", err)
	}
}

// TestNumpyWrites reads what numpy itself writes, where GRAY_TRAIN_PYTHON names a Python that has it.
func TestNumpyWrites(t *testing.T) {
	python := os.Getenv("GRAY_TRAIN_PYTHON")
	if python == "" {
		t.Skip("GRAY_TRAIN_PYTHON isn't set")
	}
	path := filepath.Join(t.TempDir(), "a.npy")
	script := "import sys, numpy as n; n.save(sys.argv[1], n.asfortranarray(n.arange(24, dtype='>f4').reshape(2,3,4)))"
	if out, err := exec.Command(python, "-c", script, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a, err := LoadNPY[float64](path)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range a.Data {
		if v != float64(i) {
			t.Fatalf("element %d is %g", i, v)
		}
	}
}

func idx(kind byte, shape []uint32, values any) []byte {
	out := bytes.NewBuffer([]byte{0, 0, kind, byte(len(shape))})
	for _, v := range []any{shape, values} {
		if err := binary.Write(out, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

func TestIDX(t *testing.T) {
	images := idx(0x08, []uint32{2, 2, 2}, []uint8{0, 1, 2, 3, 4, 5, 6, 255})
	labels := idx(0x0c, []uint32{2}, []int32{7, -1})
	x, err := ReadIDX[float32](bytes.NewReader(images), "images")
	if err != nil {
		t.Fatal(err)
	}
	y, err := ReadIDX[float32](bytes.NewReader(labels), "labels")
	if err != nil {
		t.Fatal(err)
	}
	s, err := FromTensors(x, y)
	if err != nil || s.Len() != 2 || s.X[7] != 255 || s.Y[1] != -1 || !slices.Equal(s.XShape, []int{2, 2}) || len(s.YShape) != 0 {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range [][]byte{nil, {0, 0, 8}, {1, 0, 8, 1}, {0, 0, 7, 1}, {0, 0, 8, 0}, images[:15], append(images, 1)} {
		var at *ParseError
		if _, err := ReadIDX[float32](bytes.NewReader(bad), "bad"); !errors.As(err, &at) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}

// TestLoad: files, compressed ones too, whose sums count.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte, zip, damage bool) string {
		path := filepath.Join(dir, name)
		if zip {
			var out bytes.Buffer
			z := gzip.NewWriter(&out)
			if _, err := z.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			b = out.Bytes()
		}
		if damage {
			b[len(b)-5] ^= 1 // of the sum
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := []byte("1,2\n3,4\n")
	numpy := npy(1, "<f8", "False", "3,", []float64{1, 2, 3}, binary.LittleEndian)
	mnist := idx(0x08, []uint32{3}, []uint8{1, 2, 3})
	for _, zip := range []bool{false, true} {
		end := map[bool]string{false: "", true: ".gz"}[zip]
		if s, err := LoadCSV[float64](write("a.csv"+end, text, zip, false), CSV{}); err != nil || !slices.Equal(s.X, []float64{2, 4}) {
			t.Error(s, err)
		}
		if x, err := LoadNPY[float32](write("a.npy"+end, numpy, zip, false)); err != nil || !slices.Equal(x.Data, []float32{1, 2, 3}) {
			t.Error(x, err)
		}
		if x, err := LoadIDX[float32](write("a.idx"+end, mnist, zip, false)); err != nil || !slices.Equal(x.Data, []float32{1, 2, 3}) {
			t.Error(x, err)
		}
	}
	for name, load := range map[string]func(path string) error{
		"b.csv.gz": func(p string) error { _, err := LoadCSV[float64](p, CSV{}); return err },
		"b.npy.gz": func(p string) error { _, err := LoadNPY[float64](p); return err },
		"b.idx.gz": func(p string) error { _, err := LoadIDX[float64](p); return err },
	} {
		file := map[string][]byte{"b.csv.gz": text, "b.npy.gz": numpy, "b.idx.gz": mnist}[name]
		path := write(name, file, true, true)
		if err := load(path); !errors.Is(err, gzip.ErrChecksum) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s, damaged: %v", name, err)
		}
		if err := load(path + "no"); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("1,2\n3,4\n", -1)
	f.Add("0,\"1\n", 0)
	f.Fuzz(func(t *testing.T, text string, target int) {
		s, err := ReadCSV[float64](strings.NewReader(text), "f", CSV{Target: target})
		if err == nil && len(s.Y) > 0 && s.Check() != nil {
			t.Errorf("%q: %v", text, s.Check())
		}
		if err == nil && slices.ContainsFunc(s.X, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			t.Errorf("%q has numbers that are none", text)
		}
	})
}

func FuzzNPY(f *testing.F) {
	f.Add(npy(1, "<f8", "True", "2, 3", []float64{1, 2, 3, 4, 5, 6}, binary.LittleEndian))
	f.Add(npy(2, "|u1", "False", "", []uint8{1}, binary.LittleEndian))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := ReadNPY[float32](bytes.NewReader(file), "f")
		if err == nil && product(a.Shape) != len(a.Data) {
			t.Errorf("shape %v has %d numbers", a.Shape, len(a.Data))
		}
	})
}

func FuzzIDX(f *testing.F) {
	f.Add(idx(0x08, []uint32{2, 2}, []uint8{0, 1, 2, 3}))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := ReadIDX[float32](bytes.NewReader(file), "f")
		if err == nil && product(a.Shape) != len(a.Data) {
			t.Errorf("shape %v has %d numbers", a.Shape, len(a.Data))
		}
	})
}
