package codec_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/objectstore/codec"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/format.golden anew: the format has changed")

const (
	goldenFile = "testdata/format.golden"
	formatPage = "../../docs/FORMAT.md"
)

// point and scene are the examples' structs.
type (
	point struct{ X, Y int }
	scene struct {
		Name   string
		Origin point
		Points []point
		Tags   map[string]int
		Parent *scene
		Shape  string `gray:"shape"`
		Made   time.Time
		Raw    []byte
	}
)

// example is a value with what stands for it in the golden file.
type example struct {
	name   string
	encode func() ([]byte, error)
	// decode reports whether src is the value.
	decode func(src []byte) error
}

func exampleOf[T any](name string, v T) example {
	return example{
		name: name,
		encode: func() ([]byte, error) {
			c, err := codec.For[T]()
			if err != nil {
				return nil, err
			}
			return c.Append(nil, &v, nil)
		},
		decode: func(src []byte) error {
			c, err := codec.For[T]()
			if err != nil {
				return err
			}
			var out T
			if err := c.Decode(src, &out, nil); err != nil {
				return err
			}
			if !reflect.DeepEqual(v, out) {
				return fmt.Errorf("read %#v, want %#v", out, v)
			}
			return nil
		},
	}
}

func examples() []example {
	made := time.Date(2026, 11, 28, 1, 2, 3, 456789000, time.UTC)
	return []example{
		exampleOf("int", -70_000),
		exampleOf("uint64", uint64(1<<63)),
		exampleOf("float", 0.1),
		exampleOf("text", "grün"),
		exampleOf("bytes", []byte{0, 1, 255}),
		exampleOf("none", (*point)(nil)),
		exampleOf("complex", complex(1, -2)),
		exampleOf("time", made),
		exampleOf("early", time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)),
		exampleOf("duration", 3*time.Second),
		exampleOf("short", []float64{1, 2, 3}),
		exampleOf("floats", counted[float64](9).Data),
		exampleOf("ints", counted[int](8).Data),
		exampleOf("shorts", counted[int16](8).Data),
		exampleOf("matrix", counted[float32](2, 3)),
		exampleOf("cube", counted[uint8](2, 2, 2)),
		exampleOf("scalar", codec.Tensor[float64]{Shape: []int{}, Data: []float64{7}}),
		exampleOf("hollow", codec.Tensor[int64]{Shape: []int{3, 0}, Data: []int64{}}),
		exampleOf("waves", codec.Tensor[complex64]{Shape: []int{2}, Data: []complex64{1i, 2}}),
		exampleOf("strings", []string{"a", "b"}),
		exampleOf("numbered", map[int]string{5: "five"}),
		exampleOf("any", any([]any{int(1), "x", nil, true, []float32{}, map[string]any{"k": []uint16{7}}})),
		exampleOf("scene", scene{
			Name: "s", Origin: point{1, -1}, Points: []point{{2, 3}, {}}, Tags: map[string]int{"t": 9},
			Parent: &scene{Name: "p", Made: made}, Shape: "round", Made: made, Raw: []byte("raw"),
		}),
		exampleOf("arrays", struct {
			Label string
			A     []float64
			B     codec.Tensor[int32]
			C     [][]int64
		}{"three", counted[float64](10).Data, counted[int32](3, 4), [][]int64{counted[int64](8).Data, {1}}}),
	}
}

// TestFormatIsGolden: values are written as the golden file has them, so that the format
// can't change unnoticed, and read from it.
func TestFormatIsGolden(t *testing.T) {
	var all bytes.Buffer
	for _, x := range examples() {
		enc, err := x.encode()
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		fmt.Fprintf(&all, "%s %x\n", x.name, enc)
	}
	if *rewrite {
		if err := os.WriteFile(goldenFile, all.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, all.Bytes()) {
		t.Errorf("the format has changed. Stored: \n%s\nnow:\n%s", golden, all.Bytes())
	}
	checkExamples(t, golden)
}

// checkExamples reads every example from lines of name and bytes.
func checkExamples(t *testing.T, lines []byte) {
	t.Helper()
	have := map[string][]byte{}
	for line := range strings.Lines(string(lines)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		have[name] = b
	}
	for _, x := range examples() {
		if err := x.decode(have[x.name]); err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

// TestPythonReadsAndWrites runs the Python of docs/FORMAT.md on the golden file, and
// reads what it writes.
func TestPythonReadsAndWrites(t *testing.T) {
	python := pythonWithMsgpack(t)
	page, err := os.ReadFile(formatPage)
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(page)
	if code == nil {
		t.Fatal(formatPage + " has no Python")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gray_format.py"), code[1], 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-B", "testdata/format.py", goldenFile)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	written, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &complaint)
	}
	checkExamples(t, written)
}

func pythonWithMsgpack(t *testing.T) string {
	t.Helper()
	for _, python := range []string{cmp.Or(os.Getenv("GRAY_TEST_PYTHON"), "python3"), "python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import msgpack, numpy").Run() == nil {
			return python
		}
	}
	t.Skip("no Python with msgpack and numpy, neither $GRAY_TEST_PYTHON nor python3")
	return ""
}
