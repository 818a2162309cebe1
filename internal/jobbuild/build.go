package jobbuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Artifact is a job compiled for one platform.
type Artifact struct {
	Platform Platform
	Path     string
	SHA256   string // lower-case hexadecimal
	Size     int64
}

// Build compiles the job at path, a .go file or a folder, for each platform. A
// *CompileError holds the compiler's own words.
func Build(ctx context.Context, path string, platforms []Platform) ([]Artifact, error) {
	j, err := locate(path)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil, ErrNoGo
	}
	if err := j.prepare(ctx); err != nil {
		return nil, err
	}
	unlock, err := lock(j.cache)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", path, err)
	}
	defer unlock()
	var artifacts []Artifact
	for _, p := range platforms {
		a, err := j.build(ctx, p)
		if err != nil {
			return nil, err
		}
		artifacts = append(artifacts, a)
	}
	return artifacts, nil
}

// Check says what can be said of a path without compiling: nil, or why it
// can't be a job.
func Check(path string) error {
	_, err := locate(path)
	return err
}

// job is a program to compile.
type job struct {
	given  string   // as the user named it
	dir    string   // where the go command runs
	args   []string // the package or files, seen from dir
	inside bool     // dir's module knows gray
	cache  string   // folder of its own below the user's cache
	work   string   // go.work to use, if not inside
}

// locate finds out what path is, without running anything.
func locate(path string) (*job, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", path, err)
	}
	st, err := os.Stat(abs)
	if err != nil {
		reason := "can't be read"
		if errors.Is(err, os.ErrNotExist) {
			reason = "no such file"
		}
		return nil, &PathError{path, reason}
	}
	j := &job{given: path, dir: abs, args: []string{"."}}
	if !st.IsDir() {
		if filepath.Ext(abs) != ".go" {
			return nil, &PathError{path, "a job is a .go file or a folder of them"}
		}
		j.dir, j.args = filepath.Dir(abs), []string{filepath.Base(abs)}
	}
	root := moduleRoot(j.dir)
	j.inside = root != "" && (st.IsDir() || provides(filepath.Join(root, "go.mod"), false))
	if !j.inside && st.IsDir() {
		if j.args, err = goFiles(j.dir); err != nil {
			return nil, err
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", path, err)
	}
	sum := sha256.Sum256([]byte(abs))
	j.cache = filepath.Join(cache, "gray", "build", hex.EncodeToString(sum[:8]))
	return j, nil
}

// goFiles lists what a package without a module consists of.
func goFiles(dir string) ([]string, error) {
	matches, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, &PathError{dir, err.Error()}
	}
	var files []string
	for _, m := range matches {
		if name := filepath.Base(m); !strings.HasSuffix(name, "_test.go") && name[0] != '_' && name[0] != '.' {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return nil, &PathError{dir, "no Go files"}
	}
	return files, nil
}

// prepare makes the cache folder and, for a job outside a module, the workspace.
func (j *job) prepare(ctx context.Context) error {
	if err := os.MkdirAll(j.cache, 0o700); err != nil {
		return fmt.Errorf("build %s: %w", j.given, err)
	}
	now := time.Now()
	os.Chtimes(j.cache, now, now)
	prune(filepath.Dir(j.cache), now)
	if j.inside {
		return nil
	}
	src, err := source(func() string { return goEnv(ctx, "GOMODCACHE") })
	if err != nil {
		return err
	}
	j.work = filepath.Join(j.cache, "go.work")
	text := fmt.Sprintf("go %s\n\nuse %q\n", workVersion(src), src)
	if old, err := os.ReadFile(j.work); err == nil && string(old) == text {
		return nil
	}
	if err := os.WriteFile(j.work, []byte(text), 0o600); err != nil {
		return fmt.Errorf("build %s: %w", j.given, err)
	}
	return nil
}

// workVersion is the Go version that gray's go.mod names.
func workVersion(src string) string {
	data, _ := os.ReadFile(filepath.Join(src, "go.mod"))
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "go "); ok {
			return strings.TrimSpace(v)
		}
	}
	return "1.26.0"
}

func goEnv(ctx context.Context, name string) string {
	out, _ := exec.CommandContext(ctx, "go", "env", name).Output()
	return strings.TrimSpace(string(out))
}

func (j *job) build(ctx context.Context, p Platform) (Artifact, error) {
	out := filepath.Join(j.cache, p.OS+"-"+p.Arch)
	// Without debug information the binary is a third smaller; the symbol table stays.
	args := append([]string{"build", "-buildvcs=false", "-ldflags=-w", "-o", out}, j.args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = j.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "PWD="+j.dir)
	if j.work != "" {
		cmd.Env = append(cmd.Env, "GOWORK="+j.work, "GOFLAGS=-mod=readonly")
	}
	// A group of its own: the terminal's Ctrl-C is for us, and ctx ends all of it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return Artifact{}, fmt.Errorf("build %s: %w", j.given, context.Cause(ctx))
		}
		if text.Len() == 0 {
			return Artifact{}, fmt.Errorf("build %s: %w", j.given, err)
		}
		return Artifact{}, &CompileError{Output: text.String()}
	}
	a := Artifact{Platform: p, Path: out}
	if ok, err := isProgram(out); err != nil || !ok {
		os.Remove(out)
		return Artifact{}, &PathError{j.given, "not a program: its package isn't main"}
	}
	if found, err := hasEntry(out); err != nil {
		return Artifact{}, fmt.Errorf("build %s: %w", j.given, err)
	} else if !found {
		return Artifact{}, &NoEntryError{Path: j.given}
	}
	return a, a.hash()
}

// hash fills in the content's hash and size.
func (a *Artifact) hash() error {
	f, err := os.Open(a.Path)
	if err != nil {
		return fmt.Errorf("hash job: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if a.Size, err = io.Copy(h, f); err != nil {
		return fmt.Errorf("hash job: %w", err)
	}
	a.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}
