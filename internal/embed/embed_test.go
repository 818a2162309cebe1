package embed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gray-runtime/gray/internal/daemon"
)

func TestMain(m *testing.M) {
	RunRole()
	if os.Getenv("GRAY_EMBED_TEST") == "hold" {
		hold()
	}
	goleak.VerifyTestMain(m)
}

// hold is a program with a cluster, until somebody kills it.
func hold() {
	c, err := Start(context.Background(), Options{StoreBytes: 16 << 20})
	if err != nil {
		os.Stdout.WriteString("error " + err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(c.Dir() + " " + strconv.Itoa(c.HeadPIDs()[0]) + " " + strconv.Itoa(c.PIDs()[0]) + "\n")
	select {}
}

func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.StoreBytes = 16 << 20
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestClusterLeavesNothing(t *testing.T) {
	began := time.Now()
	c := start(t, Options{Nodes: 2, CPUs: 1})
	t.Log("started in", time.Since(began))
	if len(c.Sockets()) != 2 || c.Token() == "" || c.HTTPAddress() != "" {
		t.Fatalf("sockets %v, HTTP %q", c.Sockets(), c.HTTPAddress())
	}
	for _, s := range c.Sockets() {
		if len(s) > 100 {
			t.Errorf("%s is too long", s)
		}
		conn, err := net.Dial("unix", s)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	pids := append(c.PIDs(), c.HeadPIDs()...)
	began = time.Now()
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Log("closed in", time.Since(began))
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
	if _, err := c.AddNode(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("a closed cluster grows: %v", err)
	}
}

func TestNodesComeAndGo(t *testing.T) {
	c := start(t, Options{})
	socket, err := c.AddNode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.KillNode(0)
	if got := c.Sockets(); len(got) != 1 || got[0] != socket {
		t.Errorf("sockets: %v", got)
	}
}

func TestHeadRestarts(t *testing.T) {
	c := start(t, Options{HTTP: true})
	address, token, pid := c.Address(), c.Token(), c.HeadPIDs()[0]
	c.KillHead(0)
	if err := c.RestartHead(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if c.Address() != address || c.Token() != token || c.HeadPIDs()[0] == pid {
		t.Errorf("another head: %s", c.Address())
	}
}

// TestWhatMembersAreTold: later heads join the first, one that was killed gets its
// place back, and nodes are sent to a head that lives.
func TestWhatMembersAreTold(t *testing.T) {
	c := &Cluster{options: Options{Heads: 3}}
	for i, address := range []string{"127.0.0.1:7000", "127.0.0.1:7001", ""} {
		c.heads = append(c.heads, &member{
			Child: &daemon.Child{}, dead: i == 0, info: daemon.Info{Address: address, Token: "t"},
		})
	}
	m := &member{Child: &daemon.Child{}}
	for i, want := range []string{"7000 [] ", "7001 [127.0.0.1:7000] t", "0 [127.0.0.1:7000] t"} {
		cfg := c.headConfig(i, m)
		if got := fmt.Sprint(cfg.Port, cfg.Join, " ", cfg.Token); got != want {
			t.Errorf("head %d: got %q, want %q", i, got, want)
		}
	}
	c.heads = c.heads[:2]
	if cfg := c.nodeConfig(m); cfg.HeadAddress != "127.0.0.1:7001" || fmt.Sprint(cfg.Heads) != "[127.0.0.1:7000]" || cfg.Token != "t" {
		t.Errorf("node: %+v", cfg)
	}
}

// TestUnattended: a process says who it is before it's ready, and nobody need wait
// for that.
func TestUnattended(t *testing.T) {
	dir := shortDir(t)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("HOME", dir)
	s, err := daemon.Spawn(daemon.RoleHead, filepath.Join(dir, "data"), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RunUnattended(daemon.Config{DataDir: filepath.Join(dir, "data"), HTTPPort: -1}); err != nil {
		t.Fatal(err)
	}
	s.Release()
	until(t, "the head is ready", func() bool {
		infos, err := daemon.List()
		return err == nil && len(infos) == 1 && infos[0].Address != ""
	})
	if stopped, err := daemon.Stop(t.Context(), false, func(string) {}); err != nil || len(stopped) != 1 || stopped[0].Killed {
		t.Errorf("stopped %+v, %v", stopped, err)
	}
	if <-s.Exited(); !s.OK() {
		t.Error(s.LastWords())
	}
}

// TestParentDies kills a program that has a cluster: the cluster must go too.
func TestParentDies(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GRAY_EMBED_TEST=hold")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _ := out.Read(buf)
	fields := strings.Fields(string(buf[:n]))
	cmd.Process.Kill()
	cmd.Wait()
	if len(fields) != 3 {
		t.Fatalf("the program said %q", buf[:n])
	}
	head, _ := strconv.Atoi(fields[1])
	node, _ := strconv.Atoi(fields[2])
	until(t, "the cluster ends with the program", func() bool { return !alive(head) && !alive(node) })
	until(t, "the folder goes", func() bool {
		_, err := os.Stat(fields[0])
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", shortDir(t))
	old, unlock, err := makeRoot()
	if err != nil {
		t.Fatal(err)
	}
	mine, mineUnlock, err := makeRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer mineUnlock()
	sweep(mine)
	if _, err := os.Stat(old); err != nil {
		t.Errorf("a folder in use was removed: %v", err)
	}
	unlock()
	sweep(mine)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder nobody uses is left: %v", err)
	}
	if _, err := os.Stat(filepath.Join(mine, "lock")); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	o, err := Options{Resources: map[string]float64{"disk": 2}, CPUs: 3}.withDefaults()
	if err != nil || o.Heads != 1 || o.Nodes != 1 || o.Resources["CPU"] != 3 || o.Resources["disk"] != 2 || o.StoreBytes <= 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := (Options{Nodes: -1}).withDefaults(); err == nil {
		t.Error("a negative number passes")
	}
}

// alive reports whether a process exists that isn't just waiting to be reaped.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	rest := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	return !strings.HasPrefix(rest, " Z")
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not within 15 s: " + what)
		}
	}
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "graytest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
