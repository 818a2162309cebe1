package head

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/proto"
)

// TestEveryRouteNeedsTheToken, those that aren't there included; but not the pages.
func TestEveryRouteNeedsTheToken(t *testing.T) {
	h := startHead(t, t.TempDir())
	nobody := func(r *http.Request) { r.Header.Del("Authorization") }
	routes := []string{"POST /", "GET /none", "GET " + livePath, "GET /session", "GET /api/none", "POST /api/version", "OPTIONS /api/jobs/", "GET //api//version", "GET /api/jobs"}
	for pattern := range h.routes() {
		routes = append(routes, strings.NewReplacer("{$}", "", "{id}", "j1", "{name}", "x").Replace(pattern))
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		if code, _ := rest(t, h, method, path, "", nobody); code != http.StatusUnauthorized {
			t.Errorf("%s: %d", route, code)
		}
	}
}

// TestHalfOpenRequests: bodies that never come hold nobody up, nor the end.
func TestHalfOpenRequests(t *testing.T) {
	h := startHead(t, t.TempDir())
	head := "POST /api/jobs/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
	for i := range 100 {
		c, err := net.Dial("tcp", h.HTTPAddress())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		token := ""
		if i%2 == 0 {
			token = "Authorization: Bearer " + h.Token().String() + "\r\n"
		}
		if _, err := fmt.Fprintf(c, "%s%s\r\n{", head, token); err != nil {
			t.Fatal(err)
		}
	}
	if code, text := rest(t, h, "GET", "/api/version", "", nil); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	began := time.Now()
	stopHead(t, h)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the head took %v to close", took)
	}
}

// TestRefusedBodyIsntAwaited: who has no token hears so before the body's end.
func TestRefusedBodyIsntAwaited(t *testing.T) {
	h := startHead(t, t.TempDir())
	c, err := net.Dial("tcp", h.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "PUT /api/packages/gcs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\nx", maxPackage)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d %s, %v", resp.StatusCode, text, err)
	}
}

// TestTextThatIsNoUTF8 can't be in a command: it's the request's fault.
func TestTextThatIsNoUTF8(t *testing.T) {
	h := startHead(t, t.TempDir())
	if code, text := rest(t, h, "POST", "/api/jobs/", "{\"entrypoint\":\"x\xff\",\"runtime_env\":{\"pip\":[\"\xff\"]}}", nil); code != http.StatusOK {
		t.Errorf("submit: %d %s", code, text)
	}
	if code, text := rest(t, h, "POST", "/api/jobs/%ff/stop", "", nil); code != http.StatusBadRequest {
		t.Errorf("stop: %d %s", code, text)
	}
	if code, text := rest(t, h, "GET", "/api/jobs/%ff", "", nil); code != http.StatusNotFound {
		t.Errorf("get: %d %s", code, text)
	}
}

// TestActorThatNeedsLessThanNothing would give others room.
func TestActorThatNeedsLessThanNothing(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	job := driverJob(t, n)
	for _, r := range []*proto.CreateActorRequest{
		{}, {Spec: &proto.ActorSpec{}}, {Spec: &proto.ActorSpec{Id: actorID(1)[:7], Job: job}},
		{Spec: &proto.ActorSpec{Id: actorID(1), Job: job, Resources: cpus(-1)}},
	} {
		if _, err := n.control.CreateActor(t.Context(), r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", r, err)
		}
	}
}

// TestSweptPackages: what the index doesn't have, and didn't get for long, goes at the start.
func TestSweptPackages(t *testing.T) {
	dir := t.TempDir()
	h := startHead(t, dir)
	c := client(t, h)
	for _, content := range []string{"old", "new"} {
		if err := c.PutPackage(t.Context(), "a.zip", strings.NewReader(content), 3); err != nil {
			t.Fatal(err)
		}
	}
	stopHead(t, h)
	if err := os.WriteFile(filepath.Join(dir, "packages", ".upload-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * uploadAge)
	files, err := filepath.Glob(filepath.Join(dir, "packages", "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	h = startHead(t, dir)
	eventually(t, "only what the index has is left", func() bool {
		entries, err := os.ReadDir(filepath.Join(dir, "packages"))
		return err == nil && len(entries) == 1 && entries[0].Name() == h.packageRecord("a.zip").Sha256
	})
}

// TestDamagedLog is refused with an error.
func TestDamagedLog(t *testing.T) {
	for name, b := range map[string]string{"garbage": strings.Repeat("garbage", 10_000), "short": "x"} {
		dir := t.TempDir()
		h := startHead(t, dir)
		stopHead(t, h)
		if err := os.WriteFile(filepath.Join(dir, "raft.db"), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Config{DataDir: dir}); !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), "raft.db is damaged") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestLeadsAgain: leadership that was lost and won unnoticed leaves no session
// behind that nobody listens to.
func TestLeadsAgain(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	h.leader.begin()
	<-n.ended
	if status.Code(n.err) != codes.Unavailable {
		t.Errorf("the session ended with %v", n.err)
	}
	if h.leader.info(n.id) == nil {
		t.Error("the node lost its lease")
	}
	n.err = nil
	n.connect(nil)
}
