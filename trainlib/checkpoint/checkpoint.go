package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	folderPrefix = "step-"
	partSuffix   = ".part"
	indexFile    = "model.safetensors.index.json" // as Python's libraries have it
)

// Options says how a checkpoint is saved. The zero Options are one shard, synced, and nothing removed.
type Options struct {
	Shards     int // files, written at the same time; each has about as many bytes
	Keep       int // how many checkpoints stay, this one among them; 0: all
	Durability Durability
}

// Checkpoint is an open checkpoint.
type Checkpoint struct {
	Path  string
	Step  int64
	Meta  map[string]string
	files []*File
}

// Save writes a checkpoint of a step into dir and returns its folder.
func Save(ctx context.Context, dir string, step int64, tensors []Tensor, meta map[string]string, o Options) (string, error) {
	parts := divide(tensors, max(o.Shards, 1))
	errs := make([]error, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() { errs[i] = WriteShard(ctx, dir, step, i, len(parts), part, meta, o.Durability) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return Commit(dir, step, len(parts), o)
}

// divide cuts tensors into parts of about as many bytes; an empty part is none.
func divide(tensors []Tensor, n int) [][]Tensor {
	total, before := 0, 0
	for _, t := range tensors {
		total += len(t.Data)
	}
	parts := make([][]Tensor, n)
	for _, t := range tensors {
		i := 0
		if total > 0 {
			i = min(before*n/total, n-1)
		}
		parts[i] = append(parts[i], t)
		before += len(t.Data)
	}
	parts = slices.DeleteFunc(parts, func(p []Tensor) bool { return len(p) == 0 })
	if len(parts) == 0 {
		parts = [][]Tensor{nil}
	}
	return parts
}

// WriteShard writes one file of a checkpoint that several processes save together, by the same file system. When all have, one commits.
func WriteShard(ctx context.Context, dir string, step int64, shard, shards int, tensors []Tensor, meta map[string]string, d Durability) error {
	part := folder(dir, step) + partSuffix
	if err := os.MkdirAll(part, 0o755); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return WriteFile(ctx, filepath.Join(part, shardName(shard, shards)), tensors, meta, d)
}

// Commit makes a checkpoint of the shards that were written, removes what Options don't keep, and returns the folder.
func Commit(dir string, step int64, shards int, o Options) (string, error) {
	path := folder(dir, step)
	c, err := open(path+partSuffix, step, shards)
	if err != nil {
		return "", fmt.Errorf("commit checkpoint %s: %w", path, err)
	}
	err = c.writeIndex(o.Durability)
	if closed := c.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = place(path+partSuffix, path)
	}
	if err == nil && o.Durability == Synced {
		err = syncFolder(dir)
	}
	if err == nil {
		err = os.RemoveAll(path + partSuffix)
	}
	if err != nil {
		return "", fmt.Errorf("commit checkpoint %s: %w", path, err)
	}
	return path, remove(dir, step, o.Keep)
}

// place renames part to path. One of the same step that is there, as a run that was resumed comes to a step again, becomes part, so
// that at no time there's none.
func place(part, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, part, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // the file system can't
		err = os.RemoveAll(path)
		if err == nil {
			err = os.Rename(part, path)
		}
		return err
	}
	if errors.Is(err, unix.ENOENT) {
		return os.Rename(part, path)
	}
	return err
}

// writeIndex also removes files that are none of the checkpoint's, as of an attempt with another number of shards.
func (c *Checkpoint) writeIndex(d Durability) error {
	of, size := map[string]string{}, 0
	names := []string{indexFile}
	for _, f := range c.files {
		names = append(names, filepath.Base(f.Path))
		for _, t := range f.Tensors {
			if of[t.Name] != "" {
				return fmt.Errorf("tensor %s is in two shards", t.Name)
			}
			of[t.Name] = filepath.Base(f.Path)
			size += len(t.Data)
		}
	}
	entries, err := os.ReadDir(c.Path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			if err := os.Remove(filepath.Join(c.Path, e.Name())); err != nil {
				return err
			}
		}
	}
	b, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": size}, "weight_map": of}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(c.Path, indexFile))
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil && d == Synced {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil && d == Synced {
		err = syncFolder(c.Path)
	}
	return err
}

// List returns the folders of dir's checkpoints, the oldest first.
func List(dir string) ([]string, error) {
	steps, err := list(dir, "")
	if err != nil {
		return nil, err
	}
	paths := make([]string, len(steps))
	for i, s := range steps {
		paths[i] = folder(dir, s)
	}
	return paths, nil
}

// list returns the steps of the folders whose names end with a suffix.
func list(dir, suffix string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var steps []int64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if s, named := stepOf(name); ok && named && e.IsDir() && folder(dir, s) == filepath.Join(dir, name) {
			steps = append(steps, s)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// stepOf is the step whose checkpoint a folder of this name is.
func stepOf(name string) (step int64, ok bool) {
	digits, ok := strings.CutPrefix(name, folderPrefix)
	step, err := strconv.ParseInt(digits, 10, 64)
	return step, ok && err == nil && step >= 0
}

// remove leaves the newest keep checkpoints up to step, and of those that were begun before and never committed nothing. It leaves what lies
// beyond step: who saves there now can't know whose it is.
func remove(dir string, step int64, keep int) error {
	if keep <= 0 {
		return nil
	}
	begun, err := list(dir, partSuffix)
	if err != nil {
		return err
	}
	for _, s := range begun {
		if s < step {
			if err := os.RemoveAll(folder(dir, s) + partSuffix); err != nil {
				return fmt.Errorf("remove what is left of a checkpoint: %w", err)
			}
		}
	}
	steps, err := list(dir, "")
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(steps, func(s int64) bool { return s > step })
	for len(steps) > keep {
		if err := os.RemoveAll(folder(dir, steps[0])); err != nil {
			return fmt.Errorf("remove an old checkpoint: %w", err)
		}
		steps = steps[1:]
	}
	return nil
}

// Open opens a checkpoint's folder. Headers are checked, tensors not: see Verify. An error about a file names it.
func Open(path string) (*Checkpoint, error) {
	step, ok := stepOf(filepath.Base(path))
	if !ok {
		return nil, fmt.Errorf("open checkpoint %s: the folder's name isn't step-N", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	shards := 0
	for _, e := range entries {
		var i, n int
		if k, err := fmt.Sscanf(e.Name(), "model-%05d-of-%05d.safetensors", &i, &n); err == nil && k == 2 {
			shards = n
		}
	}
	if shards == 0 {
		return nil, &DamagedError{path, errors.New("it has no file of tensors")}
	}
	c, err := open(path, step, shards)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	return c, nil
}

func open(path string, step int64, shards int) (*Checkpoint, error) {
	c := &Checkpoint{Path: path, Step: step}
	for i := range shards {
		f, err := OpenFile(filepath.Join(path, shardName(i, shards)))
		if err != nil {
			_ = c.Close()
			return nil, err
		}
		c.files = append(c.files, f)
	}
	c.Meta = map[string]string{}
	for k, v := range c.files[0].Meta {
		if !strings.HasPrefix(k, headerSum) {
			c.Meta[k] = v
		}
	}
	return c, nil
}

// OpenLatest opens dir's newest checkpoint that is whole, having read all of it; those that are damaged are passed over, and said in
// damaged. It's nil if there's none.
func OpenLatest(ctx context.Context, dir string) (c *Checkpoint, damaged error, err error) {
	paths, err := List(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range slices.Backward(paths) {
		c, err := Open(path)
		if err == nil {
			if err = c.Verify(ctx); err == nil {
				return c, damaged, nil
			}
			_ = c.Close()
		}
		if ctx.Err() != nil {
			return nil, damaged, context.Cause(ctx)
		}
		damaged = errors.Join(damaged, err)
	}
	return nil, damaged, nil
}

// Tensors is the tensors of all shards.
func (c *Checkpoint) Tensors() []Tensor {
	var all []Tensor
	for _, f := range c.files {
		all = append(all, f.Tensors...)
	}
	return all
}

// Tensor finds a tensor by its name.
func (c *Checkpoint) Tensor(name string) (Tensor, bool) {
	for _, f := range c.files {
		if t, ok := f.Tensor(name); ok {
			return t, true
		}
	}
	return Tensor{}, false
}

// Verify reads all and compares it with its sums.
func (c *Checkpoint) Verify(ctx context.Context) error {
	for _, f := range c.files {
		if err := f.Verify(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close unmaps the files.
func (c *Checkpoint) Close() error {
	var err error
	for _, f := range c.files {
		err = errors.Join(err, f.Close())
	}
	c.files = nil
	return err
}

func folder(dir string, step int64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%012d", folderPrefix, step))
}

func shardName(i, n int) string { return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n) }
