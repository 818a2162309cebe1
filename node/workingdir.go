package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/gray-runtime/gray/internal/archive"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/node/folders"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxFolders is how many bytes the working directories on a node have together.
	maxFolders = 10 << 30
	// maxSources is how many nodes are asked for one.
	maxSources = 8
	// archivePrefix begins the name of a package that is the archive's SHA-256.
	archivePrefix = "gray_"
)

// offered takes the archive of a working directory from a process. Others may want it as
// long as the job lives.
func (n *Node) offered(ctx context.Context, p *process, o *proto.OfferArchive) *proto.ToProcess {
	hold, err := n.folders.Store(ctx, o.GetWorkingDir().GetSha256(), func(_ context.Context, w io.Writer) error {
		f, err := os.OpenFile(o.GetPath(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
			return errors.Join(fmt.Errorf("%w: %s is no file", ErrBadFrame, o.GetPath()), err)
		}
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return errorFrame(asProblem(err))
	}
	if !n.keepForJob(p.job, o.GetWorkingDir().GetSha256(), hold) {
		return errorFrame(asProblem(ErrJobEnded))
	}
	return ackFrame()
}

// keepForJob holds an archive until nothing of the job is left here; false: that's so.
func (n *Node) keepForJob(j *job, sum string, hold *folders.Hold) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.jobs[j.id] != j || j.folders[sum] != nil {
		hold.Release()
		return n.jobs[j.id] == j
	}
	if j.folders == nil {
		j.folders = map[string]*folders.Hold{}
	}
	j.folders[sum] = hold
	return true
}

// directoryOf is where a worker starts: in the working directory of its environment, which
// it then holds, else in its job's.
func (n *Node) directoryOf(ctx context.Context, p *process) (string, error) {
	wd := p.env.GetWorkingDir()
	if wd == nil {
		return n.workerDir(ctx, p.job)
	}
	hold, err := n.useFolder(ctx, wd)
	if err != nil {
		return "", fmt.Errorf("%w (that is %s)", err, wd.GetSource())
	}
	p.folder = hold
	return hold.Path(), nil
}

// useFolder unpacks a working directory, got from the node where it was read or any other
// that has it.
func (n *Node) useFolder(ctx context.Context, wd *proto.WorkingDir) (*folders.Hold, error) {
	sources := []ids.NodeID{ids.NodeID(wd.GetOrigin())}
	for _, id := range n.peers.alive() {
		if id != sources[0] && id != n.id && len(sources) < maxSources {
			sources = append(sources, id)
		}
	}
	var failed []error
	for _, from := range sources {
		hold, err := n.folders.Use(ctx, wd.GetSha256(), n.archiveFrom(from, wd.GetSha256()))
		if err == nil {
			return hold, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil || errors.Is(err, folders.ErrFull) || errors.Is(err, archive.ErrBad) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no node that is reached has it: %w", errors.Join(failed...))
}

func (n *Node) archiveFrom(from ids.NodeID, sum string) folders.Fetch {
	return func(ctx context.Context, w io.Writer) error {
		if from == n.id {
			return fmt.Errorf("%s has it no more", from)
		}
		c, err := n.peers.clientSoon(ctx, from)
		if err != nil {
			return fmt.Errorf("fetch from %s: %w", from, err)
		}
		stream, err := c.FetchPackage(ctx, &proto.FetchPackageRequest{Name: archivePrefix + sum})
		if err == nil {
			err = rpc.ReceiveChunks(stream, w)
		}
		if err != nil {
			return fmt.Errorf("fetch from %s: %w", from, err)
		}
		return nil
	}
}

// jobFolder unpacks the package that a job was submitted with as its working directory.
func (n *Node) jobFolder(ctx context.Context, j *job, name string) (string, error) {
	sum, own := strings.CutPrefix(name, archivePrefix)
	fetch := func(ctx context.Context, w io.Writer) error {
		stream, err := n.packages.head(ctx, &proto.FetchPackageRequest{Name: name})
		if err != nil {
			return err
		}
		return rpc.ReceiveChunks(stream, w)
	}
	var hold *folders.Hold
	err := retry(ctx, func() (err error) { // a head that ends meanwhile isn't the only one
		if !own {
			h := sha256.New()
			if err := fetch(ctx, h); err != nil {
				return err
			}
			sum = hex.EncodeToString(h.Sum(nil))
		}
		hold, err = n.folders.Use(ctx, sum, fetch)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("package %s: %w", name, err)
	}
	path := hold.Path()
	if !n.keepForJob(j, sum, hold) {
		return "", ErrJobEnded
	}
	return path, nil
}
