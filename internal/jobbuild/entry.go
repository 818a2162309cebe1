package jobbuild

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/gray-runtime/gray/internal/version"
)

// entries are the functions of which a job reaches at least one.
var entries = []string{version.Module + "/sdk.Main", version.Module + "/sdk.Init", version.Module + "/sdk.Connect"}

var magics = []string{"\x7fELF", "\xcf\xfa\xed\xfe", "MZ"}

// isProgram tells an executable from the archive that go build makes of a library.
func isProgram(path string) (bool, error) {
	head, err := magic(path)
	return slices.ContainsFunc(magics, func(m string) bool { return bytes.HasPrefix(head, []byte(m)) }), err
}

func magic(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(f, head)
	return head, err
}

// hasEntry looks for gray's entry points in a program's symbol table. What the
// program doesn't reach, the linker has left out. A program of a format that it
// can't read passes.
func hasEntry(path string) (bool, error) {
	head, err := magic(path)
	if err != nil {
		return false, err
	}
	switch string(head) {
	case magics[0]:
		return elfHasEntry(path)
	case magics[1]:
		return machoHasEntry(path)
	}
	return true, nil
}

func elfHasEntry(path string) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	// The names alone will do: parsing the whole table takes ten times as long.
	section := f.Section(".strtab")
	if section == nil {
		return true, nil
	}
	names, err := section.Data()
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if bytes.Contains(names, []byte("\x00"+e+"\x00")) {
			return true, nil
		}
	}
	return false, nil
}

func machoHasEntry(path string) (bool, error) {
	f, err := macho.Open(path)
	var format *macho.FormatError
	if errors.As(err, &format) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if f.Symtab == nil {
		return true, nil
	}
	for _, s := range f.Symtab.Syms {
		if slices.Contains(entries, s.Name) {
			return true, nil
		}
	}
	return false, nil
}
