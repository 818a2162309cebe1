package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gray-runtime/gray/internal/pki"
)

// heads is a cluster of fake heads, all of which answer with serve. Each can be
// taken away.
type heads struct {
	servers []*httptest.Server
	token   pki.Token
	calls   []atomic.Int32
}

func startHeads(t *testing.T, n int, serve func(head int, w http.ResponseWriter, r *http.Request)) *heads {
	t.Helper()
	ca, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	hs := &heads{token: ca.NewToken(), calls: make([]atomic.Int32, n)}
	for i := range n {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hs.calls[i].Add(1)
			serve(i, w, r)
		}))
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
		s.TLS = id.ServerTLS("http/1.1")
		s.StartTLS()
		t.Cleanup(s.Close)
		hs.servers = append(hs.servers, s)
	}
	return hs
}

func (hs *heads) address(i int) string { return hs.servers[i].Listener.Addr().String() }

func (hs *heads) addresses() []string {
	var all []string
	for i := range hs.servers {
		all = append(all, hs.address(i))
	}
	return all
}

// client knows the first head only.
func (hs *heads) client(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient(hs.address(0), hs.token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (hs *heads) counts() []int32 {
	var all []int32
	for i := range hs.calls {
		all = append(all, hs.calls[i].Load())
	}
	return all
}

// TestAnotherHeadAnswers: what a head says of the others is of use when it has gone,
// and the head that answers then is kept.
func TestAnotherHeadAnswers(t *testing.T) {
	var hs *heads
	hs = startHeads(t, 3, func(i int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(HeadsHeader, strings.Join(hs.addresses(), ",")+",rubbish")
		json.NewEncoder(w).Encode(Version{Version: hs.address(i)})
	})
	c := hs.client(t)
	if got := c.Heads(); !slices.Equal(got, hs.addresses()[:1]) {
		t.Errorf("knows %v", got)
	}
	if _, err := c.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.Heads(); !slices.Equal(got, hs.addresses()) {
		t.Errorf("has learned %v of %v", got, hs.addresses())
	}
	hs.servers[0].Close()
	for range 3 {
		if v, err := c.Version(t.Context()); err != nil || v.Version != hs.address(1) {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if got := hs.counts(); !slices.Equal(got, []int32{1, 3, 0}) {
		t.Errorf("calls: %v", got)
	}
	hs.servers[1].Close()
	hs.servers[2].Close()
	_, err := c.Version(t.Context())
	var gone *UnreachableError
	if !errors.As(err, &gone) || strings.Count(gone.Address, ", ") != 2 || !strings.HasPrefix(gone.Address, hs.address(1)) {
		t.Errorf("nobody is left: %v", err)
	}
}

// TestLeaderlessHead: a head that is cut off from the others isn't the last word.
func TestLeaderlessHead(t *testing.T) {
	hs := startHeads(t, 2, func(i int, w http.ResponseWriter, _ *http.Request) {
		if i == 0 {
			http.Error(w, "no leader here", http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("{}"))
	})
	c := hs.client(t)
	var status *StatusError
	if _, err := c.Version(t.Context()); !errors.As(err, &status) || status.Message != "no leader here" {
		t.Errorf("got %v", err)
	}
	c.Know(hs.address(1))
	if _, err := c.Version(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWhatIsAskedAgain: bodies travel whole to the second head, once each.
func TestWhatIsAskedAgain(t *testing.T) {
	var mu sync.Mutex
	var got []string
	names := map[string]bool{}
	hs := startHeads(t, 2, func(i int, w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if i == 0 || err != nil {
			hangUp(w)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+string(b))
		names[r.Header.Get(RequestHeader)] = true
		w.Write([]byte("{}"))
	})
	first := func() *Client {
		c := hs.client(t)
		c.Know(hs.address(1))
		return c
	}
	if err := first().PutPackage(t.Context(), "a", strings.NewReader("hello"), 5); err != nil {
		t.Error(err)
	}
	if err := first().PutPackage(t.Context(), "a", io.LimitReader(strings.NewReader("hello"), 5), 5); err == nil {
		t.Error("half a stream was uploaded")
	}
	if _, err := first().Submit(t.Context(), JobSubmitRequest{Entrypoint: "x"}); err != nil {
		t.Error(err)
	}
	if _, err := first().Stop(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if _, err := first().TransferHead(t.Context(), ""); err == nil {
		t.Error("a transfer went on at another head")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 3 || got[0] != "PUT hello" || !strings.HasPrefix(got[1], `POST {"entrypoint":"x"`) || got[2] != "POST " || len(names) != 3 || names[""] {
		t.Errorf("%q", got)
	}
}

// TestForeignHead: a remembered head that belongs to another cluster now is passed over.
func TestForeignHead(t *testing.T) {
	ok := func(_ int, w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) }
	hs, others := startHeads(t, 2, ok), startHeads(t, 1, ok)
	c := hs.client(t)
	c.Know(others.address(0), hs.address(1))
	hs.servers[0].Close()
	if _, err := c.Version(t.Context()); err != nil {
		t.Error(err)
	}
	c, err := NewClient(others.address(0), hs.token)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Know(hs.address(1))
	if _, err := c.Version(t.Context()); !errors.Is(err, pki.ErrWrongCluster) {
		t.Errorf("the address that was given is another cluster's: %v", err)
	}
	if n := others.calls[0].Load(); n != 0 {
		t.Errorf("the other cluster saw %d calls", n)
	}
}

func TestPlainAddressHasNoOthers(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(HeadsHeader, "10.0.0.1:6379,10.0.0.2:6379")
		w.Write([]byte("{}"))
	})
	c.Know("10.0.0.3:6379")
	if _, err := c.Version(t.Context()); err != nil || len(c.Heads()) != 1 {
		t.Errorf("%v, %v", c.Heads(), err)
	}
}

func TestTailGoesOnAtAnotherHead(t *testing.T) {
	const all = "one two three"
	hs := startHeads(t, 2, func(i int, w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		if i == 0 {
			conn.Write(r.Context(), websocket.MessageBinary, []byte(all[:5]))
			return
		}
		if got := r.URL.Query().Get("offset"); got != "5" {
			t.Errorf("offset %s", got)
		}
		conn.Write(r.Context(), websocket.MessageBinary, []byte(all[5:]))
		conn.Close(websocket.StatusNormalClosure, "")
	})
	c := hs.client(t)
	c.Know(hs.address(1))
	var out bytes.Buffer
	lost := func(err error) { t.Errorf("somebody was told: %v", err) }
	if err := c.TailLogs(t.Context(), "x", &out, lost); err != nil || out.String() != all {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestStaleReads(t *testing.T) {
	ages := []string{"2500", "-1", ""}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if want := r.Method == http.MethodGet; r.URL.Query().Has("stale") != want {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.Method == http.MethodGet && ages[0] != "" {
			w.Header().Set(StaleHeader, ages[0])
		}
		w.Write([]byte("{}"))
	})
	var told []time.Duration
	c.ReadStale(func(head string, age time.Duration) {
		if head != c.Heads()[0] {
			t.Errorf("%s answered", head)
		}
		told = append(told, age)
	})
	for ; len(ages) > 0; ages = ages[1:] {
		if _, err := c.Nodes(t.Context(), ListOptions{Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	ages = []string{""}
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stop(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []time.Duration{2500 * time.Millisecond, -1}) {
		t.Errorf("told %v", told)
	}
}

func TestBackupIsChecked(t *testing.T) {
	content := strings.Repeat("state ", 10_000)
	sum := sha256.Sum256([]byte(content))
	for name, send := range map[string]func(w http.ResponseWriter){
		"": func(w http.ResponseWriter) {
			w.Header().Set("Trailer", SumTrailer)
			io.WriteString(w, content)
			w.Header().Set(SumTrailer, hex.EncodeToString(sum[:]))
		},
		"damaged": func(w http.ResponseWriter) { io.WriteString(w, content) },
		"broke off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("half"))
		},
	} {
		hs := startHeads(t, 2, func(_ int, w http.ResponseWriter, _ *http.Request) { send(w) })
		c := hs.client(t)
		c.Know(hs.address(1))
		var out bytes.Buffer
		got, err := c.Backup(t.Context(), &out)
		if name == "" && (err != nil || got != sum || out.String() != content) {
			t.Errorf("%d bytes, %v", out.Len(), err)
		}
		if name != "" && (err == nil || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := hs.counts(); n[0] != 1 || n[1] != 0 {
			t.Errorf("%q: asked %v", name, n)
		}
	}
}

// TestSilentHead: a head that has stopped is given up, and another answers.
func TestSilentHead(t *testing.T) {
	released := make(chan struct{})
	hs := startHeads(t, 2, func(i int, w http.ResponseWriter, r *http.Request) {
		if i == 0 {
			<-released
			return
		}
		w.Write([]byte("{}"))
	})
	defer close(released)
	c := hs.client(t)
	c.answer = 20 * time.Millisecond
	c.Know(hs.address(1))
	if _, err := c.Version(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
