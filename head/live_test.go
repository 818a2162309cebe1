package head

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
)

// watcher is an EventSource.
type watcher struct {
	t    testing.TB
	body *bufio.Scanner
	end  context.CancelFunc
}

// watch follows paths at the head `at`, as who has the token or, with a cookie, as a browser.
func watch(t testing.TB, at *Head, cookie *http.Cookie, paths ...string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	resp := browse(t, at, "GET", livePath+"?every=500&path="+strings.Join(paths, "&path="), cookie, func(r *http.Request) {
		if cookie == nil {
			r.Header.Set("Authorization", "Bearer "+at.Token().String())
		}
		*r = *r.WithContext(ctx)
	})
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	return &watcher{t, bufio.NewScanner(resp.Body), cancel}
}

// next returns the next event; false: the stream has ended.
func (w *watcher) next() (api.LiveEvent, bool) {
	w.t.Helper()
	for w.body.Scan() {
		if data, ok := strings.CutPrefix(w.body.Text(), "data: "); ok {
			var e api.LiveEvent
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				w.t.Fatalf("%v: %s", err, data)
			}
			return e, true
		}
	}
	return api.LiveEvent{}, false
}

// await waits for an event of a path whose body holds a text.
func (w *watcher) await(path, text string) api.LiveEvent {
	w.t.Helper()
	for {
		e, ok := w.next()
		if !ok {
			w.t.Fatalf("the stream has ended: %v", w.body.Err())
		}
		body, err := json.Marshal(e.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Path == path && strings.Contains(string(body), text) {
			return e
		}
	}
}

func TestLiveTellsWhatChanges(t *testing.T) {
	h := startHead(t, t.TempDir())
	cookie := signedIn(t, h, h)
	if e := watch(t, h, cookie, "api/v0/nodes", "/api/v0/nothing").await("/api/v0/nothing", ""); e.Status != http.StatusNotFound {
		t.Errorf("%+v", e)
	}
	w := watch(t, h, cookie, "api/v0/nodes", "/api/v0/nothing")
	w.await("api/v0/nodes", `"total":0`)
	newNode(t, h, 1)
	w.await("api/v0/nodes", `"total":1`)
	w.end()
	if _, more := w.next(); more {
		t.Error("it goes on")
	}
}

func TestLiveEndsWithTheSession(t *testing.T) {
	h := startHead(t, t.TempDir())
	cookie := signedIn(t, h, h)
	cookie.Value = seal(h.Token(), time.Now().Add(2*time.Second)) // whole seconds: at least one
	w := watch(t, h, cookie, "api/v0/nodes")
	w.await("api/v0/nodes", `"total":0`)
	if _, more := w.next(); more {
		t.Error("it goes on")
	}
}

// TestWatchersShareAnswers: who watches the same costs nothing more, and nothing is
// kept for those who have gone.
func TestWatchersShareAnswers(t *testing.T) {
	h := startHead(t, t.TempDir())
	asked := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/x", func(w http.ResponseWriter, _ *http.Request) {
		asked++
		writeJSON(w, http.StatusOK, asked)
	})
	mux.HandleFunc("GET /api/bad", func(http.ResponseWriter, *http.Request) { panic("bad") })
	mux.HandleFunc("GET /api/long", func(w http.ResponseWriter, _ *http.Request) {
		for range maxLiveBody/len(rayVersion) + 1 {
			w.Write([]byte(rayVersion))
		}
	})
	l := newLive(h, mux)
	v, done := l.view("api/x", false)
	_, other := l.view("api/x", false)
	var answers []string
	for _, age := range []time.Duration{0, time.Hour, time.Hour, 0} {
		b, _, err := l.fresh(v, "api/x", false, age)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(b))
	}
	if want := `{"path":"api/x","status":200,"body":1}`; asked != 2 || answers[0] != want || answers[2] != want || answers[3] == want {
		t.Errorf("asked %d times: %q", asked, answers)
	}
	done()
	other()
	if len(l.views) != 0 {
		t.Errorf("%d views are kept", len(l.views))
	}
	for path, code := range map[string]string{"api/bad": `"status":500`, "api/long": `"status":413`, "api/none": `"status":404`} {
		v, done := l.view(path, false)
		if b, _, err := l.fresh(v, path, false, 0); err != nil || !strings.Contains(string(b), code) || len(b) > 300 {
			t.Errorf("%s: %.300s %v", path, b, err)
		}
		done()
	}
}

func TestWatchersAreBounded(t *testing.T) {
	l := newLive(nil, http.NewServeMux())
	for range maxWatchers {
		if !l.enter() {
			t.Fatal("too few")
		}
	}
	if l.enter() {
		t.Error("too many")
	}
	if l.leave(); !l.enter() {
		t.Error("a place that was left isn't free")
	}
}

// TestBrowserAtAnyHead: codes, sessions and streams work at a head that doesn't lead, and a
// new leader knows the session.
func TestBrowserAtAnyHead(t *testing.T) {
	heads := startHeads(t, 3)
	follower := heads[1]
	cookie := signedIn(t, heads[0], follower)
	resp := browse(t, follower, "GET", "/api/v0/nodes", cookie, nil)
	for name := range shielded {
		if len(resp.Header.Values(name)) != 1 {
			t.Errorf("%s passed on: %q", name, resp.Header.Values(name))
		}
	}
	w := watch(t, follower, cookie, "api/v0/nodes")
	w.await("api/v0/nodes", `"total":0`)
	newNode(t, heads[0], 1)
	w.await("api/v0/nodes", `"total":1`)
	stopHead(t, heads[0])
	for more := true; more; {
		_, more = w.next() // it ends, and EventSource connects again
	}
	watch(t, follower, cookie, "api/v0/nodes").await("api/v0/nodes", `"total":1`)
}
