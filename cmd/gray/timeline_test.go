package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
)

func TestTimeline(t *testing.T) {
	const trace = `{"traceEvents":[]}`
	broken := false
	var asked string
	address := fakeHead(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		if !strings.HasPrefix(r.URL.Path, "/api/v0/jobs/j1/") {
			http.Error(w, "Job j2 does not exist", http.StatusNotFound)
			return
		}
		w.Header().Set(api.DroppedHeader, "7")
		w.Header().Set(api.WarningHeader, "node n2 didn't answer")
		io.WriteString(w, trace)
		if broken {
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	t.Setenv("HOME", t.TempDir())
	token, dir := newToken(t), t.TempDir()
	path := filepath.Join(dir, "t.json")
	status, out, errs := ask(t, address, token, "timeline", "j1", "-o", path, "--limit", "9", "--json")
	var got traced
	if err := json.Unmarshal([]byte(out), &got); status != 0 || err != nil || got != (traced{path, int64(len(trace)), 7, "node n2 didn't answer"}) {
		t.Errorf("status %d, %+v, %v, %q", status, got, err, errs)
	}
	if asked != "/api/v0/jobs/j1/timeline?limit=9" || !strings.Contains(errs, "7 older") || !strings.Contains(errs, "n2") {
		t.Errorf("asked for %s, said %q", asked, errs)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != trace {
		t.Errorf("written: %q, %v", b, err)
	}
	if status, out, _ = ask(t, address, token, "timeline", "j1", "-o", "-"); status != 0 || out != trace {
		t.Errorf("status %d, %q", status, out)
	}
	broken = true
	other := filepath.Join(dir, "other.json")
	if status, _, errs = ask(t, address, token, "timeline", "j1", "-o", other); status != exitFailure || !strings.Contains(errs, "broke off") {
		t.Errorf("status %d, %q", status, errs)
	}
	if status, _, errs = ask(t, address, token, "timeline", "j2", "-o", other); status != exitFailure || !strings.Contains(errs, "has no job j2") {
		t.Errorf("status %d, %q", status, errs)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v: half a trace is none", entries, err)
	}
	for _, args := range [][]string{{"timeline"}, {"timeline", "j1", "--limit", "0"}, {"timeline", "j1", "-o", "-", "--json"}} {
		if status, _, _ = ask(t, address, token, args...); status != exitUsage {
			t.Errorf("%v: status %d", args, status)
		}
	}
}
