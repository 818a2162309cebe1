package archive

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ErrBad is in the error for bytes that aren't an archive, or one that may not be unpacked.
var ErrBad = errors.New("bad archive")

// maxLink is how long a link's target may be.
const maxLink = 4096

// Contents is how many bytes the archive's files say they have together.
func Contents(r io.ReaderAt, size int64) (int64, error) {
	z, err := open(r, size)
	if err != nil {
		return 0, err
	}
	return contents(z)
}

func open(r io.ReaderAt, size int64) (*zip.Reader, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBad, err)
	}
	if len(z.File) > MaxFiles {
		return nil, fmt.Errorf("%w: %d files, more than %d", ErrBad, len(z.File), MaxFiles)
	}
	return z, nil
}

func contents(z *zip.Reader) (int64, error) {
	var total int64
	for _, f := range z.File {
		if f.UncompressedSize64 > MaxBytes {
			return 0, fmt.Errorf("%w: %q has %d bytes; all files may have %d", ErrBad, f.Name, f.UncompressedSize64, MaxBytes)
		}
		if total += int64(f.UncompressedSize64); total > MaxBytes {
			return 0, fmt.Errorf("%w: its files have over %d bytes", ErrBad, MaxBytes)
		}
	}
	return total, nil
}

// Unpack makes dir, an empty folder, what the archive holds. What it made stays when it fails.
func Unpack(r io.ReaderAt, size int64, dir string) error {
	z, err := open(r, size)
	if err != nil {
		return err
	}
	if _, err := contents(z); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // through which nothing leads out
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer root.Close()
	var links []*zip.File // last, so that nothing is written through one
	for _, f := range z.File {
		if f.Mode().Type() == fs.ModeSymlink {
			links = append(links, f)
			continue
		}
		if err := unpackFile(root, f); err != nil {
			return fmt.Errorf("unpack %q: %w", f.Name, err)
		}
	}
	for _, f := range links {
		if err := unpackLink(root, f); err != nil {
			return fmt.Errorf("unpack %q: %w", f.Name, err)
		}
	}
	for _, f := range links {
		if _, err := root.Stat(f.Name); err != nil {
			return fmt.Errorf("unpack %q: %w: a link that leads out of the folder, or nowhere", f.Name, ErrBad)
		}
	}
	return chmodFolders(dir, 0o555)
}

func unpackFile(root *os.Root, f *zip.File) error {
	name := strings.TrimSuffix(f.Name, "/")
	if !fs.ValidPath(name) {
		return fmt.Errorf("%w: such a name leads out of the folder", ErrBad)
	}
	if strings.HasSuffix(f.Name, "/") {
		return root.MkdirAll(name, 0o755)
	}
	if f.Mode().Type() != 0 {
		return fmt.Errorf("%w: it's no file, folder or link", ErrBad)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	defer in.Close()
	n, err := io.Copy(out, io.LimitReader(in, int64(f.UncompressedSize64)+1))
	if err == nil && uint64(n) != f.UncompressedSize64 {
		err = fmt.Errorf("%w: it has other than the %d bytes that it says", ErrBad, f.UncompressedSize64)
	}
	if err != nil {
		return err
	}
	return out.Chmod(0o444 | f.Mode().Perm()&0o100>>6*0o111)
}

func unpackLink(root *os.Root, f *zip.File) error {
	if !fs.ValidPath(f.Name) {
		return fmt.Errorf("%w: such a name leads out of the folder", ErrBad)
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	defer in.Close()
	target, err := io.ReadAll(io.LimitReader(in, maxLink+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	if len(target) > maxLink || !inside(f.Name, string(target)) {
		return fmt.Errorf("%w: a link that leads out of the folder", ErrBad)
	}
	if err := root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
		return err
	}
	return root.Symlink(string(target), f.Name)
}

// Remove removes a folder that Unpack has made.
func Remove(dir string) error {
	if err := chmodFolders(dir, 0o755); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}

// chmodFolders sets the permissions of dir and the folders in it.
func chmodFolders(dir string, mode fs.FileMode) error {
	var folders []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		folders = append(folders, name)
		if mode&0o200 != 0 {
			return os.Chmod(name, mode) // before what is in it is read
		}
		return nil
	})
	if err != nil || mode&0o200 != 0 {
		return err
	}
	for _, name := range slices.Backward(folders) {
		if err := os.Chmod(name, mode); err != nil {
			return err
		}
	}
	return nil
}
