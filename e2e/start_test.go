package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// begun is gray start --head with what keeps tests apart.
func begun(args ...string) []string {
	return append([]string{"start", "--head", "--port=0", "--http-port=0", storeFlag}, args...)
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, tt := range []struct {
		flags []string
		words []string
	}{
		{[]string{"--resources", "disk=2"}, []string{"--resources disk=2 isn't a JSON object"}},
		{[]string{"--resources", `["disk"]`}, []string{"--resources", "JSON object"}},
		{[]string{"--resources", `{"disk": -1}`}, []string{"--resources: disk is -1"}},
		{[]string{"--resources", `{"disk": NaN}`}, []string{"--resources", "NaN"}},
		{[]string{"--resources", `{"disk": "2"}`}, []string{"--resources: disk isn't a number"}},
		{[]string{"--resources", `{"CPU": 2}`}, []string{"--resources: CPU", "--num-cpus"}},
		{[]string{"--resources", `{"disk": 1e300}`}, []string{"--resources: disk is 1e+300"}},
		{[]string{"--num-cpus", "NaN"}, []string{"--num-cpus is NaN"}},
		{[]string{"--num-cpus", "-1"}, []string{"--num-cpus is -1"}},
		{[]string{"--memory", "100TiB"}, []string{"--memory is 100.0 TiB", "this machine has"}},
		{[]string{"--object-store-memory", "100TiB"}, []string{"--object-store-memory is 100.0 TiB", "this machine has"}},
		{[]string{"--memory", "lots"}, []string{"--memory", `"lots" is no number of bytes`}},
		{[]string{"--labels", "zone"}, []string{"--labels", `"zone"`}},
		{[]string{"--port", "70000"}, []string{"--port 70000 isn't a port"}},
		{[]string{"--node-ip-address", "here"}, []string{`--node-ip-address "here"`}},
		{[]string{"--address", "127.0.0.1:1"}, []string{"--head", "--address"}},
		{[]string{"--nonsense"}, []string{"--nonsense"}},
	} {
		h.fails(2, tt.words, begun(tt.flags...)...)
	}
	h.fails(2, []string{"--address", "HOST:PORT"}, "start", "--address", "nowhere")
	h.fails(2, []string{"--head", "--address"}, "start")
	h.fails(1, []string{"198.51.100.7 is no address of this machine"}, "start", "--head", "--port=4", "--http-port=0", "--node-ip-address=198.51.100.7")
	h.clean()
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	h, other, stranger := newHost(t), newHost(t), newHost(t)
	h.startHead()
	other.startHead()
	wrong := other.token()
	submit := []string{"submit", "examples/hello/job.go", "--address", h.address}

	for _, args := range [][]string{{"start", "--address", h.address}, {"status", "--address", h.address}, submit} {
		stranger.fails(1, []string{"no token", h.address, "GRAY_TOKEN"}, args...)
		for token, words := range map[string][]string{
			"gray_abc":                        {"the token of GRAY_TOKEN is malformed"},
			"hello":                           {"the token of GRAY_TOKEN is malformed", `"gray_"`},
			h.token()[:60]:                    {"the token of GRAY_TOKEN is malformed"},
			wrong:                             {h.address, "GRAY_TOKEN"},
			wrong[:26] + h.token()[26:]:       {h.address, "GRAY_TOKEN"}, // this cluster's authority, another secret
			h.token()[:20] + wrong[20:] + " ": {h.address, "GRAY_TOKEN"},
		} {
			c := stranger.beginEnv([]string{"GRAY_TOKEN=" + token}, append([]string{gray}, args...)...)
			wantFailure(t, c.wait(), 1, words)
		}
	}
	stranger.fails(1, []string{"--token", "malformed"}, "start", "--address", h.address, "--token", "x")
	stranger.fails(1, []string{"--token", h.address}, "start", "--address", h.address, "--token", wrong)
	stranger.clean()
	for _, url := range []string{"http://" + h.head().HTTPAddress, "https://" + h.address} {
		for _, path := range []string{"/api/jobs/", "/api/v0/nodes", "/api/cluster_status", "/api/packages/gcs/x.zip"} {
			for _, given := range []string{"", "Bearer", "Bearer " + wrong, "Basic " + h.token()} {
				if code := get(t, url+path, given); code != http.StatusUnauthorized && code != http.StatusForbidden {
					t.Errorf("%s%s with authorization %q: status %d", url, path, given, code)
				}
			}
		}
		if code := get(t, url+"/api/jobs/", "Bearer "+h.token()); code != http.StatusOK {
			t.Errorf("%s with the token: status %d", url, code)
		}
	}
	if n := h.nodes(); len(n) != 1 {
		t.Errorf("nodes: %+v", n)
	}
}

// get asks a head's REST interface with any authorization header.
func get(t *testing.T, url, authorization string) int {
	t.Helper()
	client := http.Client{Timeout: limit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it's about the token
	}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestNoHead: nothing, something silent and something else at the address.
func TestNoHead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startHead()
	token := "GRAY_TOKEN=" + h.token()
	closed := listen(t, "127.0.0.1:0", nil)
	closed.Close()
	kept := make(chan net.Conn, 100) // or the collector would close them
	silent := listen(t, "127.0.0.1:0", func(c net.Conn) { kept <- c })
	mute := listen(t, "127.0.0.1:0", func(c net.Conn) { c.Close() })
	chatty := listen(t, "127.0.0.1:0", func(c net.Conn) {
		fmt.Fprint(c, "220 mail.example ESMTP\r\n")
		c.Close()
	})
	for _, l := range []net.Listener{closed, silent, mute, chatty} {
		at := l.Addr().String()
		for _, args := range [][]string{
			{"start", "--address", at}, {"status", "--address", at}, {"nodes", "--address", at},
			{"submit", "examples/hello/job.go", "--address", at}, {"job", "logs", "x", "--address", at},
		} {
			t.Run(args[0]+" "+at, func(t *testing.T) {
				t.Parallel()
				wantFailure(t, h.beginEnv([]string{token}, append([]string{gray}, args...)...).wait(), 1, []string{at})
			})
		}
	}
}

func listen(t *testing.T, address string, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for { // one connection after another
			c, err := l.Accept()
			if err != nil {
				return
			}
			if serve != nil {
				serve(c)
			}
		}
	}()
	return l
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	l := listen(t, "0.0.0.0:0", nil)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	pid := "pid " + strconv.Itoa(os.Getpid())
	h.fails(1, []string{"port " + port + " is in use", pid, "--port"}, "start", "--head", "--port", port, "--http-port=0", storeFlag)
	h.fails(1, []string{"port " + port + " is in use", pid, "--http-port"}, "start", "--head", "--port=0", "--http-port", port, storeFlag)
	h.clean()
	h.startHead()
	_, port, _ = net.SplitHostPort(h.address)
	h.fails(1, []string{"a head already runs here at " + h.address}, "start", "--head", "--port", port, "--http-port=0", storeFlag)
	stranger := newHost(t)
	stranger.fails(1, []string{"port " + port + " is in use", "gray-head"}, "start", "--head", "--port", port, "--http-port=0", storeFlag)
}

func TestBadDataDir(t *testing.T) {
	t.Parallel()
	h, other := newHost(t), newHost(t)
	dir := filepath.Join(h.dir, "data")
	h.startHead("--data-dir", dir)
	h.fails(1, []string{"uses the data in " + dir}, begun("--data-dir", dir)...)
	pid := fmt.Sprintf("process %d", h.head().PID)
	other.fails(1, []string{"another head (" + pid + ") runs on data dir " + dir}, begun("--data-dir", dir)...)
	h.fails(1, []string{"runs on the data in " + dir}, "start", "--address", h.address, "--data-dir", dir)
	if n := h.nodes(); len(n) != 1 {
		t.Errorf("nodes: %+v", n)
	}

	other.startHead()
	h.must("stop")
	c := h.beginEnv([]string{"GRAY_TOKEN=" + other.token()}, gray, "start", "--address", other.address, "--data-dir", dir, storeFlag)
	wantFailure(t, c.wait(), 1, []string{dir, "another cluster", "--data-dir"})

	// The identity of one head, the log of another.
	id, err := os.ReadFile(filepath.Join(other.dir, ".gray", "data", "head", "head.json"))
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "head", "head.json")
	was, err := os.ReadFile(mine)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{string(id), "{", ""} {
		if err := os.WriteFile(mine, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		h.fails(1, []string{"unusable data dir", filepath.Join(dir, "head")}, begun("--data-dir", dir)...)
	}
	if err := os.WriteFile(mine, was, 0o600); err != nil {
		t.Fatal(err)
	}
	h.startHead("--data-dir", dir) // nothing was lost
	if n := h.nodes(); len(n) != 2 {
		t.Errorf("nodes: %+v", n)
	}

	file := filepath.Join(h.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below"), "/proc/gray"} {
		named := strings.TrimSuffix(bad, "/below")
		h.fails(1, []string{"data dir", named}, begun("--data-dir", bad)...)
		h.fails(1, []string{"data dir", named}, "start", "--address", h.address, "--data-dir", bad)
	}
}

func TestDataDirOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to give a folder away")
	}
	const nobody = 65534
	h := newHost(t)
	dir := filepath.Join(h.dir, "data")
	for _, theirs := range []string{dir, filepath.Join(dir, "head")} {
		if err := os.Mkdir(theirs, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(theirs, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		h.fails(1, []string{"data dir: " + theirs + " belongs to another user (uid 65534)", "--data-dir"}, begun("--data-dir", dir)...)
		if err := os.Chown(theirs, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "head") {
			t.Errorf("it made %s there", e.Name())
		}
	}
}
