package head

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	maxPackage   = 2 << 30
	uploadPrefix = ".upload-"
	// uploadAge is how old a file may be that isn't in the index yet.
	uploadAge = time.Hour
	// ownPrefix begins names of packages that are their content's sum.
	ownPrefix = "gray_"
)

var packageName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$`)

// packageStore keeps the files of packages, by content.
type packageStore struct{ dir string }

// newPackageStore removes what a killed head left unfinished.
func newPackageStore(dir string) *packageStore {
	half, _ := filepath.Glob(filepath.Join(dir, uploadPrefix+"*")) // the pattern is right
	for _, path := range half {
		os.Remove(path)
	}
	return &packageStore{dir: dir}
}

func (p *packageStore) path(sum string) string { return filepath.Join(p.dir, sum) }

// write stores r's bytes and returns their SHA-256 and number. When it returns
// they're on the disk.
func (p *packageStore) write(r io.Reader) (sum string, size int64, err error) {
	f, err := os.CreateTemp(p.dir, uploadPrefix)
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

// touch keeps a file that is here from being swept; false: it isn't here.
func (p *packageStore) touch(sum string) bool {
	now := time.Now()
	return os.Chtimes(p.path(sum), now, now) == nil
}

func (p *packageStore) has(sum string) bool {
	_, err := os.Stat(p.path(sum))
	return err == nil
}

// retain removes the files of which keep says no, packages that were replaced, but
// for those that may be on their way into the index.
func (p *packageStore) retain(keep func(sum string) bool) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("sweep packages: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if keep(e.Name()) || err != nil || time.Since(info.ModTime()) < uploadAge {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.dir, e.Name())); err != nil {
			return fmt.Errorf("sweep packages: %w", err)
		}
	}
	return nil
}

func checkPackageName(name string) error {
	if !packageName.MatchString(name) {
		return fmt.Errorf("%w: %q", ErrPackageName, name)
	}
	return nil
}

// putPackage stores a package under a name: on the disks of a majority of the
// heads first.
func (h *Head) putPackage(ctx context.Context, name string, r io.Reader) error {
	if err := checkPackageName(name); err != nil {
		return err
	}
	sum, size, err := h.packages.write(r)
	if errors.Is(err, syscall.ENOSPC) && !h.consensus.alone() {
		if herr := h.consensus.handOver(); herr != nil {
			h.log.Warn("the lead wasn't handed to a head that may have room", "error", herr)
		}
		return problem(proto.Error_UNAVAILABLE, "%v: another head may have room", err)
	}
	if err != nil {
		return err
	}
	if want, own := strings.CutPrefix(name, ownPrefix); own && want != sum {
		return problem(proto.Error_INVALID, "the SHA-256 of package %s is %s: its upload was damaged", name, sum)
	}
	if err := h.spread(ctx, sum); err != nil {
		return err
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
	if rec == nil { // this head may not know it yet
		if !c.h.awaitCurrent(stream.Context()) {
			return asStatus(ErrNoLeader)
		}
		rec = c.h.packageRecord(r.Name)
	}
	if rec == nil {
		return problem(proto.Error_NOT_FOUND, "package %s does not exist", r.Name)
	}
	if err := c.h.obtain(stream.Context(), rec.Sha256); err != nil {
		return fmt.Errorf("package %s: %w", r.Name, err)
	}
	if err := c.h.sendPackage(stream, rec.Sha256); err != nil {
		return problem(proto.Error_INTERNAL, "send package %s: %v", r.Name, err)
	}
	return nil
}

func (h *Head) sendPackage(stream grpc.ServerStreamingServer[proto.Chunk], sum string) error {
	f, err := os.Open(h.packages.path(sum))
	if err != nil {
		return err
	}
	defer f.Close()
	return rpc.SendChunks(stream, f)
}
