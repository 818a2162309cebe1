package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/daemon"
)

func newStarter(t *testing.T, f startFlags) (s *starter, out *bytes.Buffer) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv(daemon.TokenVariable, "")
	out = &bytes.Buffer{}
	return &starter{terminal: &terminal{out: out, err: out}, startFlags: f, root: "/d"}, out
}

func TestHeadConfig(t *testing.T) {
	join := []string{"10.0.0.1:6379", "10.0.0.2:6379"}
	s, _ := newStarter(t, startFlags{port: 7})
	if cfg, err := s.headConfig("/d/head"); err != nil || cfg.Token != "" || cfg.Join != nil || cfg.Port != 7 {
		t.Errorf("a first head: %+v, %v", cfg, err)
	}
	s, _ = newStarter(t, startFlags{join: join})
	if _, err := s.headConfig("/d/head"); err == nil || !strings.Contains(err.Error(), "no token for the cluster at 10.0.0.1:6379") {
		t.Errorf("without a token: %v", err)
	}
	saved, given := newToken(t), newToken(t)
	if err := daemon.SaveToken(join[0], saved.String()); err != nil {
		t.Fatal(err)
	}
	if cfg, err := s.headConfig("/d/head"); err != nil || cfg.Token != saved.String() || fmt.Sprint(cfg.Join) != fmt.Sprint(join) {
		t.Errorf("with a saved token: %+v, %v", cfg, err)
	}
	s.token = given.String()
	if cfg, err := s.headConfig("/d/head"); err != nil || cfg.Token != given.String() {
		t.Errorf("with --token: %+v, %v", cfg, err)
	}
	s.token = "gray_x"
	if _, err := s.headConfig("/d/head"); err == nil || !strings.Contains(err.Error(), "the token of --token is malformed") {
		t.Errorf("with a bad token: %v", err)
	}
}

func TestWhatStartPrints(t *testing.T) {
	info := daemon.Info{Address: "10.0.0.2:6379", Token: "gray_t"}
	s, out := newStarter(t, startFlags{})
	s.printHead(info, "Node n1 offers 2 CPU.", "")
	for _, want := range []string{
		"The cluster at 10.0.0.2:6379 accepts jobs. Node n1 offers 2 CPU.\n\n",
		"gray start --address 10.0.0.2:6379 --token gray_t\n",
		"gray start --head --join 10.0.0.2:6379 --token gray_t\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q isn't in %s", want, out)
		}
	}
	out.Reset()
	info.Waiting = "2 of 3 heads aren't there: 10.0.0.1:6379, 10.0.0.3:6379"
	s.printWaiting(info, "Its node joins when they are there.")
	if want := "The head at 10.0.0.2:6379 runs and waits for others: " + info.Waiting + ". Its node"; !strings.Contains(out.String(), want) {
		t.Errorf("%q isn't in %s", want, out)
	}
}

// TestStartHead: a head that joins hands its token on to its node; if it has to wait
// for other heads, both are left to it.
func TestStartHead(t *testing.T) {
	for waiting, want := range map[string]string{
		"": "The cluster at 127.0.0.1:1 accepts jobs. Node n1 offers", "2 of 3 heads aren't there": "waits for others: 2 of 3 heads aren't there.",
	} {
		dir, err := os.MkdirTemp("/tmp", "graytest")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		t.Setenv("HOME", dir)
		t.Setenv("XDG_RUNTIME_DIR", dir)
		t.Setenv(waitingVariable, waiting)
		token := newToken(t).String()
		t.Setenv(daemon.TokenVariable, token)
		var out, errs bytes.Buffer
		status := run([]string{
			"start", "--head", "--join", "10.0.0.1:1,10.0.0.2:1", "--port=0", "--http-port=0", "--data-dir", dir, "--object-store-memory=64MiB",
		}, strings.NewReader(""), &out, &errs)
		if status != 0 || !strings.Contains(out.String(), want) || strings.Contains(out.String(), "has joined") != (waiting == "") {
			t.Errorf("status %d, %q, %q", status, &out, &errs)
		}
		node := awaitConfig(t, filepath.Join(dir, "node"))
		if node.HeadAddress != "127.0.0.1:1" || node.Token != token || !node.IsHead || node.Unattended != (waiting != "") {
			t.Errorf("the node is told %+v", node)
		}
		stopped, err := daemon.Stop(t.Context(), false, func(string) {})
		if err != nil || len(stopped) != 2 || stopped[0].Killed || stopped[1].Killed {
			t.Errorf("stopped %+v, %v", stopped, err)
		}
		t.Setenv(daemon.TokenVariable, "")
		if got, _, err := daemon.FindToken("127.0.0.1:1"); err != nil || got != token {
			t.Errorf("saved %q, %v", got, err)
		}
	}
}

// awaitConfig waits for a fake daemon to have said who it is, and returns what it was told.
func awaitConfig(t *testing.T, dir string) (cfg daemon.Config) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		data, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err == nil && json.Unmarshal(data, &cfg) == nil {
			if _, err := os.Stat(filepath.Join(cfg.RunDir, "info.json")); err == nil {
				return cfg
			}
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the daemon isn't there")
		}
	}
}

// TestJoined: a head that has joined counts, though it may not have its vote yet.
func TestJoined(t *testing.T) {
	heads := api.HeadList{Heads: []api.HeadRow{{ID: "a", State: api.HeadLeader, Voter: true}, {ID: "b", State: api.HeadFollower}}}
	address := fakeHead(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(heads) })
	info := daemon.Info{Address: address, Token: newToken(t).String()}
	s, _ := newStarter(t, startFlags{})
	if got := s.joined(t.Context(), info); got != "" {
		t.Errorf("a first head: %q", got)
	}
	s.join = []string{"10.0.0.1:6379"}
	if got := s.joined(t.Context(), info); got != "This head has joined it. 2 heads: none may fail; add a third." {
		t.Errorf("got %q", got)
	}
	info.Token = ""
	if got := s.joined(t.Context(), info); got != "This head has joined it." {
		t.Errorf("it can't be asked: %q", got)
	}
}

// TestNodeReachesAnotherHead: when no head answers at --address, remembered ones are asked.
func TestNodeReachesAnotherHead(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := silent.Addr().String()
	silent.Close()
	address := strings.TrimPrefix(fakeHead(t, http.NotFound), "http://")
	token := newToken(t)
	s, _ := newStarter(t, startFlags{address: gone})
	if _, _, err := s.reach(t.Context(), token); err == nil || !strings.Contains(err.Error(), "can't reach a head at "+gone) {
		t.Errorf("nobody is known: %v", err)
	}
	if err := daemon.SaveHeads(gone, []string{gone, address}); err != nil {
		t.Fatal(err)
	}
	heads, ip, err := s.reach(t.Context(), token)
	if err != nil || fmt.Sprint(heads) != fmt.Sprint([]string{address, gone}) || ip != "127.0.0.1" {
		t.Errorf("%v, %s, %v", heads, ip, err)
	}
}
