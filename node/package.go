package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// programs remembers where a job's program is on this node.
type programs struct {
	mu      sync.Mutex
	path    string // of the program to run
	fetched bool
}

// programOf returns the path of the job's program, fetched if need be. Those
// who ask at the same time wait for one fetch.
func (n *Node) programOf(ctx context.Context, j *job) (string, error) {
	n.mu.Lock()
	spec, exe, pid := j.spec, j.exe, j.exePID
	n.mu.Unlock()
	if exe != "" {
		return runnable(exe, pid), nil
	}
	j.program.mu.Lock()
	defer j.program.mu.Unlock()
	if j.program.fetched {
		return j.program.path, nil
	}
	path, err := n.packages.find(ctx, spec, ids.NodeID(spec.GetOrigin()))
	if err != nil {
		return "", fmt.Errorf("program of job %s: %w", j.id, err)
	}
	j.program.path, j.program.fetched = path, true
	return path, nil
}

// runnable is a path by which the driver's own binary can be run: its own, as
// long as that still is the same file, else the kernel's name for it.
func runnable(exe string, pid int) string {
	magic := fmt.Sprintf("/proc/%d/exe", pid)
	a, err1 := os.Stat(exe)
	b, err2 := os.Stat(magic)
	if err1 == nil && (err2 != nil || os.SameFile(a, b)) {
		return exe
	}
	return magic
}

// packages is the node's cache of jobs' binaries, by content.
type packages struct {
	dir  string
	head func(ctx context.Context, r *proto.FetchPackageRequest) (grpc.ServerStreamingClient[proto.Chunk], error)
	peer func(ctx context.Context, id ids.NodeID) (proto.NodeClient, error)
	self func() ids.NodeID

	mu      sync.Mutex
	fetches map[string]*fetch
}

// fetch is one download that several may wait for.
type fetch struct {
	done chan struct{}
	path string
	err  error
}

// find returns the path of the job's binary for this platform.
func (p *packages) find(ctx context.Context, spec *proto.JobSpec, origin ids.NodeID) (string, error) {
	var binary *proto.Binary
	for _, b := range spec.GetBinaries() {
		if b.Platform == platform {
			binary = b
		}
	}
	foreign := origin != 0 && origin != p.self()
	if binary == nil && (len(spec.GetBinaries()) > 0 || !foreign) {
		return "", fmt.Errorf("%w (%s)", ErrNoBinary, platform)
	}
	sum := binary.GetSha256()
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size && sum != "" {
		return "", fmt.Errorf("%w: %q is no SHA-256 sum", ErrBadFrame, sum)
	}
	if sum != "" {
		path := filepath.Join(p.dir, sum)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path, nil
		}
	}
	req := &proto.FetchPackageRequest{Name: binary.GetPackage(), Job: spec.GetId()}
	open := p.head
	fromPeer := foreign && binary.GetPackage() == ""
	if fromPeer {
		open = func(ctx context.Context, r *proto.FetchPackageRequest) (grpc.ServerStreamingClient[proto.Chunk], error) {
			c, err := p.peer(ctx, origin)
			if err != nil {
				return nil, err
			}
			return c.FetchPackage(ctx, r)
		}
	}
	key := sum
	if key == "" {
		key = fmt.Sprintf("job %d of %d", req.Job, origin)
	}
	return p.share(ctx, key, func() (path string, err error) {
		if fromPeer {
			return p.fetch(ctx, sum, req, open)
		}
		err = retry(ctx, func() (err error) { // a head that ends meanwhile isn't the only one
			path, err = p.fetch(ctx, sum, req, open)
			return err
		})
		return path, err
	})
}

// share lets one of those who ask for the same thing do it.
func (p *packages) share(ctx context.Context, key string, do func() (string, error)) (string, error) {
	for {
		p.mu.Lock()
		f := p.fetches[key]
		if f == nil {
			f = &fetch{done: make(chan struct{})}
			p.fetches[key] = f
			p.mu.Unlock()
			f.path, f.err = do()
			p.mu.Lock()
			delete(p.fetches, key)
			p.mu.Unlock()
			close(f.done)
			return f.path, f.err
		}
		p.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if f.err == nil || !errors.Is(f.err, context.Canceled) {
			return f.path, f.err
		} // who fetched gave up for reasons of its own
	}
}

type opener = func(ctx context.Context, r *proto.FetchPackageRequest) (grpc.ServerStreamingClient[proto.Chunk], error)

func (p *packages) fetch(ctx context.Context, sum string, req *proto.FetchPackageRequest, open opener) (string, error) {
	stream, err := open(ctx, req)
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	f, err := os.CreateTemp(p.dir, "fetching-")
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	h := sha256.New()
	err = rpc.ReceiveChunks(stream, io.MultiWriter(f, h))
	if err == nil {
		err = f.Chmod(0o700)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	got := hex.EncodeToString(h.Sum(nil))
	if sum != "" && got != sum {
		return "", fmt.Errorf("fetch: the package's sum is %s, want %s", got, sum)
	}
	path := filepath.Join(p.dir, got)
	if err := os.Rename(f.Name(), path); err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	return path, nil
}

// FetchPackage gives another node the binary of a driver that runs here, or the archive of a
// working directory.
func (s *service) FetchPackage(r *proto.FetchPackageRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	n := s.n
	if sum, ok := strings.CutPrefix(r.Name, archivePrefix); ok {
		f, has := n.folders.Archive(sum)
		if !has {
			return errcode.Status(problem(proto.Error_NOT_FOUND, "%s has no archive %s", n.id, sum))
		}
		return sendOpened(f, stream)
	}
	n.mu.Lock()
	j := n.jobs[ids.JobID(r.Job)]
	n.mu.Unlock()
	if j == nil {
		return errcode.Status(problem(proto.Error_NOT_FOUND, "job %d isn't known on %s", r.Job, n.id))
	}
	path, err := n.programOf(stream.Context(), j)
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	f, err := os.Open(path)
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	return sendOpened(f, stream)
}

// sendOpened sends a file, and closes it.
func sendOpened(f *os.File, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	defer f.Close()
	if err := rpc.SendChunks(stream, f); err != nil {
		return errcode.Status(asProblem(err))
	}
	return nil
}
