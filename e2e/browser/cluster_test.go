package browser

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// limit bounds every wait. It's generous: machines that run tests are busy.
const limit = 40 * time.Second

var screenshots = flag.String("screenshots", "", "`DIR` for screenshots")

var (
	gray    string   // the gray program
	module  string   // the checkout
	baseEnv []string // of all machines: where Go keeps what it has
	chrome  *browser // all tests'
	shared  *cluster // two nodes, with a job
)

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i]()
	}
	os.Exit(status)
}

// ends undo what prepare has begun, in reverse order.
var ends []func()

// need has a browser and the shared cluster, or skips the test.
func need(t *testing.T) {
	t.Helper()
	program := findChromium()
	switch {
	case program != "":
	case os.Getenv("GRAY_CI") != "":
		t.Fatal("no chromium on the PATH: CI has to see the dashboard (apt-get install chromium)")
	default:
		t.Skip("no chromium, chromium-browser or google-chrome on the PATH")
	}
	if err := prepare(program); err != nil {
		t.Fatal(err)
	}
}

var (
	preparing sync.Once
	prepared  error
)

// prepare builds gray, and starts a browser, a cluster and its job, for all tests.
func prepare(program string) error {
	preparing.Do(func() { prepared = begin(program) })
	return prepared
}

func begin(program string) error {
	dir, err := os.MkdirTemp("/tmp", "gray-browser-") // short: it holds sockets
	if err != nil {
		return err
	}
	ends = append(ends, func() { os.RemoveAll(dir) })
	if err := build(dir); err != nil {
		return err
	}
	if chrome, err = startBrowser(program, dir); err != nil {
		return err
	}
	ends = append(ends, chrome.close)
	if shared, err = startShow(dir); err != nil {
		return err
	}
	ends = append(ends, shared.stop)
	return nil
}

func build(dir string) error {
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPATH", "GOMOD").Output()
	vars := strings.Split(string(out), "\n")
	if err != nil || len(vars) < 4 {
		return fmt.Errorf("go env: %w", err)
	}
	module = filepath.Dir(vars[3])
	baseEnv = []string{
		"PATH=" + os.Getenv("PATH"), "GOCACHE=" + vars[0], "GOMODCACHE=" + vars[1], "GOPATH=" + vars[2],
		"XDG_CACHE_HOME=" + filepath.Join(dir, "cache"),
	}
	gray = filepath.Join(dir, "gray")
	c := exec.Command("go", "build", "-o", gray, "./cmd/gray")
	c.Dir = module
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build gray: %w\n%s", err, out)
	}
	return nil
}

// machine is a home of daemons.
type machine struct {
	dir     string
	env     []string
	address string // of the head on it, or that its nodes joined
	http    string
}

func newMachine(dir string) (*machine, error) {
	run := filepath.Join(dir, "r")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, err
	}
	return &machine{dir: dir, env: append(slices.Clone(baseEnv), "HOME="+dir, "XDG_RUNTIME_DIR="+run)}, nil
}

// run runs gray and returns what it prints.
func (m *machine) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	defer cancel()
	c := m.command(ctx, args...)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("gray %s: %w\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out), nil
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, gray, args...)
	c.Env, c.Dir = m.env, module
	return c
}

var (
	addressOf = regexp.MustCompile(`The cluster at (\S+) accepts jobs`)
	httpOf    = regexp.MustCompile(`HTTP: +http://(\S+)`)
)

const small = "--object-store-memory=128MiB"

// startHead starts a head with a node, and keeps its addresses.
func (m *machine) startHead(args ...string) error {
	out, err := m.run(append([]string{"start", "--head", "--port=0", "--http-port=0", "--num-cpus=2", small}, args...)...)
	if err != nil {
		return err
	}
	address, http := addressOf.FindStringSubmatch(out), httpOf.FindStringSubmatch(out)
	if address == nil || http == nil {
		return fmt.Errorf("no addresses in %s", out)
	}
	m.address, m.http = address[1], http[1]
	return nil
}

// cluster is one with a job that goes on.
type cluster struct {
	*machine
	token string
	job   *exec.Cmd
}

// startShow starts a cluster of two nodes and the job of testdata/show.
func startShow(dir string) (*cluster, error) {
	m, err := newMachine(filepath.Join(dir, "c"))
	if err != nil {
		return nil, err
	}
	c := &cluster{machine: m}
	if err := c.begin(); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) begin() error {
	if err := c.startHead("--http-allowed-host", proxyHost); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(c.dir, ".gray", "token"))
	if err != nil {
		return err
	}
	c.token = strings.TrimSpace(string(token))
	if _, err := c.run("start", "--address", c.address, "--num-cpus=2", small); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(c.dir, "job.out"))
	if err != nil {
		return err
	}
	defer out.Close()
	c.job = c.command(context.Background(), "submit", "./e2e/browser/testdata/show", "--name", showJob, "--", "--dir", c.dir)
	c.job.Stdout, c.job.Stderr = out, out
	if err := c.job.Start(); err != nil {
		return err
	}
	if !settled(func() bool { _, err := os.Stat(filepath.Join(c.dir, "ready")); return err == nil }) {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("the job isn't ready: %s", text[max(0, len(text)-2000):])
	}
	return nil
}

const showJob = "show"

// submit runs the job of testdata/show once more, to its end.
func (c *cluster) submit(t *testing.T, name string, args ...string) <-chan error {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.run(append([]string{"submit", "./e2e/browser/testdata/show", "--name", name, "--", "--dir", dir}, args...)...)
		ended <- err
	}()
	return ended
}

func (c *cluster) stop() {
	_, _ = c.run("stop", "--force")
	if c.job != nil && c.job.Process != nil {
		_ = c.job.Process.Kill()
		_ = c.job.Wait()
	}
}

// api asks the head, as who has the token.
func (c *cluster) api(t *testing.T, path string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.http+"/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, b)
	}
	return b
}

type row map[string]any

// text is a column as pages show it.
func (r row) text(column string) string {
	if r[column] == nil {
		return ""
	}
	return fmt.Sprint(r[column])
}

// list is the answer of a list of the API, and how many rows fit.
func (c *cluster) list(t *testing.T, path string) (rows []row, fit int) {
	t.Helper()
	var answer struct {
		Data struct {
			Result struct {
				Fit    int `json:"num_filtered"`
				Result []row
			}
		}
	}
	if err := json.Unmarshal(c.api(t, path), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Data.Result.Result, answer.Data.Result.Fit
}

// rows is what a verb of gray prints with --json.
func (c *cluster) rows(t *testing.T, args ...string) []row {
	t.Helper()
	out, err := c.run(append(args, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return rows
}

// signInLink is a new link, at base or where the head is.
func (m *machine) signInLink(t *testing.T, base string) string {
	t.Helper()
	args := []string{"dashboard", "--address", m.address}
	if base != "" {
		args = append(args, "--url", base)
	}
	out, err := m.run(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// settled waits until ok, and reports whether it came to that.
func settled(ok func() bool) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}
