package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve makes a client of a server that answers with f.
func serve(t *testing.T, f http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := NewClient(s.URL, "gray_token")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestSubmitAsksAgainAsTheSame(t *testing.T) {
	var calls atomic.Int32
	names := make(chan string, attempts)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		names <- r.Header.Get(RequestHeader)
		if calls.Add(1) < 3 {
			hangUp(w)
			return
		}
		json.NewEncoder(w).Encode(JobSubmitResponse{SubmissionID: "one"})
	})
	got, err := c.Submit(t.Context(), JobSubmitRequest{Entrypoint: "x"})
	if err != nil || got.SubmissionID != "one" {
		t.Fatalf("%+v, %v", got, err)
	}
	if a, b, third := <-names, <-names, <-names; a == "" || a != b || b != third {
		t.Errorf("requests %q, %q, %q", a, b, third)
	}
}

func TestRefusalIsFinal(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		http.Error(w, "no such luck", http.StatusBadRequest)
	})
	_, err := c.Submit(t.Context(), JobSubmitRequest{Entrypoint: "x"})
	var status *StatusError
	if !errors.As(err, &status) || status.Status != 400 || err.Error() != "no such luck" || calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

func TestErrors(t *testing.T) {
	for code, want := range map[int]error{404: ErrNotFound, 401: ErrUnauthorized, 403: ErrUnauthorized} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		if _, err := c.Job(t.Context(), "x"); !errors.Is(err, want) || err.Error() == "" {
			t.Errorf("%d: %v", code, err)
		}
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		w.Write([]byte(`{"result":false,"msg":"bad filter","data":{"result":null}}`))
	})
	if _, err := c.Nodes(t.Context(), ListOptions{Limit: 5, Detail: true}); err == nil || err.Error() != "bad filter" {
		t.Errorf("%v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) })
	if _, err := c.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "answer") {
		t.Errorf("%v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := NewClient(address, "gray_token")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Version(t.Context())
	var gone *UnreachableError
	if !errors.As(err, &gone) || gone.Address != address {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestTailGoesOnWhereItBroke: nothing twice, nothing left out.
func TestTailGoesOnWhereItBroke(t *testing.T) {
	const all = "one two three"
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		call := calls.Add(1)
		if call == 1 {
			conn.Write(r.Context(), websocket.MessageBinary, []byte(all[:5]))
			return
		}
		if got := r.URL.Query().Get("offset"); call == 2 && got != "5" {
			t.Errorf("offset %s", got)
		}
		conn.Write(r.Context(), websocket.MessageBinary, []byte(all[5:]))
		conn.Close(websocket.StatusNormalClosure, "")
	})
	var out bytes.Buffer
	if err := c.TailLogs(t.Context(), "x", &out, nil); err != nil || out.String() != all {
		t.Errorf("%q, %v", out.String(), err)
	}
	broken := errors.New("broken pipe")
	if err := c.TailLogs(t.Context(), "x", failing{broken}, nil); !errors.Is(err, broken) {
		t.Errorf("a writer's error: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestUploadSaysItsSize(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		var b bytes.Buffer
		b.ReadFrom(r.Body)
		if r.ContentLength != 5 || b.String() != "hello" || r.Header.Get("Authorization") != "Bearer gray_token" {
			t.Errorf("length %d, body %q", r.ContentLength, b.String())
		}
	})
	if err := c.PutPackage(t.Context(), "a", strings.NewReader("hello"), 5); err != nil {
		t.Error(err)
	}
	if has, err := c.HasPackage(t.Context(), "a"); has || err != nil {
		t.Errorf("%v, %v", has, err)
	}
}

// TestUploadOutlastsAnOutage: unless its bytes can be had once only.
func TestUploadOutlastsAnOutage(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) != "hello" {
			t.Errorf("body %q", b)
		}
		if calls.Add(1) < 3 {
			http.Error(w, "the leader doesn't answer", http.StatusServiceUnavailable)
		}
	})
	if err := c.PutPackage(t.Context(), "a", strings.NewReader("hello"), 5); err != nil || calls.Load() != 3 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
	calls.Store(0)
	if err := c.PutPackage(t.Context(), "a", io.LimitReader(strings.NewReader("hello"), 5), 5); err == nil || calls.Load() != 1 {
		t.Errorf("a stream: %v after %d calls", err, calls.Load())
	}
}

func TestAwaitOutlastsAnOutage(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			json.NewEncoder(w).Encode(JobDetails{Status: StatusRunning})
		case 2:
			hangUp(w)
		case 3, 4:
			http.Error(w, "no leader", http.StatusServiceUnavailable)
		default:
			json.NewEncoder(w).Encode(JobDetails{Status: StatusSucceeded})
		}
	})
	told := 0
	j, err := c.Await(t.Context(), "x", func(error) { told++ })
	if err != nil || j.Status != StatusSucceeded || told != 1 {
		t.Errorf("%+v, %v, told %d times", j, err, told)
	}
}

// TestOutage: an error that the head answers is final, unless it has just come back.
func TestOutage(t *testing.T) {
	noLog := fmt.Errorf("logs: %w", tailError("its node is dead"))
	gone := &UnreachableError{Err: errors.New("refused")}
	o := outage{}
	if o.goOn(noLog) || o.goOn(&StatusError{Status: http.StatusNotFound}) {
		t.Error("goes on for nothing")
	}
	for _, err := range []error{gone, gone, noLog} {
		if !o.goOn(err) {
			t.Errorf("gives up at once: %v", err)
		}
	}
	if o.began = o.began.Add(-2 * patience); o.goOn(gone) {
		t.Error("never gives up")
	}
	o.over()
	if o.settles = time.Now().Add(-2 * settling); o.goOn(noLog) || !o.goOn(gone) {
		t.Error("the end of an outage isn't noticed")
	}
}
