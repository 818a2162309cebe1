package archive

import (
	"archive/zip"
	"cmp"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBytes is how much the files of a folder may hold together.
	MaxBytes = 512 << 20
	// MaxFiles is how many files, links and folders there may be.
	MaxFiles = 100_000
	// named is how many files an error names.
	named = 5
)

// TooLargeError says that a folder holds more than an archive may.
type TooLargeError struct {
	Dir     string
	Files   int
	Bytes   int64
	Largest []string // with their sizes, the largest first
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("folder %s has %d files of %s in all, more than %d files or %s; the largest: %s",
		e.Dir, e.Files, size(e.Bytes), MaxFiles, size(MaxBytes), strings.Join(e.Largest, ", "))
}

// RefusedError says that a folder has what can't be archived.
type RefusedError struct {
	Dir  string
	What []string // names, and why
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("folder %s can't be archived: %s", e.Dir, strings.Join(e.What, ", "))
}

// File is an archive on disk.
type File struct {
	Path   string
	SHA256 string // in hex
	Size   int64
}

// Create archives dir into a new file in the folder in, or that for temporary files if in is empty.
func Create(dir, in string) (f File, err error) {
	out, err := os.CreateTemp(in, "gray-archive-")
	if err != nil {
		return File{}, fmt.Errorf("archive folder %s: %w", dir, err)
	}
	defer func() {
		if cerr := out.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("archive folder %s: %w", dir, cerr)
		}
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	h := sha256.New()
	if err := Pack(io.MultiWriter(out, h), dir); err != nil {
		return File{}, err
	}
	st, err := out.Stat()
	if err != nil {
		return File{}, fmt.Errorf("archive folder %s: %w", dir, err)
	}
	return File{Path: out.Name(), SHA256: hex.EncodeToString(h.Sum(nil)), Size: st.Size()}, nil
}

// member is one file, link or folder of what is archived.
type member struct {
	name string // slash-separated, below the folder
	mode fs.FileMode
	size int64
}

// Pack writes the archive of the folder dir.
func Pack(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("archive folder %s: %w", dir, err)
	}
	defer root.Close()
	members, err := list(root, dir)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	left := int64(MaxBytes) // files may have grown since
	for _, m := range members {
		n, err := m.write(z, root, left)
		if err != nil {
			return fmt.Errorf("archive folder %s: %s: %w", dir, m.name, err)
		}
		left -= n
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("archive folder %s: %w", dir, err)
	}
	return nil
}

// list returns what is in the folder, in the order of names, if all of it can be archived.
func list(root *os.Root, dir string) ([]member, error) {
	var members []member
	refused := &RefusedError{Dir: dir}
	var total int64
	err := fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		m := member{name: name, mode: info.Mode()}
		why := ""
		switch kind := m.mode.Type(); {
		case !utf8.ValidString(name):
			why = "is no UTF-8"
		case kind == 0:
			m.size = info.Size()
		case kind == fs.ModeSymlink:
			if _, err := root.Stat(name); err != nil {
				why = "is a link that leads out of the folder, or nowhere"
			}
		case kind != fs.ModeDir:
			why = "is no file, folder or link"
		}
		if why != "" && len(refused.What) < named {
			refused.What = append(refused.What, fmt.Sprintf("%q %s", name, why))
		}
		total += m.size
		if members = append(members, m); len(members) > 10*MaxFiles {
			return fs.SkipAll
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("archive folder %s: %w", dir, err)
	case len(refused.What) > 0:
		return nil, refused
	case total > MaxBytes || len(members) > MaxFiles:
		return nil, tooLarge(dir, members, total)
	}
	return members, nil
}

func tooLarge(dir string, members []member, total int64) error {
	e := &TooLargeError{Dir: dir, Files: len(members), Bytes: total}
	slices.SortFunc(members, func(a, b member) int { return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name)) })
	for _, m := range members[:min(named, len(members))] {
		e.Largest = append(e.Largest, fmt.Sprintf("%s (%s)", m.name, size(m.size)))
	}
	return e
}

func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

var errGrows = errors.New("it grows while it's read")

// write adds the member to an archive, at most limit bytes of it.
func (m member) write(z *zip.Writer, root *os.Root, limit int64) (int64, error) {
	h := &zip.FileHeader{Name: m.name, Method: zip.Deflate} // without a time
	switch m.mode.Type() {
	case fs.ModeDir:
		h.Name, h.Method = m.name+"/", zip.Store
		h.SetMode(fs.ModeDir | 0o755)
		_, err := z.CreateHeader(h)
		return 0, err
	case fs.ModeSymlink:
		target, err := root.Readlink(m.name)
		if err != nil {
			return 0, err
		}
		h.Method = zip.Store
		h.SetMode(fs.ModeSymlink | 0o777)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, target)
		}
		return 0, err
	}
	h.SetMode(0o644 | m.mode.Perm()&0o100>>6*0o111)
	f, err := root.Open(m.name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w, err := z.CreateHeader(h)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = errGrows
	}
	return n, err
}

// inside reports whether a link at name may lead to target, by its names alone.
func inside(name, target string) bool {
	return !path.IsAbs(target) && filepath.IsLocal(path.Join(path.Dir(name), target))
}
