package gray_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	gray "github.com/gray-runtime/gray/sdk"
)

const programVariable = "GRAY_TEST_PROGRAM"

// programs are what the test's binary is when a test starts it as a job.
var programs = map[string]func(){
	"hello": func() {
		gray.Main(func(ctx context.Context) error {
			n, err := gray.Get(ctx, square.Remote(ctx, 6))
			fmt.Fprintln(os.Stdout, "six squared is", n)
			return err
		})
	},
	"fails": func() {
		gray.Main(func(ctx context.Context) error {
			_, err := gray.Get(ctx, failing.Remote(ctx, "as it must"))
			return err
		})
	},
	"registers": func() {
		t := gray.Task(func(context.Context, int) (int, error) { return 0, nil })
		gray.Main(func(ctx context.Context) error { t.Remote(ctx, 1); return nil })
	},
	"defaults": func() {
		gray.Main(func(ctx context.Context) error {
			_, err := gray.Get(ctx, crashes.Remote(ctx, 1))
			n, err2 := gray.Get(ctx, crashes.Options(gray.MaxRetries(1)).Remote(ctx, 1))
			s, err3 := gray.Get(ctx, nestedGreeting.Remote(ctx, gray.None{}))
			_, err4 := gray.Get(ctx, readsIn.Remote(ctx, "graytest.go"))
			fmt.Fprintln(os.Stdout, err != nil, n, s)
			return errors.Join(err2, err3, err4)
		}, gray.TaskDefaults(gray.MaxRetries(0), gray.EnvVars(map[string]string{"GREETING": "all"}), gray.WorkingDir("graytest")))
	},
	lateDefaults: func() {
		gray.Main(func(ctx context.Context) error {
			failed, err := gray.Get(ctx, nestedCrash.Remote(ctx, gray.None{}))
			fmt.Fprintln(os.Stdout, failed)
			return err
		}, gray.TaskDefaults(gray.MaxRetries(0), gray.EnvVars(map[string]string{lateVariable: "1"})))
	},
	"prints": func() {
		gray.Main(func(ctx context.Context) error {
			dir, err := os.MkdirTemp("", "gray")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			// At the same time, so in two workers: a line is of the function that runs when it's read.
			both := []gray.Ref[gray.None]{says.Remote(ctx, saying{"one\ntwo", dir}), shouts.Remote(ctx, saying{"three", dir})}
			_, err = gray.GetAll(ctx, both)
			return err
		})
	},
	// stays makes an object, a task and an actor, and waits to be killed.
	"stays": func() {
		gray.Main(func(ctx context.Context) error {
			h := counters.Remote(ctx, countSpec{})
			pid, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).PID, gray.None{}))
			if err != nil {
				return err
			}
			r, err := gray.Put(ctx, make([]byte, 3<<20))
			if err != nil {
				return err
			}
			pending := waits.Remote(ctx, os.Getenv("GRAY_TEST_DIR"))
			fmt.Fprintln(os.Stdout, "actor", pid)
			_, err = gray.Get(ctx, pending)
			return errors.Join(err, gray.View(ctx, r, func([]byte) error { return nil }))
		})
	},
}

var (
	says = gray.Task(func(ctx context.Context, s saying) (gray.None, error) {
		fmt.Fprintln(os.Stdout, s.Text)
		return gray.None{}, errors.Join(touch(filepath.Join(s.Dir, "said")), await(ctx, filepath.Join(s.Dir, "shouted")))
	})
	shouts = gray.Task(shout)
)

type saying struct{ Text, Dir string }

func shout(ctx context.Context, s saying) (gray.None, error) {
	fmt.Fprintln(os.Stderr, s.Text)
	return gray.None{}, errors.Join(touch(filepath.Join(s.Dir, "shouted")), await(ctx, filepath.Join(s.Dir, "said")))
}

// program prepares the test's binary as one of the programs, on the cluster at an
// address; embedded when there's none.
func program(t *testing.T, name, address string) (*exec.Cmd, *strings.Builder, *strings.Builder) {
	t.Helper()
	cmd := exec.CommandContext(limited(context.Background(), t), os.Args[0])
	cmd.Env = append(os.Environ(), programVariable+"="+name, "GRAY_ADDRESS="+address)
	var out, err strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &err
	return cmd, &out, &err
}

func TestMainEmbedded(t *testing.T) {
	cmd, out, errs := program(t, "hello", "")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	if out.String() != "six squared is 36\n" {
		t.Errorf("standard output: %q", out)
	}
	if n := strings.Count(errs.String(), "\n"); n != 1 || !strings.Contains(errs.String(), "GRAY_ADDRESS") {
		t.Errorf("standard error: %q", errs)
	}
}

func TestMainFails(t *testing.T) {
	address := "unix:" + shared(t).Sockets()[0]
	cmd, _, errs := program(t, "fails", address)
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("exit: %v", err)
	}
	contains(t, errs.String(), "gray: ", "as it must")
	cmd, _, errs = program(t, "registers", address)
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() == 1 {
		t.Errorf("exit: %v", err)
	}
	contains(t, errs.String(), "program_test.go", "make it a package-level variable")
}

// nestedGreeting tells what a task of its own sees.
var nestedGreeting = gray.Task(func(ctx context.Context, _ gray.None) (string, error) {
	in, err := gray.Get(ctx, greeting.Remote(ctx, "GREETING"))
	return in.Value, err
})

// lateDefaults is the program whose workers, which have a variable for it, take their role in
// Main, as most do.
const (
	lateDefaults = "late defaults"
	lateVariable = "LATE_ROLE"
)

// nestedCrash reports whether a task of its own isn't retried.
var nestedCrash = gray.Task(func(ctx context.Context, _ gray.None) (bool, error) {
	_, err := gray.Get(ctx, crashes.Remote(ctx, 1))
	return err != nil, nil
})

// TestTaskDefaults: a job's defaults hold where a task doesn't say otherwise, in its workers, too,
// unless they take their role before Main.
func TestTaskDefaults(t *testing.T) {
	cmd, out, errs := program(t, "defaults", "unix:"+shared(t).Sockets()[0])
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	if out.String() != "true 1 all/all\n" {
		t.Errorf("%q", out)
	}
	cmd, out, errs = program(t, lateDefaults, "unix:"+shared(t).Sockets()[0])
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	if out.String() != "true\n" {
		t.Errorf("in a worker: %q", out)
	}
}

// TestOutput: what workers write reaches the driver with who wrote it.
func TestOutput(t *testing.T) {
	cmd, out, errs := program(t, "prints", "unix:"+shared(t).Sockets()[0])
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	prefix := `\([^ ]+func@program_test\.go:\d+ pid=\d+, n\d+\) `
	if !regexp.MustCompile(`^` + prefix + "one\n" + prefix + "two\n$").MatchString(out.String()) {
		t.Errorf("standard output: %q", out)
	}
	if !regexp.MustCompile(`^\([^ ]+\.shout pid=\d+, n\d+\) three\n$`).MatchString(errs.String()) {
		t.Errorf("standard error: %q", errs)
	}
}

// TestDriverKilled: what a killed driver had ends.
func TestDriverKilled(t *testing.T) {
	c, dir := shared(t), t.TempDir()
	cmd, _, errs := program(t, "stays", "unix:"+c.Sockets()[0])
	cmd.Env = append(cmd.Env, "GRAY_TEST_DIR="+dir)
	cmd.Stdout = nil
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	actor, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "actor ")))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the task begins", func() bool { return exists(filepath.Join(dir, "begun")) })
	if len(c.stored(t, 3<<20)) != 1 {
		t.Error("the object isn't stored")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "its actor ends", func() bool { return !alive(actor) })
	c.freed(t, 3<<20)
	ctx := limited(c.ctx, t)
	get(ctx, t, square.Options(gray.NumCPUs(2)).Remote(ctx, 1)) // its task's CPU is free
}
