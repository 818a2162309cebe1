package head

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxPackage = 2 << 30
	// ownPrefix begins names of packages that are their content's sum.
	ownPrefix = "gray_"
)

var packageName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$`)

// packageStore keeps the files of packages, by content.
type packageStore struct{ dir string }

func newPackageStore(dir string) *packageStore { return &packageStore{dir: dir} }

func (p *packageStore) path(sum string) string { return filepath.Join(p.dir, sum) }

// write stores r's bytes and returns their SHA-256 and number. When it returns
// they're on the disk.
func (p *packageStore) write(r io.Reader) (sum string, size int64, err error) {
	f, err := os.CreateTemp(p.dir, ".upload-")
	if err != nil {
		return "", 0, fmt.Errorf("store package: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(r, maxPackage+1))
	switch {
	case err == nil && size > maxPackage:
		err = fmt.Errorf("%w: a package has at most %d bytes", ErrTooLarge, int64(maxPackage))
	case err == nil:
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", 0, fmt.Errorf("store package: %w", err)
	}
	sum = hex.EncodeToString(h.Sum(nil))
	if err := os.Rename(f.Name(), p.path(sum)); err != nil {
		return "", 0, fmt.Errorf("store package: %w", err)
	}
	if err := syncDir(p.dir); err != nil {
		return "", 0, fmt.Errorf("store package: %w", err)
	}
	return sum, size, nil
}

// retain removes the files of which keep says no: uploads that a killed head left
// unfinished, and packages that were replaced.
func (p *packageStore) retain(keep func(sum string) bool) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("sweep packages: %w", err)
	}
	for _, e := range entries {
		if keep(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.dir, e.Name())); err != nil {
			return fmt.Errorf("sweep packages: %w", err)
		}
	}
	return nil
}

// sweepPackages removes the files that the index doesn't have. It comes before
// the first request: an upload is in the index only after its file.
func (h *Head) sweepPackages() {
	sums := map[string]bool{}
	h.replica.read(func(s *fsm.State) {
		for _, p := range s.Packages() {
			sums[p.Sha256] = true
		}
	})
	if err := h.packages.retain(func(sum string) bool { return sums[sum] }); err != nil {
		h.log.Warn("packages that nobody needs may be left", "error", err)
	}
}

func checkPackageName(name string) error {
	if !packageName.MatchString(name) {
		return fmt.Errorf("%w: %q", ErrPackageName, name)
	}
	return nil
}

// putPackage stores a package under a name.
func (h *Head) putPackage(ctx context.Context, name string, r io.Reader) error {
	if err := checkPackageName(name); err != nil {
		return err
	}
	sum, size, err := h.packages.write(r)
	if err != nil {
		return err
	}
	if want, own := strings.CutPrefix(name, ownPrefix); own && want != sum {
		return problem(proto.Error_INVALID, "the SHA-256 of package %s is %s: its upload was damaged", name, sum)
	}
	_, err = h.propose(ctx, &fsm.Command_PutPackage{PutPackage: &fsm.PutPackage{Name: name, Size: size, Sha256: sum}})
	return err
}

// packageRecord looks a package up.
func (h *Head) packageRecord(name string) *fsm.PackageRecord {
	var p *fsm.PackageRecord
	h.replica.read(func(s *fsm.State) { p = s.Package(name) })
	return p
}

// FetchPackage sends a stored package.
func (c *controlService) FetchPackage(r *proto.FetchPackageRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	rec := c.h.packageRecord(r.Name)
	if rec == nil {
		return problem(proto.Error_NOT_FOUND, "package %s does not exist", r.Name)
	}
	f, err := os.Open(c.h.packages.path(rec.Sha256))
	if err != nil {
		return problem(proto.Error_INTERNAL, "package %s: %v", r.Name, err)
	}
	defer f.Close()
	if err := rpc.SendChunks(stream, f); err != nil {
		return problem(proto.Error_INTERNAL, "send package %s: %v", r.Name, err)
	}
	return nil
}
