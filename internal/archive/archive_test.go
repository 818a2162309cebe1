package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes files: name and content; a content that begins with -> is a link.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, link := strings.CutPrefix(content, "->"); link && err == nil {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pack(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Pack(&b, dir); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(t testing.TB, b []byte) (string, error) {
	dir := t.TempDir()
	t.Cleanup(func() { _ = Remove(dir) })
	return dir, Unpack(bytes.NewReader(b), int64(len(b)), dir)
}

// TestThere: what is packed comes out, read-only, and the same makes the same bytes.
func TestThere(t *testing.T) {
	files := map[string]string{"a": "alpha", "sub/deep/b": strings.Repeat("beta", 1000), "sub/up": "->../a", "here": "->sub/deep", "empty": ""}
	dir, same := write(t, files), write(t, files)
	for _, d := range []string{dir, same} {
		if err := errors.Join(os.Mkdir(filepath.Join(d, "none"), 0o700), os.Chmod(filepath.Join(d, "a"), 0o750)); err != nil {
			t.Fatal(err)
		}
	}
	b := pack(t, dir)
	if !bytes.Equal(b, pack(t, same)) {
		t.Error("the same files make other bytes")
	}
	out, err := unpack(t, b)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		got, err := os.ReadFile(filepath.Join(out, name))
		switch name {
		case "here":
			got, err = os.ReadFile(filepath.Join(out, "here/b"))
			content = files["sub/deep/b"]
		case "sub/up":
			content = files["a"]
		}
		if err != nil || string(got) != content {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
	}
	for name, mode := range map[string]fs.FileMode{"a": 0o555, "empty": 0o444, "none": fs.ModeDir | 0o555, ".": fs.ModeDir | 0o555} {
		if st, err := os.Stat(filepath.Join(out, name)); err != nil || st.Mode() != mode {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	if n, err := Contents(bytes.NewReader(b), int64(len(b))); err != nil || n != 5+4000+4+8 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := os.Chmod(filepath.Join(dir, "a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(b, pack(t, dir)) {
		t.Error("the execute bit makes no difference")
	}
	if err := Remove(out); err != nil {
		t.Error(err)
	}
}

// TestRefused: what can't be archived is named.
func TestRefused(t *testing.T) {
	for what, target := range map[string]string{"absolute": "->/etc", "above": "->../x", "nowhere": "->gone", "roundabout": "->sub/l/../../.."} {
		dir := write(t, map[string]string{"sub/l": "->../sub", "sub/" + what: target})
		err := Pack(&bytes.Buffer{}, dir)
		if e := (*RefusedError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), "sub/"+what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	dir := write(t, nil)
	ln, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := Pack(&bytes.Buffer{}, dir); err == nil || !strings.Contains(err.Error(), `"socket"`) {
		t.Error(err)
	}
	if err := Pack(&bytes.Buffer{}, filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestTooLarge: the largest files are named.
func TestTooLarge(t *testing.T) {
	dir := write(t, map[string]string{"small": "x", "big": "", "bigger": ""})
	for name, size := range map[string]int64{"big": MaxBytes / 2, "bigger": MaxBytes} {
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	err := Pack(&bytes.Buffer{}, dir)
	if err == nil || !strings.Contains(err.Error(), "bigger (512 MiB), big (256 MiB), small (1 bytes)") {
		t.Error(err)
	}
}

// hostile are archives that no Pack makes.
func hostile(t testing.TB) map[string][]byte {
	made := map[string][]byte{}
	add := func(name string, members ...func(*zip.Writer) error) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, m := range members {
			if err := m(z); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		made[name] = b.Bytes()
	}
	file := func(name, content string, mode fs.FileMode) func(*zip.Writer) error {
		return func(z *zip.Writer) error {
			h := &zip.FileHeader{Name: name, Method: zip.Deflate}
			h.SetMode(mode)
			w, err := z.CreateHeader(h)
			if err == nil {
				_, err = w.Write([]byte(content))
			}
			return err
		}
	}
	add("above", file("../x", "x", 0o644))
	add("absolute", file("/tmp/gray-archive-escaped", "x", 0o644))
	add("twice", file("x", "x", 0o644), file("x", "y", 0o644))
	add("through a link", file("l", "..", fs.ModeSymlink|0o777), file("l/x", "x", 0o644))
	add("a link out", file("l", "../..", fs.ModeSymlink|0o777))
	add("a link out by another", file("a/b/l", "../../c", fs.ModeSymlink|0o777), file("c/x", "x", 0o644),
		file("m", "a/b/l/../../..", fs.ModeSymlink|0o777))
	add("a device", file("x", "", fs.ModeDevice|0o644))
	add("a bomb", func(z *zip.Writer) error {
		h := &zip.FileHeader{Name: "x", Method: zip.Deflate, UncompressedSize64: 1 << 40, CompressedSize64: 10}
		_, err := z.CreateRaw(h)
		return err
	})
	add("more than it says", func(z *zip.Writer) error {
		var b bytes.Buffer
		inner := zip.NewWriter(&b)
		if err := errors.Join(file("x", strings.Repeat("x", 100_000), 0o644)(inner), inner.Close()); err != nil {
			return err
		}
		r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			return err
		}
		h := r.File[0].FileHeader
		h.UncompressedSize64 = 10
		h.Flags &^= 8 // its sizes stand before it
		raw, err := r.File[0].OpenRaw()
		if err != nil {
			return err
		}
		w, err := z.CreateRaw(&h)
		if err == nil {
			_, err = io.Copy(w, raw)
		}
		return err
	})
	return made
}

// TestHostile: nothing is written outside, and nothing is unpacked that isn't what it says.
func TestHostile(t *testing.T) {
	for what, b := range hostile(t) {
		if dir, err := unpack(t, b); err == nil {
			t.Errorf("%s was unpacked to %s", what, dir)
		}
	}
	if _, err := os.Lstat("/tmp/gray-archive-escaped"); err == nil {
		t.Error("a file was written outside")
	}
	if _, err := unpack(t, []byte("no archive")); !errors.Is(err, ErrBad) {
		t.Error(err)
	}
}

// FuzzUnpack: whatever the bytes, all that is made lies in the folder, and links lead nowhere else.
func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, write(f, map[string]string{"a": "alpha", "sub/b": "beta", "l": "->sub"})))
	for _, b := range hostile(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "dir")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		err := Unpack(bytes.NewReader(b), int64(len(b)), dir)
		if entries, _ := os.ReadDir(parent); len(entries) != 1 {
			t.Errorf("%d entries beside the folder", len(entries))
		}
		if err == nil {
			_ = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
				real, lerr := filepath.EvalSymlinks(name)
				home, _ := filepath.EvalSymlinks(dir)
				if err != nil || lerr != nil || real != home && !strings.HasPrefix(real, home+"/") {
					t.Errorf("%s is %s: %v, %v", name, real, err, lerr)
				}
				return nil
			})
		}
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
}
