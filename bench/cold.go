package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// helloArgument makes this program the smallest job.
const helloArgument = "hello-job"

func helloMain() {
	gray.Main(func(ctx context.Context) error {
		n, err := gray.Get(ctx, inc.Remote(ctx, 1))
		fmt.Println(n)
		return err
	})
}

// host is a home and temporary folder of its own, so that what runs on the
// machine besides is neither seen nor touched.
type host struct {
	dir    string
	gray   string   // the binary
	prefix []string // put before commands: ip netns exec …
}

func newHost(ctx context.Context) (*host, error) {
	dir, err := os.MkdirTemp("", "graybench")
	if err != nil {
		return nil, err
	}
	h := &host{dir: dir, gray: filepath.Join(dir, "gray")}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", h.gray, "github.com/gray-runtime/gray/cmd/gray")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build gray: %w\n%s", err, out)
	}
	return h, nil
}

func (h *host) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	full := slices.Concat(h.prefix, []string{name}, args)
	cmd := exec.CommandContext(ctx, full[0], full[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // mpirun then ends what it has started
	cmd.WaitDelay = 5 * time.Second
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GRAY_") && !strings.HasPrefix(kv, "XDG_RUNTIME_DIR=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+h.dir, "TMPDIR="+h.dir, "XDG_CACHE_HOME="+filepath.Join(h.dir, ".cache"))
	for _, name := range []string{"GOMODCACHE", "GOCACHE"} {
		if out, err := exec.CommandContext(ctx, "go", "env", name).Output(); err == nil {
			cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(out)))
		}
	}
	return cmd
}

func (h *host) do(ctx context.Context, name string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := h.command(ctx, name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

func (h *host) start(ctx context.Context) error {
	_, err := h.do(ctx, h.gray, "start", "--head", "--port", "0", "--http-port", "0")
	return err
}

func (h *host) stop(ctx context.Context) error {
	_, err := h.do(ctx, h.gray, "stop")
	return err
}

// close ends what runs there, also once ctx is over.
func (h *host) close(ctx context.Context) error {
	_, err := h.do(context.WithoutCancel(ctx), h.gray, "stop", "--force")
	return errors.Join(err, os.RemoveAll(h.dir))
}

func closeAll(ctx context.Context, hosts []*host) (err error) {
	for _, h := range hosts {
		err = errors.Join(err, h.close(ctx))
	}
	return err
}

func benchCold(ctx context.Context, b *bench) (err error) {
	h, err := newHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	reps := 5
	if b.quick {
		reps = 2
	}
	var command, result, embedded []float64
	for range reps {
		begin := time.Now()
		if err := h.start(ctx); err != nil {
			return err
		}
		command = append(command, time.Since(begin).Seconds())
		cmd := h.command(ctx, self, helloArgument)
		cmd.Env = append(cmd.Env, "GRAY_ADDRESS=auto")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("hello on the cluster: %w\n%s", err, out)
		}
		result = append(result, time.Since(begin).Seconds())
		if err := h.stop(ctx); err != nil {
			return err
		}
		begin = time.Now()
		if out, err := h.command(ctx, self, helloArgument).CombinedOutput(); err != nil {
			return fmt.Errorf("hello, embedded: %w\n%s", err, out)
		}
		embedded = append(embedded, time.Since(begin).Seconds())
	}
	b.spread("cold_start_head_command", "s", command, "")
	b.spread("cold_start_head_to_first_task_result", "s", result, "the hello driver's whole run included")
	b.spread("init_local_process_start_to_first_task", "s", embedded, "a compiled hello, start to exit")
	return h.footprint(ctx, b)
}

// footprint measures an idle head and node.
func (h *host) footprint(ctx context.Context, b *bench) error {
	if err := h.start(ctx); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // idle is a matter of time
	var total int64
	processes := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || exe != h.gray {
			continue
		}
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		n, err := pss(pid)
		if err != nil {
			return err
		}
		total += n
		processes++
	}
	b.report(Metric{Metric: "idle_pss_sum", Value: float64(total) / (1 << 20), Unit: "MiB"})
	b.report(Metric{Metric: "idle_processes", Value: float64(processes), Unit: "count"})
	return h.stop(ctx)
}

const smallestJob = `package main

import (
	"context"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
)

func main() {
	gray.Main(func(context.Context) error { fmt.Println(1); return nil })
}
`

func benchSubmit(ctx context.Context, b *bench) (err error) {
	h, err := newHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	job := filepath.Join(h.dir, "job.go")
	if err := os.WriteFile(job, []byte(smallestJob), 0o600); err != nil {
		return err
	}
	if err := h.start(ctx); err != nil {
		return err
	}
	var xs []float64
	reps := 5
	if b.quick {
		reps = 2
	}
	for i := range reps + 1 {
		begin := time.Now()
		out, err := h.do(ctx, h.gray, "submit", job)
		if err != nil {
			return err
		}
		if strings.TrimSpace(out) != "1" {
			return fmt.Errorf("the job printed %q", out)
		}
		if i > 0 { // the first compiles
			xs = append(xs, time.Since(begin).Seconds())
		}
	}
	b.spread("job_submit_cli_until_succeeded", "s", xs, "build cache warm")
	return nil
}

// decode is json.Unmarshal with the source named.
func decode(source string, data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}
