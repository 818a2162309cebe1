package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/pki"
)

func TestSurvives(t *testing.T) {
	for _, tt := range []struct {
		voters, unreachable, joining int
		want                         string
	}{
		{1, 0, 0, "1 head: if it fails, the cluster waits for it."},
		{1, 0, 1, "1 head, 1 joining: if it fails, the cluster waits for it."},
		{2, 0, 0, "2 heads: none may fail; add a third."},
		{2, 1, 0, "2 heads, 1 unreachable: no majority is left."},
		{3, 0, 0, "3 heads: 1 may fail."},
		{3, 1, 0, "3 heads, 1 unreachable: no majority is left if one more fails."},
		{3, 2, 1, "3 heads, 2 unreachable, 1 joining: no majority is left."},
		{4, 0, 0, "4 heads: 1 may fail."},
		{5, 0, 0, "5 heads: 2 may fail."},
		{5, 1, 0, "5 heads, 1 unreachable: 1 more may fail."},
	} {
		var heads []head
		for i := range tt.voters {
			h := head{State: api.HeadFollower, Voter: true}
			if i < tt.unreachable {
				h.State = api.HeadUnreachable
			}
			heads = append(heads, h)
		}
		heads = append(heads, make([]head, tt.joining)...)
		if got := survives(heads); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// fakeHead answers the verbs on a plain port.
func fakeHead(t *testing.T, f http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// ask carries out a command line about the cluster at address.
func ask(t *testing.T, address string, token pki.Token, args ...string) (status int, out, errs string) {
	t.Helper()
	t.Setenv(daemon.TokenVariable, token.String())
	var o, e bytes.Buffer
	status = run(append(args, "--address", address), strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

func newToken(t *testing.T) pki.Token {
	t.Helper()
	ca, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return ca.NewToken()
}

var threeHeads = api.HeadList{Heads: []api.HeadRow{
	{
		ID: "head-aa01", Address: "10.0.0.1:6379", State: api.HeadLeader, Voter: true, AppliedIndex: 70, LastIndex: 70,
		DiskUsed: 3 << 20, DiskFree: 5 << 30, GrayVersion: "1.2",
	},
	{ID: "head-aa02", Address: "10.0.0.2:6379", State: api.HeadUnreachable, Voter: true, Error: "connection refused\nmore"},
	{ID: "head-bb03", Address: "10.0.0.3:6379", State: api.HeadFollower, AppliedIndex: 60, Lag: 10},
}}

func TestHeadsAreShown(t *testing.T) {
	address := fakeHead(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(threeHeads) })
	t.Setenv("HOME", t.TempDir())
	token := newToken(t)
	status, out, errs := ask(t, address, token, "heads")
	lines := strings.Split(out, "\n")
	if status != 0 || errs != "" || len(lines) != 6 {
		t.Fatalf("status %d, %q, %q", status, out, errs)
	}
	for i, want := range []string{
		"HEAD STATE ADDRESS APPLIED LAG DISK VERSION AGE NOTE",
		"head-aa01 leader 10.0.0.1:6379 70 0 3.0 MiB used, 5.0 GiB free 1.2 - -",
		"head-aa02 unreachable 10.0.0.2:6379 - - - - - connection refused",
		"head-bb03 joining (no vote yet) 10.0.0.3:6379 60 10 0 B used, 0 B free - - -",
		"2 heads, 1 unreachable, 1 joining: no majority is left.",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d: got %q, want %q", i, got, want)
		}
	}
	_, out, _ = ask(t, address, token, "heads", "--json")
	var rows []head
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 3 || rows[2].Lag != 10 || rows[1].Error == "" {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestHeadsAreChanged(t *testing.T) {
	var calls []string
	address := fakeHead(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			json.NewEncoder(w).Encode(threeHeads)
			return
		}
		b, _ := io.ReadAll(r.Body)
		calls = append(calls, r.Method+" "+r.URL.Path+" "+string(b))
		switch {
		case r.URL.Path == "/api/heads/head-aa01":
			http.Error(w, "the others are no majority", http.StatusBadRequest)
		case r.URL.Path == "/api/heads/head-aa02":
			http.NotFound(w, r)
		case r.Method == http.MethodPost:
			json.NewEncoder(w).Encode(api.Leader{ID: "head-bb03", Address: "10.0.0.3:6379"})
		}
	})
	t.Setenv("HOME", t.TempDir())
	token := newToken(t)
	for _, tt := range []struct {
		args   string
		status int
		want   string // on standard output, or else on standard error
		call   string
	}{
		{"heads remove", exitUsage, "which head?", ""},
		{"heads remove x", exitFailure, `no head "x"`, ""},
		{"heads remove head-a", exitFailure, "head-aa01, head-aa02", ""},
		{"heads remove head-aa01", exitFailure, "remove head head-aa01: the others are no majority", "DELETE /api/heads/head-aa01 "},
		{"heads remove head-aa02", 0, "removed head head-aa02 at 10.0.0.2:6379\n", "DELETE /api/heads/head-aa02 "}, // already
		{"heads remove head-b", 0, "removed head head-bb03 at 10.0.0.3:6379\n", "DELETE /api/heads/head-bb03 "},
		{"heads remove head-b --json", 0, `"id": "head-bb03"`, "DELETE /api/heads/head-bb03 "},
		{"heads transfer", 0, "head head-bb03 at 10.0.0.3:6379 leads now\n", `POST /api/heads/transfer {"id":""}`},
		{"heads transfer head-b", 0, "leads now\n", `POST /api/heads/transfer {"id":"head-bb03"}`},
		{"heads transfer a b", exitUsage, "at most 1", ""},
	} {
		calls = nil
		status, out, errs := ask(t, address, token, strings.Fields(tt.args)...)
		text := out
		if tt.status != 0 {
			text = errs
		}
		if status != tt.status || !strings.Contains(text, tt.want) || strings.Join(calls, "; ") != tt.call {
			t.Errorf("%s: status %d, %q, %q, %q", tt.args, status, out, errs, calls)
		}
	}
}

func TestBackup(t *testing.T) {
	content := strings.Repeat("state ", 1000)
	sum := sha256.Sum256([]byte(content))
	damaged := false
	address := fakeHead(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", api.SumTrailer)
		io.WriteString(w, content)
		if !damaged {
			w.Header().Set(api.SumTrailer, hex.EncodeToString(sum[:]))
		}
	})
	t.Setenv("HOME", t.TempDir())
	token, dir := newToken(t), t.TempDir()
	path := filepath.Join(dir, "b")
	check := func(want string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Fatalf("the folder has %v, %v", entries, err)
		}
		got, err := os.ReadFile(path)
		if st, statErr := os.Stat(path); err != nil || statErr != nil || string(got) != want || st.Mode().Perm() != 0o600 {
			t.Errorf("%d bytes, %v, %v", len(got), err, statErr)
		}
	}
	status, out, errs := ask(t, address, token, "heads", "backup", path, "--json")
	var b backedUp
	if err := json.Unmarshal([]byte(out), &b); status != 0 || err != nil || b != (backedUp{path, 6000, hex.EncodeToString(sum[:])}) {
		t.Errorf("status %d, %+v, %v, %q", status, b, err, errs)
	}
	check(content)
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs = ask(t, address, token, "heads", "backup", path); status != exitFailure || !strings.Contains(errs, "--force") {
		t.Errorf("status %d, %q", status, errs)
	}
	check("old")
	damaged = true
	if status, _, errs = ask(t, address, token, "heads", "backup", path, "--force"); status != exitFailure || !strings.Contains(errs, "damaged") {
		t.Errorf("status %d, %q", status, errs)
	}
	check("old")
	damaged = false
	if status, out, _ = ask(t, address, token, "heads", "backup", path, "--force"); status != 0 || !strings.Contains(out, "is written (5.9 KiB)") {
		t.Errorf("status %d, %q", status, out)
	}
	check(content)
	for arg, want := range map[string]int{"-": exitUsage, dir: exitFailure, filepath.Join(dir, "none", "b"): exitFailure} {
		if status, _, errs := ask(t, address, token, "heads", "backup", "--force", arg); status != want {
			t.Errorf("%s: status %d, %q", arg, status, errs)
		}
	}
}

func TestStale(t *testing.T) {
	age := "2100"
	address := fakeHead(t, func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("stale") {
			http.Error(w, "no head leads the cluster now: 1 of 3 heads is there", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set(api.StaleHeader, age)
		if strings.HasPrefix(r.URL.Path, "/api/jobs") {
			w.Write([]byte("[]"))
			return
		}
		w.Write([]byte("{}"))
	})
	t.Setenv("HOME", t.TempDir())
	token, host := newToken(t), strings.TrimPrefix(address, "http://")
	const none = "gray: no head leads the cluster now (1 of 3 heads is there); "
	for verb, wayOut := range map[string]string{
		"nodes": "add --stale to see what this head knows", "job stop x": "see `gray heads --stale`", "heads transfer": "see `gray heads --stale`",
	} {
		if status, _, errs := ask(t, address, token, strings.Fields(verb)...); status != exitFailure || errs != none+wayOut+"\n" {
			t.Errorf("%s: status %d, %q", verb, status, errs)
		}
	}
	status, _, errs := ask(t, address, token, "status", "--stale") // asks twice
	if want := fmt.Sprintf("as the head at %s knows it, up to 3s old\n", host); status != 0 || errs != want {
		t.Errorf("status %d, got %q, want %q", status, errs, want)
	}
	age = "-1"
	if _, _, errs = ask(t, address, token, "jobs", "--stale"); !strings.Contains(errs, "of unknown age\n") {
		t.Errorf("got %q", errs)
	}
}

// TestHeadsAreRemembered: a verb that is told of a head that has gone asks another,
// which one before it had learned of.
func TestHeadsAreRemembered(t *testing.T) {
	ca, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var servers []*httptest.Server
	var addresses []string
	for range 2 {
		key, csr, err := pki.NewKeyAndRequest()
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := ca.Sign(csr, pki.RoleHead, []string{"127.0.0.1"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		id, err := pki.NewIdentity(key, leaf, ca.Certificate())
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(api.HeadsHeader, strings.Join(addresses, ","))
			w.Write([]byte("[]"))
		}))
		s.TLS = id.ServerTLS("http/1.1")
		servers, addresses = append(servers, s), append(addresses, s.Listener.Addr().String())
	}
	for _, s := range servers {
		s.StartTLS()
		defer s.Close()
	}
	t.Setenv("HOME", t.TempDir())
	for range 2 {
		if status, _, errs := ask(t, addresses[0], ca.NewToken(), "jobs"); status != 0 || errs != "no jobs\n" {
			t.Fatalf("status %d, %q", status, errs)
		}
		if heads := daemon.FindHeads(addresses[0]); fmt.Sprint(heads) != fmt.Sprint(addresses[1:]) {
			t.Errorf("remembers %v", heads)
		}
		servers[0].Close()
	}
	servers[1].Close()
	status, _, errs := ask(t, addresses[0], ca.NewToken(), "jobs")
	if status != exitFailure || !strings.Contains(errs, "can't reach a head at "+strings.Join(addresses, ", ")) {
		t.Errorf("status %d, %q", status, errs)
	}
}
