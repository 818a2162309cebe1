package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/daemon"
)

const gib = 1 << 30

func TestShape(t *testing.T) {
	f := startFlags{cpus: 2, gpus: 1, storeMemory: "2GiB", resources: `{"disk": 2.5}`, labels: "zone=a,tier="}
	s, err := f.shape(8 * gib)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"CPU": 2, "GPU": 1, "memory": 6 * gib, "disk": 2.5}
	if fmt.Sprint(s.resources) != fmt.Sprint(want) || s.storeBytes != 2*gib {
		t.Errorf("got %v and %d", s.resources, s.storeBytes)
	}
	if fmt.Sprint(s.labels) != "map[tier: zone:a]" {
		t.Errorf("labels %v", s.labels)
	}
	if s, err = (&startFlags{memory: "8GiB"}).shape(8 * gib); err != nil || s.resources["memory"] != 8*gib {
		t.Errorf("all the memory: %v, %v", s, err)
	}
}

func TestShapeRefuses(t *testing.T) {
	for _, tt := range []struct {
		flags startFlags
		want  []string
	}{
		{startFlags{cpus: -1}, []string{"--num-cpus", "negative"}},
		{startFlags{gpus: -1}, []string{"--num-gpus", "negative"}},
		{startFlags{memory: "9GiB"}, []string{"--memory", "9.0 GiB", "8.0 GiB"}},
		{startFlags{memory: "much"}, []string{"--memory", "much"}},
		{startFlags{storeMemory: "9GiB"}, []string{"--object-store-memory", "9.0 GiB", "8.0 GiB"}},
		{startFlags{memory: "5GiB", storeMemory: "5GiB"}, []string{"together", "10.0 GiB", "8.0 GiB"}},
		{startFlags{storeMemory: "0"}, []string{"--object-store-memory", "0"}},
		{startFlags{resources: "disk=2"}, []string{"--resources", "JSON", "disk=2"}},
		{startFlags{resources: `[1]`}, []string{"JSON object"}},
		{startFlags{resources: `{"disk": "2"}`}, []string{"disk", "number"}},
		{startFlags{resources: `{"disk": -2}`}, []string{"disk", "negative"}},
		{startFlags{resources: `{"CPU": 2}`}, []string{"CPU", "--num-cpus"}},
		{startFlags{resources: `{"GPU": 2}`}, []string{"GPU", "--num-gpus"}},
		{startFlags{resources: `{"memory": 2}`}, []string{"memory", "--memory"}},
		{startFlags{resources: `{"": 2}`}, []string{"without a name"}},
		{startFlags{resources: `{"x": 1e300}`}, []string{"x", "most"}},
		{startFlags{resources: `{"x": 0.00001}`}, []string{"x", "0.0001"}},
		{startFlags{labels: "a"}, []string{"--labels", "key=value"}},
		{startFlags{labels: "a=b,a=c"}, []string{"--labels", "twice"}},
		{startFlags{labels: "a b=c"}, []string{"--labels", "a b"}},
		{startFlags{labels: "a=b,"}, []string{"--labels"}},
	} {
		_, err := tt.flags.shape(8 * gib)
		refused(t, fmt.Sprintf("%+v", tt.flags), err, tt.want)
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct {
		flags   startFlags
		changed string
		want    []string
	}{
		{startFlags{}, "", []string{"--head", "--address"}},
		{startFlags{head: true, address: "a:1"}, "", []string{"only one"}},
		{startFlags{head: true, token: "x"}, "", []string{"--token"}},
		{startFlags{join: []string{"b:1"}}, "", []string{"--join", "--head"}},
		{startFlags{address: "a:1", join: []string{"b:1"}}, "", []string{"--join", "--head"}},
		{startFlags{head: true, address: "a:1", join: []string{"b:1"}}, "", []string{"only one"}},
		{startFlags{head: true, join: []string{"b:1", "c"}}, "", []string{"--join", `"c"`, "HOST:PORT"}},
		{startFlags{address: "a:1", port: 7}, "port", []string{"--port"}},
		{startFlags{address: "a"}, "", []string{"HOST:PORT"}},
		{startFlags{address: ":1"}, "", []string{"HOST:PORT"}},
		{startFlags{address: "a:x"}, "", []string{"HOST:PORT"}},
		{startFlags{address: "a:70000"}, "", []string{"HOST:PORT"}},
		{startFlags{head: true, port: -1}, "", []string{"--port"}},
		{startFlags{head: true, port: 1, httpPort: 65536}, "", []string{"--http-port"}},
		{startFlags{head: true, port: 1, httpPort: 2, httpHosts: []string{"https://x"}}, "", []string{"--http-allowed-host", "https://x"}},
		{startFlags{head: true, port: 1, httpPort: 1}, "", []string{"both"}},
		{startFlags{head: true, ip: "host"}, "", []string{"--node-ip-address", "host"}},
		{startFlags{head: true, metricsAddress: "9100"}, "", []string{"--metrics-address", "9100", "HOST:PORT"}},
	} {
		err := tt.flags.check(func(flag string) bool { return flag == tt.changed })
		refused(t, fmt.Sprintf("%+v", tt.flags), err, tt.want)
	}
	for _, f := range []startFlags{{head: true}, {head: true, join: []string{"a:1", "b:2"}, token: "x"}, {address: "a:1", token: "x"}} {
		if err := f.check(func(string) bool { return false }); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func refused(t *testing.T, what string, err error, want []string) {
	t.Helper()
	var usage *usageError
	if !errors.As(err, &usage) {
		t.Errorf("%s: got %v", what, err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q doesn't say %q", what, err, w)
		}
	}
}

func TestCheckPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	err = checkPort("127.0.0.1", port, "port")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d is in use", port)) {
		t.Fatalf("got %v", err)
	}
	if _, statErr := os.Stat("/proc/net/tcp"); statErr == nil && !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Errorf("%q doesn't say by whom", err)
	}
	if err := checkPort("192.0.2.77", port, "port"); err == nil || !strings.Contains(err.Error(), "no address of this machine") {
		t.Errorf("got %v", err)
	}
	l.Close()
	if err := checkPort("127.0.0.1", port, "port"); err != nil {
		t.Error(err)
	}
}

func TestCheckHeads(t *testing.T) {
	infos := []daemon.Info{{Role: daemon.RoleHead, Address: "10.0.0.1:6379", DataDir: "/d", PID: 7}}
	for _, tt := range []struct {
		port int
		data string
		want string
	}{{6379, "/e", "already runs here"}, {1, "/d", "--data-dir"}, {1, "/e", ""}} {
		err := checkHeads(infos, tt.port, tt.data)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

func TestSurvivingNode(t *testing.T) {
	infos := []daemon.Info{
		{Role: daemon.RoleHead, Address: "10.0.0.1:6379", DataDir: "/d/head"},
		{Role: daemon.RoleNode, Address: "10.0.0.1:6379", DataDir: "/d/node", Node: 3, PID: 7},
	}
	if n, err := survivingNode(infos, "/d/node", "10.0.0.1:6379"); err != nil || n == nil || n.Node != 3 {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := survivingNode(infos, "/e/node", "10.0.0.1:6379"); err != nil || n != nil {
		t.Errorf("another data dir: %v, %v", n, err)
	}
	if _, err := survivingNode(infos, "/d/node", "10.0.0.2:6379"); err == nil {
		t.Error("a head that the node doesn't know")
	}
	infos[1].Heads = []string{"10.0.0.2:6379"}
	if n, err := survivingNode(infos, "/d/node", "10.0.0.2:6379"); err != nil || n == nil {
		t.Errorf("another head of its cluster: %v, %v", n, err)
	}
	if _, err := survivingNode(infos, "/d/node", "10.0.0.1:7000"); err == nil || !strings.Contains(err.Error(), "node n3 (pid 7)") {
		t.Errorf("another cluster: %v", err)
	}
}

func TestSpillDirs(t *testing.T) {
	here, err := filepath.Abs("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		given, want []string
		fails       string
	}{
		{nil, nil, ""},
		{[]string{"none"}, []string{}, ""},
		{[]string{"/a", "x"}, []string{"/a", here}, ""},
		{[]string{"/a", "none"}, nil, "none"},
		{[]string{""}, nil, "directory"},
		{[]string{"/a", "/a/"}, nil, "twice"},
	} {
		got, err := parseSpillDirs(c.given)
		if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q: %v", c.given, err)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q, want %q", c.given, got, c.want)
		}
	}
}
