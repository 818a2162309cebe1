package head

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pause"
)

const (
	livePath     = "/api/v0/live"
	maxWatchers  = 256
	maxLivePaths = 16 // of one watcher
	maxLiveBody  = 8 << 20
	liveEvery    = time.Second
	liveLeast    = 500 * time.Millisecond
	liveMost     = time.Minute
	liveLimit    = 20 * time.Second // of one answer
	// liveShare is the part of its time that an answer may take: what takes long is asked
	// for less often.
	liveShare     = 10
	liveHeartbeat = 15 * time.Second
)

// live answers the same questions again and again, as server-sent events, for those who
// watch. Who watches the same has one answer made for all.
type live struct {
	h   *Head
	api *http.ServeMux

	mu       sync.Mutex
	watchers int
	views    map[string]*view
}

// view is one question with its latest answer.
type view struct {
	watchers int // under live.mu

	mu     sync.Mutex // held while an answer is made
	made   time.Time
	took   time.Duration
	answer []byte // an api.LiveEvent in JSON
}

func newLive(h *Head, mux *http.ServeMux) *live {
	return &live{h: h, api: mux, views: map[string]*view{}}
}

// serve follows what GETs of ?path=… answer: an event for each that has changed.
func (l *live) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	paths := q["path"]
	if len(paths) == 0 || len(paths) > maxLivePaths {
		writeError(w, badRequest("?path=: give 1 to %d paths", maxLivePaths))
		return
	}
	stale := takesStale(r.Context())
	for _, p := range paths {
		if _, err := l.question(r.Context(), p); err != nil {
			writeError(w, err)
			return
		}
	}
	every := liveEvery
	if ms, err := strconv.Atoi(q.Get("every")); err == nil {
		every = min(max(time.Duration(ms)*time.Millisecond, liveLeast), liveMost)
	}
	if !l.enter() {
		writeText(w, http.StatusTooManyRequests, "as many watch as may: close a page, or ask without /live\n")
		return
	}
	defer l.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if until, ok := l.h.session(r); ok {
		if _, given := bearer(r); !given {
			ctx, cancel = context.WithDeadline(ctx, until)
			defer cancel()
		}
	}
	s := &eventStream{w: w, c: http.NewResponseController(w), cancel: cancel}
	s.begin()
	var all sync.WaitGroup
	for _, p := range paths {
		all.Go(func() {
			defer cancel()
			l.follow(ctx, p, stale, every, s)
		})
	}
	for pause.For(ctx, liveHeartbeat) {
		s.send([]byte(":\n\n"))
	}
	all.Wait()
}

// question is the request that a watched path stands for.
func (l *live) question(ctx context.Context, text string) (*http.Request, error) {
	u, err := url.Parse("/" + strings.TrimPrefix(text, "/"))
	if err != nil || u.Path != path.Clean(u.Path) && u.Path != path.Clean(u.Path)+"/" || !strings.HasPrefix(u.Path, "/api/") {
		return nil, badRequest("path %q isn't one of the API", text)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, badRequest("path %q: %w", text, err)
	}
	if _, pattern := l.api.Handler(r); secrets[u.Path] || notLive[pattern] {
		return nil, badRequest("path %q can't be watched", text)
	}
	return r, nil
}

// notLive are routes whose answers are long, or costly, or no answers to be repeated.
var notLive = map[string]bool{
	"GET " + livePath:                  true,
	"GET /api/jobs/{id}/logs/tail":     true,
	"GET /api/packages/gcs/{name}":     true,
	"GET /api/v0/workers/{id}/profile": true,
	"GET /api/v0/logs/stream":          true,
}

func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == maxWatchers {
		return false
	}
	l.watchers++
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers--
}

// follow sends the answer to a path whenever it is another one, until ctx ends or this
// head can't answer any more.
func (l *live) follow(ctx context.Context, text string, stale bool, every time.Duration, s *eventStream) {
	v, done := l.view(text, stale)
	defer done()
	wait := every
	var last []byte
	for {
		answer, took, err := l.fresh(v, text, stale, wait)
		if err != nil {
			return
		}
		if !bytes.Equal(answer, last) {
			s.send([]byte("event: data\ndata: "), answer, []byte("\n\n"))
		}
		last, wait = answer, max(every, liveShare*took)
		if !pause.For(ctx, wait) {
			return
		}
	}
}

// view finds or makes the view of a path; done gives it back.
func (l *live) view(text string, stale bool) (v *view, done func()) {
	key := text
	if stale {
		key = "stale " + text
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v = l.views[key]
	if v == nil {
		v = new(view)
		l.views[key] = v
	}
	v.watchers++
	return v, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if v.watchers--; v.watchers == 0 {
			delete(l.views, key)
		}
	}
}

// fresh returns an answer that is younger than a watcher's pause, or nearly so, and how
// long it took to make.
func (l *live) fresh(v *view, text string, stale bool, age time.Duration) ([]byte, time.Duration, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if v.answer != nil && now.Sub(v.made) < age*3/4 {
		return v.answer, v.took, nil
	}
	ctx, cancel := context.WithTimeout(l.h.ctx, liveLimit) // not the watcher's, who isn't the only one
	defer cancel()
	if stale {
		ctx = allowStale(ctx)
	}
	if err := l.h.leading(ctx); err != nil {
		return nil, 0, err
	}
	r, err := l.question(ctx, text)
	if err != nil {
		return nil, 0, err
	}
	if v.answer, err = l.ask(r).event(text); err != nil {
		return nil, 0, err
	}
	v.made, v.took = now, time.Since(now)
	return v.answer, v.took, nil
}

// ask has the API answer. As in a server's own goroutines, a handler's panic ends no head.
func (l *live) ask(r *http.Request) (a *liveAnswer) {
	a = &liveAnswer{header: http.Header{}, code: http.StatusOK}
	defer func() {
		if p := recover(); p != nil {
			l.h.log.Error("a watched path's handler panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			a = &liveAnswer{header: http.Header{}, code: http.StatusInternalServerError}
		}
	}()
	l.api.ServeHTTP(a, r)
	return a
}

// liveAnswer holds what a handler answers.
type liveAnswer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

var errLongAnswer = errors.New("the answer is too long to be watched")

func (a *liveAnswer) Header() http.Header  { return a.header }
func (a *liveAnswer) WriteHeader(code int) { a.code = code }

func (a *liveAnswer) Write(b []byte) (int, error) {
	if a.body.Len()+len(b) > maxLiveBody {
		a.code = http.StatusRequestEntityTooLarge
		return 0, errLongAnswer
	}
	return a.body.Write(b)
}

// event is the answer as watchers get it: on one line.
func (a *liveAnswer) event(text string) ([]byte, error) {
	e := api.LiveEvent{Path: text, Status: a.code, Body: json.RawMessage(a.body.Bytes())}
	switch {
	case a.code == http.StatusRequestEntityTooLarge:
		e.Body = errLongAnswer.Error()
	case !strings.HasPrefix(a.header.Get("Content-Type"), "application/json"):
		e.Body = validUTF8(a.body.String())
	}
	return json.Marshal(e)
}

// eventStream is a watcher's connection.
type eventStream struct {
	w      http.ResponseWriter
	c      *http.ResponseController
	cancel context.CancelFunc // ends the watching

	mu sync.Mutex
}

func (s *eventStream) begin() {
	_ = s.c.SetReadDeadline(time.Time{}) // the server watches the connection
	s.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	s.w.Header().Set("X-Accel-Buffering", "no") // nginx
	s.send([]byte("retry: 1000\n\n"))
}

// send writes an event. A client that doesn't read it in time has gone.
func (s *eventStream) send(parts ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.c.SetWriteDeadline(time.Now().Add(frameLimit)) // the server's connections can do that
	for _, b := range parts {
		if _, err := s.w.Write(b); err != nil {
			s.cancel()
			return
		}
	}
	if err := s.c.Flush(); err != nil {
		s.cancel()
	}
}
