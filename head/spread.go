package head

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	// copyLimit bounds the sending of one package to one head.
	copyLimit = 5 * time.Minute
	// refetch is how long a head waits before it tries again to get what it lacks.
	refetch = time.Second
)

var errCopies = errors.New("no majority of the heads has stored the package")

// spread copies a package's file to the other heads, and returns when a majority
// of those with a vote have it. The other copies go on.
func (h *Head) spread(ctx context.Context, sum string) error {
	all := voters(h.consensus.members())
	results := make(chan error, len(all))
	for _, m := range all {
		if m.ID == h.consensus.self {
			results <- nil
			continue
		}
		h.spawn(func() { results <- h.copyPackage(m, sum) })
	}
	stored, failed := 0, []error{errCopies}
	for range all {
		select {
		case err := <-results:
			if err == nil {
				stored++
			} else {
				failed = append(failed, err)
			}
		case <-ctx.Done():
			return asStatus(ctx.Err())
		}
		if stored > len(all)/2 {
			return nil
		}
	}
	return asStatus(errors.Join(failed...))
}

// copyPackage sends a file to another head.
func (h *Head) copyPackage(to raft.Server, sum string) error {
	ctx, cancel := context.WithTimeout(h.ctx, copyLimit)
	defer cancel()
	conn, err := h.heads.get(string(to.Address), string(to.Address))
	if err != nil {
		return err
	}
	f, err := os.Open(h.packages.path(sum))
	if err != nil {
		return fmt.Errorf("copy package to head %s: %w", to.ID, err)
	}
	defer f.Close()
	stream, err := proto.NewHeadsClient(conn).StorePackage(ctx)
	if err != nil {
		return fmt.Errorf("copy package to head %s: %w", to.ID, err)
	}
	buf := make([]byte, rpc.ChunkSize)
	sent := stream.Send(&proto.PackageChunk{Sha256: sum})
	for sent == nil { // else CloseAndRecv has the reason
		n, err := f.Read(buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("copy package to head %s: %w", to.ID, err)
		}
		sent = stream.Send(&proto.PackageChunk{Data: buf[:n]})
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		return fmt.Errorf("copy package to head %s: %w", to.ID, err)
	}
	return nil
}

// StorePackage puts a package onto this head's disk.
func (s *headsService) StorePackage(stream grpc.ClientStreamingServer[proto.PackageChunk, proto.Ack]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if !isSum(first.Sha256) {
		return problem(proto.Error_INVALID, "%q isn't a SHA-256 sum", validUTF8(first.Sha256))
	}
	if s.h.packages.touch(first.Sha256) {
		return stream.SendAndClose(&proto.Ack{})
	}
	body := &chunkReader{left: first.Data, recv: func() ([]byte, error) {
		c, err := stream.Recv()
		return c.GetData(), err
	}}
	if err := s.h.storeCopy(first.Sha256, body); err != nil {
		return problem(proto.Error_INTERNAL, "%v", err)
	}
	return stream.SendAndClose(&proto.Ack{})
}

// ReadPackage sends a package that this head has on its disk.
func (s *headsService) ReadPackage(r *proto.ReadPackageRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	if !isSum(r.Sha256) || !s.h.packages.has(r.Sha256) {
		return problem(proto.Error_NOT_FOUND, "this head has no package %q", r.Sha256)
	}
	return s.h.sendPackage(stream, r.Sha256)
}

// isSum keeps names of files from going elsewhere.
func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// storeCopy writes a file whose sum is known.
func (h *Head) storeCopy(sum string, r io.Reader) error {
	got, _, err := h.packages.write(r)
	if err == nil && got != sum {
		err = fmt.Errorf("store package: its SHA-256 is %s, want %s", got, sum)
	}
	return err
}

// obtain gets a package's file from another head, unless it's here. UNAVAILABLE: a
// head that couldn't be asked may have it.
func (h *Head) obtain(ctx context.Context, sum string) error {
	if h.packages.has(sum) {
		return nil
	}
	kind, failed := proto.Error_INTERNAL, []error{errors.New("no head that answers has it")}
	for _, m := range h.consensus.others() {
		err := h.fetchCopy(ctx, m, sum)
		if err == nil {
			return nil
		}
		if status.Code(err) == codes.Unavailable {
			kind = proto.Error_UNAVAILABLE
		}
		failed = append(failed, err)
	}
	return problem(kind, "%v", errors.Join(failed...))
}

func (h *Head) fetchCopy(ctx context.Context, from raft.Server, sum string) error {
	ctx, cancel := context.WithTimeout(ctx, copyLimit)
	defer cancel()
	conn, err := h.heads.get(string(from.Address), string(from.Address))
	if err != nil {
		return err
	}
	stream, err := proto.NewHeadsClient(conn).ReadPackage(ctx, &proto.ReadPackageRequest{Sha256: sum})
	if err != nil {
		return fmt.Errorf("get package from head %s: %w", from.ID, err)
	}
	body := &chunkReader{recv: func() ([]byte, error) {
		c, err := stream.Recv()
		return c.GetData(), err
	}}
	if err := h.storeCopy(sum, body); err != nil {
		return fmt.Errorf("get package from head %s: %w", from.ID, err)
	}
	return nil
}

// chunkReader reads what comes in messages.
type chunkReader struct {
	left []byte
	recv func() ([]byte, error)
}

func (c *chunkReader) Read(b []byte) (int, error) {
	for len(c.left) == 0 {
		var err error
		if c.left, err = c.recv(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// keepPackages gets the packages that this head lacks, and in the beginning
// removes files that nobody needs, once this head knows what was committed.
func (h *Head) keepPackages() {
	swept := false
	for {
		lacks := false
		if h.current(h.ctx) {
			sums := h.packageSums()
			for sum := range sums {
				if err := h.obtain(h.ctx, sum); err != nil {
					lacks = true
					h.log.Warn("a package isn't on this head yet", "sha256", sum, "error", err)
				}
			}
			if !swept {
				swept = true
				h.sweepPackages()
			}
		}
		var again <-chan time.Time
		if lacks || !swept {
			again = time.After(refetch)
		}
		select {
		case <-h.replica.stored:
		case <-again:
		case <-h.ctx.Done():
			return
		}
	}
}

// awaitCurrent waits until current is true; false: it isn't in time.
func (h *Head) awaitCurrent(ctx context.Context) bool {
	again := retries{h: h}
	for !h.current(ctx) {
		_, _, changed := h.standing.get()
		if !again.wait(ctx, changed) {
			return false
		}
	}
	return true
}

// sweepPackages removes the files that the index doesn't have.
func (h *Head) sweepPackages() {
	if err := h.packages.retain(func(sum string) bool { return h.packageSums()[sum] }); err != nil {
		h.log.Warn("packages that nobody needs may be left", "error", err)
	}
}

func (h *Head) packageSums() map[string]bool {
	sums := map[string]bool{}
	h.replica.read(func(s *fsm.State) {
		for _, p := range s.Packages() {
			sums[p.Sha256] = true
		}
	})
	return sums
}

// current reports whether this head has applied what the leader had committed
// when it was asked.
func (h *Head) current(ctx context.Context) bool {
	leads, leader, _ := h.standing.get()
	if leads {
		return h.consensus.verify() == nil
	}
	for _, m := range h.consensus.others() {
		if string(m.Address) != leader {
			continue
		}
		info, err := h.askHead(ctx, m, false)
		return err == nil && h.consensus.raft.AppliedIndex() >= info.Committed
	}
	return false
}
