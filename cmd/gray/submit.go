package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gray-runtime/gray/internal/archive"
	"github.com/gray-runtime/gray/internal/jobbuild"
)

// submitLimit bounds handing a job over, once it's compiled and uploaded.
const submitLimit = time.Minute

func newSubmit(t *terminal) *cobra.Command {
	s := &submitter{terminal: t}
	c := &cobra.Command{
		Use:   "submit JOB [flags] [-- ARGS…]",
		Short: "Compile a job, run it on the cluster, and show what it prints",
		Long: "Compiles JOB, a .go file or the folder of a package, for the platforms of the\n" +
			"cluster's nodes, uploads what the cluster doesn't have, runs it there with the\n" +
			"arguments ARGS, and shows its output until it ends.\n\n" +
			"A job in a Go module that requires gray is built in that module; any other is\n" +
			"built against the gray that this program is from. The driver's output, standard\n" +
			"error included, goes to standard output.\n\n" +
			"Ctrl-C asks whether to stop the job or to detach from it; a second one stops it,\n" +
			"a third leaves without waiting for its end. Where standard input is no terminal\n" +
			"nobody is asked: the first Ctrl-C stops the job, the second leaves; SIGTERM is\n" +
			"as good as Ctrl-C. The job gets SIGTERM, and what is left of it 3 seconds later\n" +
			"SIGKILL. It goes on when this program is killed or its terminal is closed.\n\n" +
			"While standard error is a terminal, its last lines show how far the job's\n" +
			"functions are: calls done of those made, and how long the rest takes at the pace\n" +
			"of the last 30 s. --progress plain says so each 5 s, wherever that goes.\n\n" +
			"The exit status is that of the job's driver, 128 and N when signal N ended it;\n" +
			"1 when the job couldn't be run or was stopped by somebody else, 2 for a wrong\n" +
			"command line, 130 when Ctrl-C stopped it (143 for SIGTERM).",
		Example: "  gray submit job.go\n" +
			"  gray submit ./cmd/train --name train-7 --env BATCH=64 -- --epochs 3\n" +
			"  id=$(gray submit --no-wait job.go)",
		Args: s.arguments,
		RunE: func(c *cobra.Command, args []string) error {
			s.path, s.args = args[0], args[1:]
			return s.run(c.Context())
		},
	}
	s.target.register(c)
	c.Flags().Uint32Var(&s.weight, "weight", 1, "how much more of the cluster than a job of weight 1 it's to get, while both wait, `N`")
	c.Flags().BoolVar(&s.noWait, "no-wait", false, "print the job's name on standard output and don't wait for its end")
	c.Flags().StringArrayVar(&s.env, "env", nil, "environment variable of the job's processes, `K=V`; may be given several times")
	c.Flags().StringVar(&s.dir, "working-dir", "", "folder `DIR` of which the job's processes have a read-only copy as their working directory")
	c.Flags().StringVar(&s.progress, "progress", progressAuto, "`HOW` to show how far the job is: auto, plain or off")
	c.Flags().StringVar(&s.name, "name", "", "`ID` of the job, one that no other has had (default: a random one)")
	return c
}

// submitter is one run of gray submit.
type submitter struct {
	*terminal
	target
	noWait bool
	env    []string
	name   string
	weight uint32
	dir    string // the job's working directory; empty: none

	progress string // a kind
	path     string
	args     []string
}

// arguments wants one job, and the job's own arguments behind --.
func (*submitter) arguments(c *cobra.Command, args []string) error {
	switch dash := c.ArgsLenAtDash(); {
	case len(args) == 0 || dash == 0:
		return errors.New("which job? name a .go file or the folder of a package")
	case dash < 0 && len(args) > 1:
		return fmt.Errorf("%s: the job's own arguments go behind --: gray submit %s -- %s", args[1], args[0], shellLine(args[1:]))
	case dash > 1:
		return fmt.Errorf("%s: one job at a time; the job's own arguments go behind --", args[1])
	}
	return nil
}

var (
	// jobName and reservedName are the head's own rules.
	jobName      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}$`)
	reservedName = regexp.MustCompile(`^(j|driver_)[0-9]+$`)
)

func checkName(name string) error {
	switch {
	case name == "":
		return nil
	case !jobName.MatchString(name):
		return usagef("--name %q: want at most 128 letters, digits and _ . : @ + -, beginning with a letter, a digit or _", name)
	case reservedName.MatchString(name):
		return usagef("--name %s is of the form that gray gives to jobs itself: choose another", name)
	}
	return nil
}

func (s *submitter) run(ctx context.Context) error {
	env, err := parseEnv(s.env)
	if err != nil {
		return err
	}
	if err := checkName(s.name); err != nil {
		return err
	}
	if !slices.Contains([]string{progressAuto, progressPlain, progressOff}, s.progress) {
		return usagef("--progress %q: want auto, plain or off", s.progress)
	}
	if err := jobbuild.Check(s.path); err != nil {
		return err
	}
	return s.with(s.terminal, func(c cluster) error { return s.hand(ctx, c, env) })
}

// hand compiles the job, hands it to the cluster, and shows it until its end.
func (s *submitter) hand(ctx context.Context, cluster cluster, env map[string]string) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, caught()...)
	defer signal.Stop(signals)
	uploaded, err := s.ready(ctx, cluster, signals)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, submitLimit)
	defer cancel()
	id, err := cluster.Submit(limited, submission{Weight: s.weight,
		Name: s.name, Entrypoint: shellLine(append([]string{s.path}, s.args...)), Args: s.args, Env: env,
		Binaries: uploaded.binaries, WorkingDir: uploaded.dir,
	})
	if err != nil {
		return fmt.Errorf("submit %s: %w", s.path, err)
	}
	if s.noWait {
		fmt.Fprintln(s.out, id)
		s.note("job %s is submitted: gray job logs -f %s shows its output", id, id)
		return nil
	}
	s.note("job %s is submitted", id)
	f := &follower{terminal: s.terminal, cluster: cluster, id: id, signals: signals, asks: isTerminal(s.in), progress: s.progress}
	return f.run(ctx)
}

// uploaded are the packages that a job needs.
type uploaded struct {
	binaries []binary
	dir      string // of its working directory; empty: it has none
}

// ready compiles the job and uploads it. A signal ends that, with nothing submitted.
func (s *submitter) ready(ctx context.Context, c cluster, signals <-chan os.Signal) (uploaded, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		uploaded
		err error
	}
	done := make(chan result, 1)
	go func() {
		u, err := s.prepare(ctx, c)
		done <- result{u, err}
	}()
	select {
	case r := <-done:
		return r.uploaded, r.err
	case sig := <-signals:
		cancel()
		<-done
		s.note("nothing was submitted")
		return uploaded{}, signalStatus(sig)
	}
}

func (s *submitter) prepare(ctx context.Context, c cluster) (u uploaded, err error) {
	platforms, err := s.platforms(ctx, c)
	if err != nil {
		return u, err
	}
	if err := s.checkFree(ctx, c); err != nil {
		return u, err
	}
	if s.dir != "" {
		if u.dir, err = s.uploadDir(ctx, c); err != nil {
			return u, err
		}
	}
	compiled := s.activity(ctx, "compiling "+s.path)
	artifacts, err := jobbuild.Build(ctx, s.path, platforms)
	compiled()
	var failed *jobbuild.CompileError
	if errors.As(err, &failed) {
		fmt.Fprint(s.err, lines(failed.Output))
		return u, statusError(exitFailure)
	}
	if err != nil {
		return u, err
	}
	for _, a := range artifacts {
		b := binary{Platform: a.Platform.String(), Package: "gray_" + a.SHA256, SHA256: a.SHA256, Size: a.Size}
		if err := s.upload(ctx, c, b, a.Path); err != nil {
			return u, fmt.Errorf("upload %s: %w", s.path, err)
		}
		u.binaries = append(u.binaries, b)
	}
	return u, nil
}

// uploadDir uploads the archive of the working directory, and returns the package's name.
func (s *submitter) uploadDir(ctx context.Context, c cluster) (string, error) {
	f, err := archive.Create(s.dir, "")
	if err != nil {
		return "", fmt.Errorf("--working-dir: %w", err)
	}
	defer os.Remove(f.Path)
	b := binary{Package: "gray_" + f.SHA256, SHA256: f.SHA256, Size: f.Size}
	if err := s.upload(ctx, c, b, f.Path); err != nil {
		return "", fmt.Errorf("upload --working-dir %s: %w", s.dir, err)
	}
	return b.Package, nil
}

// platforms are those of the nodes that live, in order.
func (s *submitter) platforms(ctx context.Context, c cluster) ([]jobbuild.Platform, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range nodes {
		if n.lives() {
			names = append(names, n.Platform)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the cluster has no node that lives, so nothing can run the job: add one with `gray start --address`")
	}
	slices.Sort(names)
	var platforms []jobbuild.Platform
	for _, name := range slices.Compact(names) {
		p, err := jobbuild.ParsePlatform(name)
		if err != nil {
			return nil, fmt.Errorf("a node of the cluster: %w", err)
		}
		platforms = append(platforms, p)
	}
	return platforms, nil
}

// checkFree saves a person whose --name is taken the wait for the compiler: the
// head decides in the end.
func (s *submitter) checkFree(ctx context.Context, c cluster) error {
	if s.name == "" {
		return nil
	}
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if j.SubmissionID == s.name {
			return fmt.Errorf("--name %s is taken by a job that is %s: choose another", s.name, j.Status)
		}
	}
	return nil
}

func (s *submitter) upload(ctx context.Context, c cluster, b binary, path string) error {
	has, err := c.HasPackage(ctx, b.Package)
	if err != nil || has {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m := &meter{total: b.Size}
	defer s.transfer(ctx, "uploading", m)()
	return c.PutPackage(ctx, b.Package, struct {
		io.Reader
		io.ReaderAt
	}{f, m.readAt(f)}, b.Size)
}

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// ownVariables are what gray itself tells a job's processes.
	ownVariables = []string{
		"GRAY_ROLE", "GRAY_NODE", "GRAY_START", "GRAY_LISTEN", "GRAY_ADDRESS", "GRAY_JOB", "GRAY_SUBMISSION_ID",
	}
)

// parseEnv reads K=V, given several times.
func parseEnv(given []string) (map[string]string, error) {
	env := map[string]string{}
	for _, kv := range given {
		k, v, ok := strings.Cut(kv, "=")
		_, twice := env[k]
		switch {
		case !ok:
			return nil, usagef("--env %q isn't of the form K=V", kv)
		case !variable.MatchString(k):
			return nil, usagef("--env %q: %q can't be the name of a variable (letters, digits and _)", kv, k)
		case strings.ContainsRune(v, 0):
			return nil, usagef("--env %s: a value can't hold a zero byte", k)
		case slices.Contains(ownVariables, k):
			return nil, usagef("--env %s: gray sets that itself", k)
		case twice:
			return nil, usagef("--env %s is given twice", k)
		}
		env[k] = v
	}
	return env, nil
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// shellLine is a command as one would type it.
func shellLine(args []string) string {
	var parts []string
	for _, a := range args {
		if !plain.MatchString(a) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		parts = append(parts, a)
	}
	return strings.Join(parts, " ")
}
