package head

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/api"
)

// forwardedHeader marks a request that a head passes on: only the leader answers it.
const forwardedHeader = "X-Gray-Forwarded"

// atLeader has the leader answer a request, whichever head it came to, and waits
// for one while there is none. ?stale=true lets this head answer a GET by itself.
func (h *Head) atLeader(next http.Handler) http.Handler {
	proxy := h.newProxy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeadsHeader, strings.Join(h.consensus.addresses(), ","))
		if r.Method == http.MethodGet && r.URL.Query().Get("stale") == "true" {
			w.Header().Set(api.StaleHeader, strconv.FormatInt(h.staleness(), 10))
			next.ServeHTTP(w, r.WithContext(allowStale(r.Context())))
			return
		}
		if r.URL.Path == "/api/version" || r.URL.Path == metricsPath {
			next.ServeHTTP(w, r)
			return
		}
		f := &forwarding{h: h, proxy: proxy, next: next, w: w, r: r}
		if err := f.prepare(); err != nil {
			writeError(w, err)
			return
		}
		f.run()
	})
}

// staleness is how old this head's state may be, in milliseconds; -1: unknown.
func (h *Head) staleness() int64 {
	at := h.upToDate.Load()
	if at == nil {
		return -1
	}
	return time.Since(*at).Milliseconds()
}

// newProxy passes requests on to the leader that their context names.
func (h *Head) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: &http.Transport{
			TLSClientConfig: h.identity.HeadTLS(protocolREST), TLSHandshakeTimeout: askLimit, IdleConnTimeout: time.Minute,
		},
		Rewrite: func(r *httputil.ProxyRequest) {
			leader, _ := r.In.Context().Value(leaderKey{}).(string)
			r.SetURL(&url.URL{Scheme: "https", Host: leader})
			r.Out.Header.Set(forwardedHeader, "1")
			r.Out.Header.Set("X-Forwarded-Proto", scheme(r.In))
			r.Out.Header.Del("Origin") // this head has checked it against its own name
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del(api.HeadsHeader) // this head has set it, and these
			for name := range shielded {
				r.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			writeText(w, http.StatusServiceUnavailable, fmt.Sprintf("the leader doesn't answer: %v", err))
		},
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
}

type leaderKey struct{}

// forwarding is one request on its way to a leader.
type forwarding struct {
	h            *Head
	proxy        http.Handler
	next         http.Handler
	w            http.ResponseWriter
	r            *http.Request
	body         []byte // unless it's an upload
	upload, once bool   // once: it can't be sent again
}

// prepare makes the request one that may be sent again.
func (f *forwarding) prepare() error {
	name := f.r.Header.Get(api.RequestHeader)
	switch {
	case len(name) > maxRequestName || name != validUTF8(name):
		return badRequest("%s %q: want at most %d bytes", api.RequestHeader, validUTF8(name), maxRequestName)
	case name == "" && f.r.Method != http.MethodGet:
		f.r.Header.Set(api.RequestHeader, rand.Text())
	}
	f.upload = f.r.Method == http.MethodPut
	f.once = f.upload || f.r.URL.Path == transferPath
	if f.upload || f.r.Body == nil {
		return nil
	}
	var err error
	f.body, err = io.ReadAll(http.MaxBytesReader(f.w, f.r.Body, maxBody))
	return err
}

func (f *forwarding) run() {
	passedOn := f.r.Header.Get(forwardedHeader) != ""
	p := retries{h: f.h}
	header := f.w.Header().Clone()
	for {
		clear(f.w.Header()) // of what an attempt that failed has set
		maps.Copy(f.w.Header(), header)
		leads, leader, changed := f.h.standing.get()
		a := &attempt{ResponseWriter: f.w}
		sent := true
		switch {
		case leads:
			f.answer(a)
		case passedOn || leader == "" || leader == f.h.Address():
			sent = false
			writeError(a, asStatus(ErrNoLeader))
		default:
			f.passOn(a, leader)
		}
		if !a.unavailable {
			return
		}
		if passedOn || leads && f.h.consensus.alone() || f.once && sent || !p.wait(f.r.Context(), changed) {
			a.release()
			return
		}
	}
}

// passOn has the leader answer. What takes long goes on as long as it moves.
func (f *forwarding) passOn(a *attempt, leader string) {
	ctx := context.WithValue(f.r.Context(), leaderKey{}, leader)
	if f.r.URL.Path != transferPath { // which is answered by who doesn't lead any more
		var cancel context.CancelFunc
		ctx, cancel = f.h.standing.while(ctx, leader)
		defer cancel()
	}
	c := http.NewResponseController(f.w)
	r := f.request(ctx)
	if f.upload {
		r.Body = struct {
			io.Reader
			io.Closer
		}{&progressing{r: f.r.Body, c: c}, f.r.Body}
	} else {
		c.SetReadDeadline(time.Time{}) // the request is here, and the server watches the connection
	}
	a.slow = c
	f.proxy.ServeHTTP(a, r)
}

// answer is for the leader's own answer.
func (f *forwarding) answer(a *attempt) {
	if f.r.Method == http.MethodGet {
		if err := f.h.leading(f.r.Context()); err != nil {
			writeError(a, err)
			return
		}
	}
	f.next.ServeHTTP(a, f.request(f.r.Context()))
}

// request is the request with its body at the beginning.
func (f *forwarding) request(ctx context.Context) *http.Request {
	r := f.r.WithContext(ctx)
	if !f.upload {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(f.body)), int64(len(f.body))
	}
	return r
}

// attempt holds an answer back that says that there is no leader.
type attempt struct {
	http.ResponseWriter
	slow        *http.ResponseController // set: it may take long, as long as it's read
	unavailable bool
	held        bytes.Buffer
}

func (a *attempt) WriteHeader(code int) {
	if code == http.StatusServiceUnavailable {
		a.unavailable = true
		return
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *attempt) Write(b []byte) (int, error) {
	if a.unavailable {
		return a.held.Write(b)
	}
	if a.slow != nil {
		a.slow.SetWriteDeadline(time.Now().Add(uploadPause))
	}
	return a.ResponseWriter.Write(b)
}

// release sends what was held back.
func (a *attempt) release() {
	a.Header().Del("Content-Length")
	a.ResponseWriter.WriteHeader(http.StatusServiceUnavailable)
	_, _ = a.ResponseWriter.Write(a.held.Bytes()) // the client may have gone
}

func (a *attempt) Unwrap() http.ResponseWriter { return a.ResponseWriter }
