package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is also the daemon that the tests launch: DataDir's name says how it behaves.
func TestMain(m *testing.M) {
	if role := os.Getenv(RoleVariable); role != "" {
		fakeDaemon()
	}
	goleak.VerifyTestMain(m)
}

func fakeDaemon() {
	syscall.CloseOnExec(ReadyFD)
	ready := os.NewFile(ReadyFD, "ready")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	stdin := bufio.NewReader(os.Stdin)
	line, err := stdin.ReadBytes('\n')
	if err != nil {
		os.Exit(0)
	}
	var cfg Config
	json.Unmarshal(line, &cfg)
	behaviour := filepath.Base(cfg.DataDir)
	switch behaviour {
	case "crashes":
		panic("boom")
	case "refuses":
		json.NewEncoder(ready).Encode(Info{Error: "no room"})
		os.Exit(1)
	case "hangs":
		select {}
	case "waits": // for others, before it's ready
		info := Info{Role: cfg.Role}
		info.PID, info.Start = Self()
		WriteInfo(cfg.RunDir, info)
		<-signals
		os.Exit(0)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	}
	info := Info{Role: cfg.Role, Cluster: cfg.Token, Address: cfg.HeadAddress, Heads: cfg.Heads, DataDir: cfg.DataDir, StartedUnix: time.Now().UnixMilli()}
	if cfg.Role == RoleNode {
		info.Socket = filepath.Join(cfg.RunDir, "node.sock")
	}
	info.PID, info.Start = Self()
	if cfg.Record {
		WriteInfo(cfg.RunDir, info)
	}
	json.NewEncoder(ready).Encode(info)
	if cfg.Lifeline {
		stdin.ReadByte()
		os.Exit(0)
	}
	<-signals
	os.Exit(0)
}

// home gives the test a run folder and a home folder of its own.
func home(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "graytest")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("HOME", dir)
	t.Setenv(TokenVariable, "")
	t.Cleanup(func() {
		if _, err := Stop(context.Background(), true, func(string) {}); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
}

func spawn(t *testing.T, role, behaviour string, cfg Config) (Info, error) {
	t.Helper()
	cfg.DataDir = filepath.Join(t.TempDir(), behaviour)
	s, err := Spawn(role, cfg.DataDir, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if behaviour == "hangs" {
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
	}
	return s.Run(ctx, cfg)
}

func mustSpawn(t *testing.T, role, behaviour string, cfg Config) Info {
	t.Helper()
	info, err := spawn(t, role, behaviour, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestSpawnListStop(t *testing.T) {
	home(t)
	mustSpawn(t, RoleNode, "works", Config{Token: "c1", HeadAddress: "127.0.0.1:6379"})
	mustSpawn(t, RoleHead, "works", Config{Token: "c1", HeadAddress: "127.0.0.1:6379"})
	infos, err := List()
	if err != nil || len(infos) != 2 || infos[0].Role != RoleHead || infos[1].Role != RoleNode {
		t.Fatalf("listed %+v, %v", infos, err)
	}
	socket, err := FindNode("localhost:6379")
	if err != nil || socket != infos[1].Socket {
		t.Errorf("found %q, %v", socket, err)
	}
	if _, err := FindNode("localhost:6380"); !errors.Is(err, ErrNone) {
		t.Errorf("another port: %v", err)
	}
	stopped, err := Stop(t.Context(), false, func(s string) { t.Log(s) })
	if err != nil || len(stopped) != 2 || stopped[0].Role != RoleNode || stopped[0].Killed {
		t.Fatalf("stopped %+v, %v", stopped, err)
	}
	if infos, err = List(); err != nil || len(infos) != 0 {
		t.Errorf("left %+v, %v", infos, err)
	}
	root, _ := Root()
	if entries, _ := os.ReadDir(root); len(entries) != 1 { // the root's own lock
		t.Errorf("left in %s: %v", root, entries)
	}
}

func TestSpawnFails(t *testing.T) {
	home(t)
	for behaviour, want := range map[string]string{
		"crashes": "panic: boom", "refuses": "no room", "hangs": context.DeadlineExceeded.Error(),
	} {
		_, err := spawn(t, RoleNode, behaviour, Config{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", behaviour, err)
		}
	}
	root, _ := Root()
	if entries, _ := os.ReadDir(root); len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
}

// TestDaemonThatWaits: it isn't listed, since nobody can use it, but it can be ended.
func TestDaemonThatWaits(t *testing.T) {
	home(t)
	dir := filepath.Join(t.TempDir(), "waits")
	s, err := Spawn(RoleNode, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RunUnattended(Config{DataDir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if all, err := scan(); err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		} else if all[0].PID == s.PID() {
			break
		}
		<-tick.C
	}
	if infos, err := List(); err != nil || len(infos) != 0 {
		t.Errorf("listed %+v, %v", infos, err)
	}
	if stopped, err := Stop(t.Context(), false, func(string) {}); err != nil || len(stopped) != 1 || stopped[0].Killed {
		t.Errorf("stopped %+v, %v", stopped, err)
	}
}

func TestStopKillsTheDeaf(t *testing.T) {
	home(t)
	info := mustSpawn(t, RoleHead, "deaf", Config{})
	stopped, err := Stop(t.Context(), true, func(string) {})
	if err != nil || len(stopped) != 1 || !stopped[0].Killed {
		t.Fatalf("stopped %+v, %v", stopped, err)
	}
	if _, err := os.Stat(info.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
}

func TestDeadDaemonsFolderIsRemoved(t *testing.T) {
	home(t)
	info := mustSpawn(t, RoleHead, "works", Config{Token: "c"})
	info.signal(syscall.SIGKILL)
	if left := awaitDead(t.Context(), []Info{info}, 5*time.Second); len(left) != 0 {
		t.Fatal("not dead")
	}
	if infos, err := List(); err != nil || len(infos) != 0 {
		t.Errorf("listed %+v, %v", infos, err)
	}
	if _, err := os.Stat(info.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
}

func TestSignalSparesOtherProcesses(t *testing.T) {
	pid, start := Self()
	Info{PID: pid, Start: start + 1}.signal(syscall.SIGKILL) // or this test would end here
}

func TestLifeline(t *testing.T) {
	home(t)
	dir := t.TempDir()
	c, err := Start(Launch{Role: RoleNode, ErrorFile: filepath.Join(dir, "err")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(Config{Role: RoleNode, RunDir: dir, DataDir: filepath.Join(dir, "works"), Lifeline: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.config.Close() // as the kernel does when this process dies
	<-c.Exited()
}

func TestClusters(t *testing.T) {
	one := Info{Cluster: "a", Address: "10.1.1.1:1", Socket: "s"}
	two := Info{Cluster: "b", Address: "127.0.0.1:2", Heads: []string{"127.0.0.1:2", "10.1.1.2:2"}}
	for _, tt := range []struct {
		address string
		infos   []Info
		want    int
		err     error
	}{
		{AddressAuto, []Info{one, one}, 2, nil},
		{"", nil, 0, nil},
		{AddressAuto, []Info{one, two}, 0, ErrSeveral},
		{"10.1.1.1:1", []Info{one, two}, 1, nil},
		{"localhost:2", []Info{one, two}, 1, nil},
		{"10.1.1.1:2", []Info{one, two}, 0, nil},
		{"10.1.1.2:2", []Info{one, two, two}, 2, nil},
	} {
		got, err := ofCluster(tt.infos, tt.address)
		if len(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q of %d: got %d, %v", tt.address, len(tt.infos), len(got), err)
		}
	}
}

func TestTokens(t *testing.T) {
	home(t)
	if _, _, err := FindToken("a:1"); !errors.Is(err, ErrNoToken) {
		t.Fatalf("got %v", err)
	}
	for _, s := range []string{"a:1", "[::1]:2"} {
		if err := SaveToken(s, "token of "+s); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]string{"a:1": "token of a:1", "[::1]:2": "token of [::1]:2", "c:3": "token of [::1]:2"} {
		if got, _, err := FindToken(address); err != nil || got != want {
			t.Errorf("%s: got %q, %v", address, got, err)
		}
	}
	dir, _ := Home()
	for _, name := range []string{"token", "tokens/a:1"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
	if err := SaveHeads("b:9", []string{"c:9", "a:1", "b:9"}); err != nil {
		t.Fatal(err)
	}
	if got, source, err := FindToken("b:9"); err != nil || got != "token of a:1" {
		t.Errorf("by another head: got %q from %q, %v", got, source, err)
	}
	t.Setenv(TokenVariable, " mine ")
	if got, source, err := FindToken("a:1"); err != nil || got != "mine" || source != TokenVariable {
		t.Errorf("got %q from %q, %v", got, source, err)
	}
}

func TestHeads(t *testing.T) {
	home(t)
	dir, _ := Home()
	path := filepath.Join(dir, "heads", "a:1")
	find := func(want string) {
		t.Helper()
		if got := FindHeads("a:1"); fmt.Sprint(got) != want {
			t.Errorf("found %v, want %s", got, want)
		}
	}
	save := func(heads ...string) {
		t.Helper()
		if err := SaveHeads("a:1", heads); err != nil {
			t.Error(err)
		}
	}
	find("[]")
	save("a:1")
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lone head left something: %v", err)
	}
	save("c:3", "a:1", "b:2")
	find("[b:2 c:3]")
	before, err := os.Stat(path)
	if err != nil || before.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", before, err)
	}
	save("a:1", "b:2", "c:3")
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("written again for nothing: %v", err)
	}
	save("a:1")
	find("[]")
}

func TestFindCluster(t *testing.T) {
	home(t)
	mustSpawn(t, RoleNode, "works", Config{Token: "c1", HeadAddress: "10.1.1.1:1", Heads: []string{"10.1.1.2:1", "10.1.1.1:1"}})
	address, heads, err := FindCluster()
	if err != nil || address != "10.1.1.1:1" || fmt.Sprint(heads) != "[10.1.1.2:1]" {
		t.Errorf("%s, %v, %v", address, heads, err)
	}
}

func TestLogFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "x.log")
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	l.limit = 100
	for i := range 100 {
		fmt.Fprintf(l, "line %d\n", i)
	}
	l.Close()
	now, _ := os.ReadFile(path)
	before, _ := os.ReadFile(path + ".1")
	if len(now) > 100 || len(before) > 100 || !strings.HasSuffix(string(now), "line 99\n") {
		t.Errorf("%d and %d bytes: %q", len(now), len(before), now)
	}
}

func TestRootIsPrivate(t *testing.T) {
	home(t)
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Root(); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(root); st.Mode().Perm() != 0o700 {
		t.Error("others may read the run folder")
	}
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chown(root, 12345, -1); err != nil {
		t.Fatal(err)
	}
	defer os.Chown(root, 0, -1)
	var owner *OwnerError
	if _, err := Root(); !errors.As(err, &owner) || owner.UID != 12345 {
		t.Errorf("another user's folder: %v", err)
	}
}
