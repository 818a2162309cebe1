package head

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/proto"
)

func TestTwoHeadsOnOneDataDir(t *testing.T) {
	dir := t.TempDir()
	startHead(t, dir)
	_, err := Start(t.Context(), Config{DataDir: dir})
	var used *InUseError
	if !errors.As(err, &used) || used.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
}

func TestDataDirIsRefused(t *testing.T) {
	for name, prepare := range map[string]func(dir string) error{
		"has format 99": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, dirFile), []byte(`{"format":99,"head":"x"}`), 0o600)
		},
		"is damaged": func(dir string) error { return os.WriteFile(filepath.Join(dir, dirFile), []byte(`{`), 0o600) },
		"belongs to user": func(dir string) error {
			if os.Getuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(dir, 12345, -1)
		},
		"isn't empty": func(dir string) error {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600)
		},
		"head.json is missing": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "raft.db"), []byte("log"), 0o600)
		},
		"its Raft log is gone": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, dirFile), []byte(`{"format":1,"head":"x","cluster":"0000000a"}`), 0o600)
		},
		"belongs to cluster 00000001": func(dir string) error {
			h, err := Start(t.Context(), Config{DataDir: dir})
			if err != nil {
				return err
			}
			stopHead(t, h)
			text := fmt.Sprintf(`{"format":1,"head":%q,"cluster":"00000001"}`, h.dir.info.Head)
			return os.WriteFile(filepath.Join(dir, dirFile), []byte(text), 0o600)
		},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := prepare(dir); errors.Is(err, errors.ErrUnsupported) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), Config{DataDir: dir}); !errors.Is(err, ErrBadDataDir) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDataDirIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	startHead(t, dir)
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for flag, cfg := range map[string]Config{"--port": {Port: port}, "--http-port": {HTTPPort: port}} {
		cfg.DataDir = t.TempDir()
		_, err := Start(t.Context(), cfg)
		var listen *ListenError
		if !errors.As(err, &listen) || listen.Flag != flag || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: got %v", flag, err)
		}
	}
}

func TestNoHTTPPort(t *testing.T) {
	h, err := Start(t.Context(), Config{DataDir: t.TempDir(), HTTPPort: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer stopHead(t, h)
	if h.HTTPAddress() != "" {
		t.Errorf("HTTP at %s", h.HTTPAddress())
	}
}

func TestJoinNeedsTheToken(t *testing.T) {
	h := startHead(t, t.TempDir())
	other := startHead(t, t.TempDir())
	_, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	control := proto.NewControlClient(dial(t, h.Address(), pki.TokenTLS(h.Token(), "h2")))
	_, err = control.Join(t.Context(), &proto.JoinRequest{Token: h.ca.NewToken().String(), Csr: csr})
	if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "wrong token") {
		t.Errorf("another token: %v", err)
	}
	_, err = control.Join(t.Context(), &proto.JoinRequest{Token: h.Token().String(), Csr: []byte("junk")})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a bad request: %v", err)
	}
	foreign := proto.NewControlClient(dial(t, h.Address(), pki.TokenTLS(other.Token(), "h2")))
	_, err = foreign.Join(t.Context(), &proto.JoinRequest{Token: other.Token().String(), Csr: csr})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "isn't a head of the cluster") {
		t.Errorf("another cluster's token: %v", err)
	}
}

func TestCallsNeedACertificate(t *testing.T) {
	h := startHead(t, t.TempDir())
	control := proto.NewControlClient(dial(t, h.Address(), pki.TokenTLS(h.Token(), "h2")))
	if _, err := control.ListNodes(t.Context(), &proto.ListNodesRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call: %v", err)
	}
	stream, err := control.Session(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream: %v", err)
	}
	id := join(t, h.Address(), h.Token())
	member := proto.NewControlClient(dial(t, h.Address(), id.ClientTLS("h2")))
	key, csr, err := pki.NewKeyAndRequest()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := member.RenewCertificate(t.Context(), &proto.RenewRequest{Csr: csr})
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Replace(key, reply.Certificate); err != nil || id.Role() != pki.RoleNode {
		t.Errorf("renewed as %q: %v", id.Role(), err)
	}
}

// TestRestart closes a head and starts it again: the cluster is the same, and
// what ran goes on.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	h := startHead(t, dir)
	n := newNode(t, h, 2)
	n.connect(nil)
	job := submit(t, h, "one", n)
	if _, err := n.control.PutKey(t.Context(), &proto.PutKeyRequest{Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	create(t, n, &proto.ActorSpec{Id: actorID(1), Job: job, Name: "counter"})
	order := n.await("an actor", func(o *proto.NodeOrder) bool { return o.GetStartActor() != nil }).GetStartActor()
	n.actorIs(order.Actor.Id, 1, proto.ActorReport_ALIVE)
	cluster, token := h.ClusterID(), h.Token()
	n.hangUp()
	stopHead(t, h)

	h = startHead(t, dir)
	if h.ClusterID() != cluster || h.Token() != token {
		t.Fatal("it's another cluster")
	}
	n.err = nil
	n.register(h)
	n.connect(&proto.NodeReport{Jobs: []uint32{job, 77}, Actors: []*proto.ActorRef{
		{Id: actorID(1), Incarnation: 1}, {Id: actorID(2), Incarnation: 1},
	}})
	n.await("the end of what nobody knows", func(o *proto.NodeOrder) bool { return o.GetJobEnded().GetJob() == 77 })
	n.await("the end of an actor that nobody knows", func(o *proto.NodeOrder) bool {
		return string(o.GetStopActor().GetId()) == string(actorID(2))
	})
	if r, err := n.control.GetKey(t.Context(), &proto.GetKeyRequest{Key: "k"}); err != nil || string(r.Value) != "v" {
		t.Errorf("key: %v, %v", r, err)
	}
	a, err := n.control.FindActor(t.Context(), &proto.FindActorRequest{Name: "counter"})
	if err != nil || a.State != proto.ActorInfo_ALIVE || a.Node != n.id {
		t.Errorf("actor: %v, %v", a, err)
	}
	if j := h.job("one"); j.Status != "RUNNING" || j.Node != n.id {
		t.Errorf("job: %+v", j)
	}
}

// TestMissingAfterRestart: what a node doesn't run any more has ended.
func TestMissingAfterRestart(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 2)
	n.connect(nil)
	job := submit(t, h, "one", n)
	l := h.leader
	l.mu.Lock()
	l.missing = append(l.missing, missing{node: n.id, job: job})
	l.mu.Unlock()
	eventually(t, "the job fails", func() bool { return h.job("one").Status == "FAILED" })
}

func TestGarbageOnThePorts(t *testing.T) {
	h := startHead(t, t.TempDir())
	for _, address := range []string{h.Address(), h.HTTPAddress()} {
		for _, garbage := range []string{"", "\x00\x01\x02", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("A", 100_000)} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte(garbage))
			defer c.Close()
		}
	}
	newNode(t, h, 1)
}

func TestSnapshotAndRestart(t *testing.T) {
	dir := t.TempDir()
	h := startHead(t, dir)
	n := newNode(t, h, 1)
	for i := range 50 {
		if _, err := n.control.PutKey(t.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.consensus.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.control.PutKey(t.Context(), &proto.PutKeyRequest{Key: "after"}); err != nil {
		t.Fatal(err)
	}
	stopHead(t, h)
	h = startHead(t, dir)
	n.register(h)
	r, err := n.control.ListKeys(t.Context(), &proto.ListKeysRequest{})
	if err != nil || len(r.Keys) != 51 {
		t.Errorf("%d keys, %v", len(r.GetKeys()), err)
	}
}

// TestCloseEndsWaits: nobody hangs on a head that closes.
func TestCloseEndsWaits(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 0)
	n.connect(nil)
	job := driverJob(t, n)
	create(t, n, &proto.ActorSpec{Id: actorID(1), Job: job, Resources: cpus(1)})
	got := make(chan error, 1)
	go func() {
		_, err := n.control.WaitActor(context.Background(), &proto.WaitActorRequest{Id: actorID(1)})
		got <- err
	}()
	eventually(t, "the call waits", func() bool {
		h.replica.watch.mu.Lock()
		defer h.replica.watch.mu.Unlock()
		return h.replica.watch.m[string(actorID(1))] != nil
	})
	stopHead(t, h)
	if err := <-got; status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

// BenchmarkStart measures Start, of a new cluster and of one that exists.
func BenchmarkStart(b *testing.B) {
	run := func(b *testing.B, dir func() string) {
		for b.Loop() {
			h, err := Start(b.Context(), Config{DataDir: dir()})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			stopHead(b, h)
			b.StartTimer()
		}
	}
	b.Run("new", func(b *testing.B) { run(b, b.TempDir) })
	b.Run("again", func(b *testing.B) {
		dir := b.TempDir()
		run(b, func() string { return dir })
	})
}

// TestDataDirWithoutAuthority: of a gray that didn't keep it beside the log.
func TestDataDirWithoutAuthority(t *testing.T) {
	dir := t.TempDir()
	h := startHead(t, dir)
	token := h.Token()
	stopHead(t, h)
	if err := os.Remove(filepath.Join(dir, authorityFile)); err != nil {
		t.Fatal(err)
	}
	h = startHead(t, dir)
	if h.Token() != token {
		t.Errorf("the token was %s, is %s", token, h.Token())
	}
	if ca, err := h.dir.authority(); err != nil || ca == nil {
		t.Errorf("authority: %v", err)
	}
	join(t, h.Address(), token)
}
