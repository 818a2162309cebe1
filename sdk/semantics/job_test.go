package semantics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	gray "github.com/gray-runtime/gray/sdk"
)

const (
	programVariable = "GRAY_SEMANTICS_PROGRAM"
	folderVariable  = "GRAY_SEMANTICS_FOLDER"
)

// programs are what the test's binary does when a row starts it as another job.
var programs = map[string]func(ctx context.Context) error{
	"succeeds": func(ctx context.Context) error {
		n, err := gray.Get(ctx, square.Remote(ctx, 6))
		fmt.Fprintln(os.Stdout, n)
		return err
	},
	"fails": func(context.Context) error { return errors.New("as it must") },
	"prints": func(ctx context.Context) error {
		_, err := gray.Get(ctx, says.Remote(ctx, "one line"))
		return err
	},
	"finds": func(ctx context.Context) error {
		_, err := gray.GetActor[counter](ctx, "private")
		fmt.Fprintln(os.Stdout, err)
		return nil
	},
	"worker": func(ctx context.Context) error {
		pid, err := gray.Get(ctx, getpid.Remote(ctx, gray.None{}))
		fmt.Fprintln(os.Stdout, pid)
		return err
	},
	// leaves returns while a task of its runs.
	"leaves": func(ctx context.Context) error {
		dir := os.Getenv(folderVariable)
		hangs.Remote(ctx, dir)
		poll(ctx, func() bool { return marks(dir, "begun") > 0 })
		return nil
	},
	// stays has an actor and a task, until it's told to end.
	"stays": func(ctx context.Context) error {
		h := counters.Options(gray.Name("not detached"), gray.Namespace("all")).Remote(ctx, setup{})
		pid, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).PID, gray.None{}))
		if err != nil {
			return err
		}
		r := hangs.Remote(ctx, os.Getenv(folderVariable))
		fmt.Fprintln(os.Stdout, pid)
		_, err = gray.Get(ctx, r)
		runtime.KeepAlive(h)
		return err
	},
	"detaches": func(ctx context.Context) error {
		h := counters.Options(gray.Name("detached"), gray.Namespace("all"), gray.Detached()).Remote(ctx, setup{N: 5})
		pid, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).PID, gray.None{}))
		fmt.Fprintln(os.Stdout, pid)
		return err
	},
	"registers": func(ctx context.Context) error {
		late := gray.Task(func(context.Context, int) (int, error) { return 0, nil })
		late.Remote(ctx, 1)
		return nil
	},
	// ten runs ten small tasks.
	"ten": func(ctx context.Context) error {
		var all []gray.Ref[int]
		for i := range 10 {
			all = append(all, square.Remote(ctx, i))
		}
		_, err := gray.GetAll(ctx, all)
		return err
	},
	"asks for its arguments": func(ctx context.Context) error {
		args, err := gray.Get(ctx, arguments.Remote(ctx, gray.None{}))
		fmt.Fprintln(os.Stdout, strings.Join(args, " "))
		return err
	},
}

var (
	says = gray.Task(func(_ context.Context, text string) (gray.None, error) {
		_, err := fmt.Fprintln(os.Stdout, text)
		return gray.None{}, err
	})
	// hangs says its process's number in a file and waits for its end.
	hangs = gray.Task(func(ctx context.Context, dir string) (int, error) {
		if err := os.WriteFile(dir+"/pid", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return 0, err
		}
		mark(dir, "begun")
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	// naps takes a CPU for 20 ms.
	naps = gray.Task(func(ctx context.Context, dir string) (int, error) {
		mark(dir, "naps")
		timer := time.NewTimer(20 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return 1, nil
	})
	arguments = gray.Task(func(context.Context, gray.None) ([]string, error) { return os.Args[1:], nil })
)

// job is another driver of the cluster one.
type job struct {
	*exec.Cmd
	dir    string
	out    *bufio.Reader
	errors strings.Builder
}

func begin(ctx context.Context, t *testing.T, program string, args ...string) *job {
	t.Helper()
	j := &job{Cmd: exec.CommandContext(ctx, os.Args[0], args...), dir: t.TempDir()}
	j.Env = append(os.Environ(), programVariable+"="+program, folderVariable+"="+j.dir, "GRAY_ADDRESS=unix:"+one.Sockets()[0])
	pipe, err := j.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	j.out = bufio.NewReader(pipe)
	j.Stderr = &j.errors
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

// end waits for a job's end and returns what it wrote and its exit code.
func (j *job) end(t *testing.T) (out string, code int) {
	t.Helper()
	data, err := io.ReadAll(j.out)
	if err != nil {
		t.Fatal(err)
	}
	err = j.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data)), j.ProcessState.ExitCode()
}

// line reads a number that the job writes.
func (j *job) number(t *testing.T) int {
	t.Helper()
	line, err := j.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, &j.errors)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// worker is the process of its hanging task.
func (j *job) worker(ctx context.Context, t *testing.T) int {
	t.Helper()
	marked(ctx, t, j.dir, "begun", 1)
	data, err := os.ReadFile(j.dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// ended waits until the head knows a driver's job as over, and describes it.
func ended(ctx context.Context, t *testing.T, pid int) api.JobDetails {
	t.Helper()
	var found api.JobDetails
	until(ctx, t, "the job is over", func() bool {
		jobs, err := one.api.Jobs(ctx)
		if err != nil {
			return false
		}
		for _, j := range jobs {
			if j.DriverInfo != nil && j.DriverInfo.PID == strconv.Itoa(pid) && j.Status != "RUNNING" && j.Status != "PENDING" {
				found = j
				return true
			}
		}
		return false
	})
	return found
}

func TestJ01Success(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "succeeds")
	out, code := j.end(t)
	equal(t, "output", out, "36")
	equal(t, "exit code", code, 0)
	equal(t, "status", ended(ctx, t, j.Process.Pid).Status, "SUCCEEDED")
}

func TestJ02Failure(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "fails")
	_, code := j.end(t)
	equal(t, "exit code", code, 1)
	contains(t, j.errors.String(), "gray: as it must")
	d := ended(ctx, t, j.Process.Pid)
	equal(t, "status", d.Status, "FAILED")
	contains(t, d.Text(), "as it must")
}

func TestJ03DriverKilled(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "stays")
	actor, worker := j.number(t), j.worker(ctx, t)
	_ = j.Process.Kill()
	_, _ = j.end(t)
	until(ctx, t, "its actor and its task end", func() bool { return !alive(actor) && !alive(worker) })
	one.free(ctx, t, "CPU")
	equal(t, "status", ended(ctx, t, j.Process.Pid).Status, "FAILED")
}

func TestJ04WorkersOutputReachesTheDriver(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "prints")
	out, _ := j.end(t)
	contains(t, out, "one line", "pid=", "n1)", "job_test.go")
}

func TestJ05NamesAreTheJobsOwn(t *testing.T) {
	ctx := on(t, &one)
	h := counting(ctx, t, setup{}, gray.Name("private"))
	get(ctx, t, add(ctx, h, 1))
	out, _ := begin(ctx, t, "finds").end(t)
	contains(t, out, "private", "no")
}

func TestJ06WorkersAreTheJobsOwn(t *testing.T) {
	ctx := on(t, &one)
	mine := get(ctx, t, getpid.Remote(ctx, gray.None{}))
	if theirs := begin(ctx, t, "worker").number(t); theirs == mine {
		t.Error("two jobs shared a process")
	}
}

func TestJ07WorkersHaveTheDriversArguments(t *testing.T) {
	ctx := on(t, &one)
	out, _ := begin(ctx, t, "asks for its arguments", "-rate", "3").end(t)
	equal(t, "arguments", out, "-rate 3")
}

func TestJ08FunctionsAreDeclaredFirst(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "registers")
	if _, code := j.end(t); code == 0 {
		t.Error("exit code 0")
	}
	contains(t, j.errors.String(), "package-level variable", "job_test.go")
}

func TestJ09TasksEndWithTheirJob(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "leaves")
	_, code := j.end(t)
	equal(t, "exit code", code, 0)
	worker := j.worker(ctx, t)
	until(ctx, t, "its task's process ends", func() bool { return !alive(worker) })
	one.free(ctx, t, "CPU")
}

func TestJ11Interrupt(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "stays")
	actor, worker := j.number(t), j.worker(ctx, t)
	if err := j.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, code := j.end(t)
	equal(t, "exit code", code, 1)
	until(ctx, t, "its actor and its task end", func() bool { return !alive(actor) && !alive(worker) })
}

func TestJ12ClosedSession(t *testing.T) {
	ctx := on(t, &one)
	s, err := gray.Connect(ctx, "unix:"+one.Sockets()[0])
	if err != nil {
		t.Fatal(err)
	}
	theirs, stop := s.Context(context.Background())
	defer stop()
	r := square.Remote(theirs, 2)
	equal(t, "before", get(theirs, t, r), 4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if theirs.Err() == nil {
		t.Error("its contexts go on")
	}
	if _, err := gray.Get(theirs, square.Remote(theirs, 3)); err == nil {
		t.Error("a task was submitted after the session's end")
	}
}

func TestA32DetachedOutlivesItsJob(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "detaches")
	pid := j.number(t)
	_, _ = j.end(t)
	ended(ctx, t, j.Process.Pid)
	h, err := gray.GetActor[counter](ctx, "detached", gray.Namespace("all"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "process", get(ctx, t, gray.Call(ctx, h, (*counter).PID, gray.None{})), pid)
	equal(t, "state", get(ctx, t, add(ctx, h, 1)), 6)
	kill(ctx, t, h)
	until(ctx, t, "it ends", func() bool { return !alive(pid) })
}

func TestA33OthersEndWithTheirJob(t *testing.T) {
	ctx := on(t, &one)
	j := begin(ctx, t, "stays")
	pid := j.number(t)
	h, err := gray.GetActor[counter](ctx, "not detached", gray.Namespace("all"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "meanwhile", get(ctx, t, add(ctx, h, 1)), 1)
	if err := j.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = j.end(t)
	until(ctx, t, "it ends", func() bool { return !alive(pid) })
	fails[*gray.ActorDiedError](ctx, t, add(ctx, h, 1))
}

func TestJ13NoJobStarvesAnother(t *testing.T) {
	ctx, dir := on(t, &one), t.TempDir()
	const backlog = 1000
	var all []gray.Ref[int]
	for range backlog {
		all = append(all, naps.Remote(ctx, dir))
	}
	marked(ctx, t, dir, "naps", 10)
	_, code := begin(ctx, t, "ten").end(t)
	equal(t, "exit code", code, 0)
	if n := marks(dir, "naps"); n > backlog/2 {
		t.Errorf("ten tasks of another job waited for %d of this one's", n)
	}
	for _, r := range all {
		cancel(ctx, t, r)
	}
}
