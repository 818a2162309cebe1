package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gray-runtime/gray/internal/archive"
	"github.com/gray-runtime/gray/proto"
)

// environment is what workers are to be started with for what this process submits: its own
// environment, and that of the options. nil: the job's alone.
func (p *Process) environment(o *TaskOptions) *proto.Environment {
	inherited := p.welcome.GetEnvironment()
	if len(o.EnvVars) == 0 && o.WorkingDir == nil {
		return inherited
	}
	env := &proto.Environment{Vars: maps.Clone(inherited.GetVars()), WorkingDir: inherited.GetWorkingDir()}
	if env.Vars == nil {
		env.Vars = map[string]string{}
	}
	maps.Copy(env.Vars, o.EnvVars)
	if o.WorkingDir != nil {
		env.WorkingDir, _ = o.WorkingDir.given(p) // what fails never gets here
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(env.Vars)) {
		fmt.Fprintf(h, "%q=%q\n", name, env.Vars[name])
	}
	if env.WorkingDir != nil {
		fmt.Fprintf(h, "in %s\n", env.WorkingDir.Sha256)
	}
	env.Key = hex.EncodeToString(h.Sum(nil)[:16])
	return env
}

// WorkingDir is a folder that travels to the workers which start in it.
type WorkingDir struct {
	Dir string // as the option names it

	mu   sync.Mutex
	of   *Process // that read it, and gave it to its node
	read *proto.WorkingDir
	err  error
}

// GiveWorkingDir gives the options' working directory, if they have one, to this process's
// node. It's read the first time; later calls have the same answer.
func (p *Process) GiveWorkingDir(o *TaskOptions) error {
	if o.WorkingDir == nil {
		return nil
	}
	_, err := o.WorkingDir.given(p)
	return err
}

func (w *WorkingDir) given(p *Process) (*proto.WorkingDir, error) {
	if own := p.welcome.GetEnvironment().GetWorkingDir(); own != nil && own.Source == w.Dir {
		return own, nil // in which this process runs: the name is another folder's here, or none's
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of != p {
		w.of = p
		w.read, w.err = w.give(p.ctx, p)
	}
	return w.read, w.err
}

func (w *WorkingDir) give(ctx context.Context, p *Process) (*proto.WorkingDir, error) {
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		return nil, fmt.Errorf("working directory %s: %w", w.Dir, err)
	}
	f, err := archive.Create(dir, "")
	if err != nil {
		return nil, fmt.Errorf("working directory %s: %w", w.Dir, err)
	}
	defer os.Remove(f.Path)
	wd := &proto.WorkingDir{Sha256: f.SHA256, Size: f.Size, Origin: uint32(p.self.Node), Source: w.Dir}
	_, err = p.node.call(ctx, &proto.ToNode{Body: &proto.ToNode_OfferArchive{OfferArchive: &proto.OfferArchive{Path: f.Path, WorkingDir: wd}}})
	if err != nil {
		return nil, fmt.Errorf("give working directory %s to node %s: %w", w.Dir, p.self.Node, err)
	}
	return wd, nil
}
