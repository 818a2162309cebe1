package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gray-runtime/gray/trainlib/half"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func some() []Tensor {
	return []Tensor{
		Of("w", []int{2, 3}, []float32{1, 2, 3, float32(math.Inf(1)), math.MaxFloat32, float32(math.Copysign(0, -1))}),
		Of("b \"quoted\" é", []int{3}, []float64{1, math.NaN(), 1e-310}),
		Of("empty", []int{0, 4}, []float64(nil)),
		Of("scalar", nil, []int64{-7}),
		Of("half", []int{1}, []half.BFloat16{0x3f80}),
	}
}

func TestFileIsBitwiseWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	want := some()
	if err := WriteFile(t.Context(), path, want, map[string]string{"step": "12"}, Synced); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Verify(t.Context()); err != nil || f.Meta["step"] != "12" || len(f.Tensors) != len(want) {
		t.Fatal(err, f.Meta, f.Tensors)
	}
	for _, w := range want {
		got, ok := f.Tensor(w.Name)
		if !ok || got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) || !slices.Equal(got.Data, w.Data) {
			t.Errorf("%+v is %+v", w, got)
		}
	}
	scalar, _ := f.Tensor("scalar")
	if v, err := Values[int64](scalar); err != nil || v[0] != -7 {
		t.Error(v, err)
	}
	if _, err := Values[float32](scalar); err == nil {
		t.Error("integers were read as floats")
	}
	if err := WriteFile(t.Context(), path, []Tensor{Of("w", []int{3}, []int8{1})}, nil, Cached); err == nil {
		t.Error("a shape that doesn't fit was written")
	}
	if err := WriteFile(t.Context(), path, append(want, want[0]), nil, Cached); err == nil {
		t.Error("a name was written twice")
	}
}

// TestPythonReadsAndWrites: where GRAY_TRAIN_PYTHON names a Python with safetensors.
func TestPythonReadsAndWrites(t *testing.T) {
	python := os.Getenv("GRAY_TRAIN_PYTHON")
	if python == "" {
		t.Skip("GRAY_TRAIN_PYTHON isn't set")
	}
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	x := []float32{1.5, -2, 3e-40, 4}
	if err := WriteFile(t.Context(), ours, []Tensor{Of("x", []int{2, 2}, x), Of("n", nil, []int64{9})}, map[string]string{"a": "b"}, Synced); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
import sys, numpy
from safetensors.numpy import load_file, save_file
d = load_file(sys.argv[1])
assert d["x"].shape == (2, 2) and d["n"] == 9, d
save_file({"x": d["x"], "half": d["x"].astype(numpy.float16), "z": numpy.arange(3, dtype=numpy.uint8)}, sys.argv[2])`, ours, theirs).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := OpenFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got, _ := f.Tensor("x")
	if v, err := Values[float32](got); err != nil || !slices.Equal(v, x) || f.Verify(t.Context()) != nil {
		t.Errorf("%v %v", v, err)
	}
}

// TestDamageIsFound: a changed byte anywhere, or a cut, is found, and the file named.
func TestDamageIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := WriteFile(t.Context(), path, some(), map[string]string{"step": "12"}, Cached); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err == nil {
			err = f.Verify(t.Context())
			defer func() { _ = f.Close() }()
		}
		var bad *DamagedError
		if !errors.As(err, &bad) || bad.File != path {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range whole {
		bits := []int{rand.IntN(8)}
		if i < 64 {
			bits = []int{0, 1, 2, 3, 4, 5, 6, 7} // one of a hexadecimal digit makes it a capital
		}
		for _, bit := range bits {
			b := slices.Clone(whole)
			b[i] ^= 1 << bit
			check(fmt.Sprintf("bit %d of byte %d of %d", bit, i, len(b)), b)
		}
	}
	for _, n := range []int{0, 7, 8, 100, len(whole) - 1} {
		check(fmt.Sprintf("cut at %d", n), whole[:n])
	}
	check("a byte more", append(slices.Clone(whole), 0))
}

func TestCheckpoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if c, damaged, err := OpenLatest(t.Context(), dir); c != nil || damaged != nil || err != nil {
		t.Fatal(c, damaged, err)
	}
	for step := int64(1); step <= 4; step++ {
		o := Options{Shards: int(step), Keep: 2}
		path, err := Save(t.Context(), dir, step*100, some(), map[string]string{"epoch": fmt.Sprint(step)}, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(path, indexFile)); err != nil {
			t.Error(err)
		}
	}
	paths, err := List(dir)
	if err != nil || len(paths) != 2 {
		t.Fatal(paths, err)
	}
	// A part that never became a checkpoint isn't seen.
	if err := WriteShard(t.Context(), dir, 900, 0, 2, some(), nil, Cached); err != nil {
		t.Fatal(err)
	}
	if _, err := Commit(dir, 900, 2, Options{}); err == nil {
		t.Error("a checkpoint that lacks a shard was committed")
	}
	c, damaged, err := OpenLatest(t.Context(), dir)
	if err != nil || damaged != nil || c.Step != 400 || c.Meta["epoch"] != "4" || len(c.Tensors()) != len(some()) {
		t.Fatal(c, damaged, err)
	}
	if w, ok := c.Tensor("w"); !ok || len(w.Data) != 24 {
		t.Error(w)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	// The newest is damaged: the one before is taken, and the file named.
	files, err := filepath.Glob(filepath.Join(paths[1], "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	c, damaged, err = OpenLatest(t.Context(), dir)
	if err != nil || c.Step != 300 || damaged == nil || !strings.Contains(damaged.Error(), files[0]) {
		t.Fatal(c, damaged, err)
	}
	_ = c.Close()
}

// TestCheckpointOfTheSameStep: it takes the other's place, and what was begun before it is gone.
func TestCheckpointOfTheSameStep(t *testing.T) {
	dir := t.TempDir()
	if err := WriteShard(t.Context(), dir, 5, 0, 2, some(), nil, Cached); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"7", "step-7", "step--00000000007", "step-000000000009.old"} { // aren't checkpoints
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"first", "second"} {
		path, err := Save(t.Context(), dir, 7, some(), map[string]string{"run": run}, Options{Shards: 2, Keep: 1})
		if err != nil {
			t.Fatal(err)
		}
		paths, err := List(dir)
		if err != nil || len(paths) != 1 || paths[0] != path {
			t.Fatal(paths, err)
		}
		c, err := Open(path)
		if err != nil || c.Meta["run"] != run {
			t.Fatal(c, err)
		}
		_ = c.Close()
		if parts, err := filepath.Glob(filepath.Join(dir, "*"+partSuffix)); err != nil || len(parts) > 0 {
			t.Fatal(parts, err)
		}
	}
}

func TestWritingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := WriteFile(ctx, filepath.Join(dir, "a"), some(), nil, Synced); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func FuzzHeader(f *testing.F) {
	h, err := header(some(), map[string]string{"a": "b"}, make([]uint32, len(some())))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h[8:], 90)
	f.Add([]byte(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`), 8)
	f.Fuzz(func(t *testing.T, h []byte, data int) {
		size := 8 + len(h) + max(data, 0)
		tensors, begins, _, err := parseHeader(h, size)
		if err != nil {
			return
		}
		for i, x := range tensors {
			if n, ok := length(x.DType, x.Shape); !ok || begins[i] < 8+len(h) || begins[i]+n > size {
				t.Errorf("%+v begins at %d of %d", x, begins[i], size)
			}
		}
	})
}
