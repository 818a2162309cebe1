package head

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/proto"
)

// Environment of the test binary that make it a head: its data dir and port, and
// the head and the token that a new data dir joins with.
const (
	childEnv      = "GRAY_HEAD_TEST_DIR"
	childPortEnv  = "GRAY_HEAD_TEST_PORT"
	childJoinEnv  = "GRAY_HEAD_TEST_JOIN"
	childTokenEnv = "GRAY_HEAD_TEST_TOKEN"
	childIPEnv    = "GRAY_HEAD_TEST_IP"
)

// childHead is a head until its standard input ends.
func childHead(dir string) int {
	port, err := strconv.Atoi(os.Getenv(childPortEnv))
	if err != nil {
		return 1
	}
	cfg := Config{DataDir: dir, Port: port, HTTPPort: -1, IP: os.Getenv(childIPEnv), Token: os.Getenv(childTokenEnv)}
	if join := os.Getenv(childJoinEnv); join != "" {
		cfg.Join = []string{join}
	}
	h, err := Start(context.Background(), cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, h.Address(), h.Token())
	bufio.NewReader(os.Stdin).ReadByte()
	if err := h.Close(context.Background()); err != nil {
		return 1
	}
	return 0
}

// child is a head in a process of its own.
type child struct {
	t       testing.TB
	dir     string
	host    host
	cmd     *exec.Cmd
	out     io.Reader
	address string
	token   pki.Token
}

func (c *child) Address() string  { return c.address }
func (c *child) Token() pki.Token { return c.token }

// startChild starts a head on a data dir; a new one joins another's cluster if one
// is named.
func startChild(t testing.TB, dir string, port int, join ...endpoint) *child {
	t.Helper()
	return startChildAt(t, host{}, dir, port, join...)
}

// host is where a child runs: here, or in a network namespace.
type host struct{ namespace, ip string }

func startChildAt(t testing.TB, on host, dir string, port int, join ...endpoint) *child {
	t.Helper()
	c := &child{t: t, dir: dir, host: on}
	t.Cleanup(c.kill)
	c.launch(port, join...)
	c.ready()
	return c
}

func (c *child) launch(port int, join ...endpoint) {
	c.t.Helper()
	c.cmd = exec.Command(os.Args[0])
	if c.host.namespace != "" {
		c.cmd = exec.Command("ip", "netns", "exec", c.host.namespace, os.Args[0]) // which becomes it
	}
	c.cmd.Env = append(os.Environ(), childEnv+"="+c.dir, childPortEnv+"="+strconv.Itoa(port), childIPEnv+"="+c.host.ip)
	for _, to := range join {
		c.cmd.Env = append(c.cmd.Env, childJoinEnv+"="+to.Address(), childTokenEnv+"="+to.Token().String())
	}
	c.cmd.Stderr = os.Stderr
	if _, err := c.cmd.StdinPipe(); err != nil { // ends with this process, and the child with it
		c.t.Fatal(err)
	}
	var err error
	if c.out, err = c.cmd.StdoutPipe(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// ready waits until the head has started.
func (c *child) ready() {
	c.t.Helper()
	line, err := bufio.NewReader(c.out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("the head didn't start: %v", err)
	}
	var token string
	if _, err := fmt.Sscan(line, &c.address, &token); err != nil {
		c.t.Fatalf("%q: %v", line, err)
	}
	c.token = pki.Token(token)
}

// relaunch starts a head that was killed, where it was.
func (c *child) relaunch() {
	c.t.Helper()
	c.launch(portOf(c.t, c.address))
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// kill is kill -9.
func (c *child) kill() {
	if c.cmd != nil && c.cmd.Process != nil && c.cmd.ProcessState == nil {
		c.cmd.Process.Kill()
		c.cmd.Wait()
	}
}

// TestKilled kills a head with -9 and starts it again: all that it acknowledged
// is there, and nodes and what runs on them go on.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	first := startChild(t, dir, 0)
	_, err := Start(t.Context(), Config{DataDir: dir, HTTPPort: -1})
	var used *InUseError
	if !errors.As(err, &used) || used.PID != first.cmd.Process.Pid || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second head on the data dir: %v", err)
	}

	n := newNode(t, first, 2)
	n.connect(nil)
	driver := driverJob(t, n)
	create(t, n, &proto.ActorSpec{Id: actorID(1), Job: driver, Name: "counter", Resources: cpus(1)})
	n.startActor()
	n.actorIs(actorID(1), 1, proto.ActorReport_ALIVE)
	c, err := api.NewClient(first.Address(), first.Token())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Submit(t.Context(), api.JobSubmitRequest{Entrypoint: "echo", SubmissionID: "one"}); err != nil {
		t.Fatal(err)
	}
	submitted := n.startDriver()
	n.driverIs(&proto.DriverReport{Job: submitted.Id, State: proto.DriverReport_RUNNING, Pid: 5})
	for i := range 100 {
		if _, err := n.control.PutKey(t.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	first.kill()
	<-n.ended

	address, token := first.Address(), first.Token()
	first.relaunch()
	first.ready()
	if first.Address() != address || first.Token() != token {
		t.Fatalf("it's another cluster: %s, was %s", first.Address(), address)
	}
	if nodes, err := c.Nodes(t.Context(), api.ListOptions{}); err != nil || len(nodes.Result) != 1 || nodes.Result[0].State != "ALIVE" {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	n.err = nil
	id := n.id
	n.register(first)
	if n.id != id {
		t.Errorf("the node was %d and is %d", id, n.id)
	}
	n.connect(&proto.NodeReport{Jobs: []uint32{driver, submitted.Id}, Actors: []*proto.ActorRef{{Id: actorID(1), Incarnation: 1}}})
	if r, err := n.control.ListKeys(t.Context(), &proto.ListKeysRequest{}); err != nil || len(r.Keys) != 100 {
		t.Errorf("%d keys, %v", len(r.GetKeys()), err)
	}
	if a, err := n.control.FindActor(t.Context(), &proto.FindActorRequest{Name: "counter"}); err != nil || a.State != proto.ActorInfo_ALIVE {
		t.Errorf("actor %v, %v", a, err)
	}
	if jobs, err := c.Jobs(t.Context()); err != nil || len(jobs) != 2 || jobs[0].Status != api.StatusRunning || jobs[1].Status != api.StatusRunning {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	// What ends now ends as ever.
	n.driverIs(&proto.DriverReport{Job: driver, State: proto.DriverReport_EXITED, ExitCode: -1})
	began := time.Now()
	if a := n.wait(actorID(1), 1); a.State != proto.ActorInfo_DEAD || time.Since(began) > nodeLease {
		t.Errorf("the driver's actor after %v: %v", time.Since(began), a)
	}
}
