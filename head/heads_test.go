package head

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

// startHeads starts a cluster of n heads with a vote each, the first of them leading.
func startHeads(t testing.TB, n int) []*Head {
	t.Helper()
	return startHeadsWith(t, n, Config{Version: "test"})
}

func startHeadsWith(t testing.TB, n int, cfg Config) []*Head {
	t.Helper()
	var heads []*Head
	for range n {
		cfg.DataDir = t.TempDir()
		heads = append(heads, startWith(t, cfg))
		eventually(t, "the new head has a vote", heads[len(heads)-1].consensus.voter)
		cfg.Join, cfg.Token = []string{heads[0].Address()}, heads[0].Token().String()
	}
	return heads
}

func startWith(t testing.TB, cfg Config) *Head {
	t.Helper()
	h, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopHead(t, h) })
	return h
}

// joinHead adds a head and waits until it has a vote.
func joinHead(t testing.TB, to *Head, dir string) *Head {
	t.Helper()
	h := startWith(t, Config{DataDir: dir, Version: "test", Join: []string{to.Address()}, Token: to.Token().String()})
	eventually(t, "the new head has a vote", h.consensus.voter)
	return h
}

func (h *Head) isLeader() bool {
	leads, _, _ := h.standing.get()
	return leads
}

// leaderOf waits for one of the heads to lead.
func leaderOf(t testing.TB, heads []*Head) *Head {
	t.Helper()
	var leader *Head
	eventually(t, "a head leads", func() bool {
		i := slices.IndexFunc(heads, (*Head).isLeader)
		if i >= 0 {
			leader = heads[i]
		}
		return i >= 0
	})
	return leader
}

// control calls one head as a node does.
func control(t testing.TB, h *Head) proto.ControlClient {
	t.Helper()
	id := join(t, h.Address(), h.Token())
	return proto.NewControlClient(dial(t, h.Address(), id.ClientTLS("h2")))
}

func TestAnyHeadAnswers(t *testing.T) {
	heads := startHeads(t, 3)
	for i, h := range heads {
		key, trailer := fmt.Sprint("k", i), metadata.MD{}
		if _, err := control(t, h).PutKey(t.Context(), &proto.PutKeyRequest{Key: key, Value: []byte("v")}, grpc.Trailer(&trailer)); err != nil {
			t.Fatal(err)
		}
		if leader := trailer.Get(proto.LeaderKey); !h.isLeader() && (len(leader) != 1 || leader[0] != leaderOf(t, heads).Address()) {
			t.Errorf("head %d names the leader %q", i, leader)
		}
		for _, other := range heads {
			if r, err := control(t, other).GetKey(t.Context(), &proto.GetKeyRequest{Key: key}); err != nil || !r.Found {
				t.Errorf("%v, %v", r, err)
			}
		}
		c := client(t, h)
		if err := c.PutPackage(t.Context(), fmt.Sprint("p", i), strings.NewReader("content"+key), 9); err != nil {
			t.Fatal(err)
		}
		job, err := c.Submit(t.Context(), api.JobSubmitRequest{Entrypoint: "true"})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := client(t, heads[(i+1)%3]).Job(t.Context(), job.SubmissionID); err != nil || d.Status != "PENDING" {
			t.Errorf("%+v, %v", d, err)
		}
	}
	for i, h := range heads {
		eventually(t, "all packages are on all heads", func() bool {
			entries, err := os.ReadDir(h.dir.packages())
			return err == nil && len(entries) == 3
		})
		if s, err := client(t, h).Status(t.Context()); err != nil || len(s.Heads) != 3 {
			t.Errorf("head %d: %+v, %v", i, s, err)
		}
	}
}

func TestLeadIsTransferred(t *testing.T) {
	heads := startHeads(t, 3)
	follower := heads[2]
	if err := follower.transfer(t.Context(), follower.dir.info.Head); status.Code(err) != codes.Unavailable {
		t.Errorf("by a head that doesn't lead: %v", err)
	}
	if err := heads[0].transfer(t.Context(), follower.dir.info.Head); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other head leads", follower.isLeader)
	if _, err := control(t, heads[0]).PutKey(t.Context(), &proto.PutKeyRequest{Key: "k"}); err != nil {
		t.Error(err)
	}
	for _, h := range []*Head{heads[1], heads[0], heads[1]} { // asked of each, whoever leads
		to, err := client(t, heads[0]).TransferHead(t.Context(), h.dir.info.Head)
		if err != nil || to.ID != h.dir.info.Head || to.Address != h.Address() {
			t.Fatalf("%+v, %v", to, err)
		}
		eventually(t, "it leads", h.isLeader)
	}
	if err := heads[1].transfer(t.Context(), follower.dir.info.Head); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other head leads again", follower.isLeader)
	stopHead(t, follower) // it hands over
	leaderOf(t, heads[:2])
	if _, err := control(t, heads[0]).PutKey(t.Context(), &proto.PutKeyRequest{Key: "k"}); err != nil {
		t.Error(err)
	}
}

func TestHeadIsRemoved(t *testing.T) {
	heads := startHeads(t, 3)
	for _, id := range []string{heads[2].dir.info.Head, "head-x"} {
		err := heads[0].removeHead(t.Context(), id)
		if want := codes.OK; id == "head-x" && status.Code(err) != codes.NotFound || id != "head-x" && status.Code(err) != want {
			t.Fatalf("%s: %v", id, err)
		}
	}
	<-heads[2].Done()
	if err := heads[2].Err(); err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("the removed head ended with %v", err)
	}
	dir := heads[2].dir.path
	stopHead(t, heads[2])
	if _, err := Start(t.Context(), Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("the removed head starts again: %v", err)
	}
	heads[2] = joinHead(t, heads[1], t.TempDir())

	// Without the second, the third would be the only one that answers.
	stopHead(t, heads[1])
	leader := leaderOf(t, []*Head{heads[0], heads[2]})
	err := leader.removeHead(t.Context(), heads[0].dir.info.Head)
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "no majority") {
		t.Errorf("removal of one of two that answer: %v", err)
	}
	if err := leader.removeHead(t.Context(), heads[1].dir.info.Head); err != nil {
		t.Errorf("removal of one that doesn't answer: %v", err)
	}
	if n := len(leader.consensus.members()); n != 2 {
		t.Errorf("%d members", n)
	}
}

func TestHeadMovesAndCatchesUp(t *testing.T) {
	heads := startHeads(t, 3)
	dir := heads[2].dir.path
	stopHead(t, heads[2])
	for i := range 20 {
		if _, err := control(t, heads[0]).PutKey(t.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := heads[0].consensus.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	h := startHead(t, dir) // at another port
	eventually(t, "it has what it missed", func() bool {
		return h.consensus.raft.AppliedIndex() == heads[0].consensus.raft.AppliedIndex()
	})
	if m := heads[0].consensus.member(h.consensus.self); m == nil || m.Suffrage != raft.Voter || string(m.Address) != h.Address() {
		t.Errorf("member: %+v, it is at %s", m, h.Address())
	}
}

func TestWrongToken(t *testing.T) {
	h, other := startHead(t, t.TempDir()), startHead(t, t.TempDir())
	for _, token := range []string{other.Token().String(), "gray_x"} {
		if _, err := Start(t.Context(), Config{DataDir: t.TempDir(), Join: []string{h.Address()}, Token: token}); err == nil {
			t.Errorf("joined with token %s", token)
		}
	}
}

// TestRollingUpgrade: heads that know newer commands replace older ones, one by
// one. Newer commands come only when all know them.
func TestRollingUpgrade(t *testing.T) {
	heads := startHeadsWith(t, 3, Config{commands: 1})
	for i, h := range heads {
		dir := h.dir.path
		stopHead(t, h)
		heads[i] = startWith(t, Config{DataDir: dir})
		leader := leaderOf(t, heads)
		r, err := control(t, heads[i]).PutKey(t.Context(), &proto.PutKeyRequest{Key: fmt.Sprint(i), Keep: true})
		if err != nil || r.Existed {
			t.Fatalf("%v, %v", r, err)
		}
		if v := leader.replica.version(); i < 2 && v != 1 {
			t.Errorf("version %d with %d old heads", v, 2-i)
		}
	}
	for _, h := range heads {
		eventually(t, "the version is raised everywhere", func() bool { return h.replica.version() == fsm.Version })
	}
	if _, err := Start(t.Context(), Config{DataDir: t.TempDir(), Join: []string{heads[0].Address()}, Token: heads[0].Token().String(), commands: 1}); err == nil || !strings.Contains(err.Error(), "upgrade it") {
		t.Errorf("an old head joins: %v", err)
	}
}

// TestMinority: a head that is left alone refuses writes, and answers reads only
// to those who take what it has.
func TestMinority(t *testing.T) {
	heads := startHeads(t, 3)
	c := control(t, heads[2])
	if _, err := c.PutKey(t.Context(), &proto.PutKeyRequest{Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, heads[0]).Submit(t.Context(), api.JobSubmitRequest{Entrypoint: "true", SubmissionID: "one"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have it", func() bool { return heads[2].job("one") != nil })
	stopHead(t, heads[0])
	stopHead(t, heads[1])
	// Each of the refusals takes as long as a leader is waited for.
	var refusals sync.WaitGroup
	refusals.Go(func() {
		_, err := c.PutKey(t.Context(), &proto.PutKeyRequest{Key: "k"})
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no head leads") {
			t.Errorf("a write: %v", err)
		}
	})
	refusals.Go(func() {
		if _, err := c.GetKey(t.Context(), &proto.GetKeyRequest{Key: "k"}); status.Code(err) != codes.Unavailable {
			t.Errorf("a read: %v", err)
		}
	})
	for _, r := range [][3]string{{"GET", "/api/jobs/one", ""}, {"POST", "/api/jobs/", `{"entrypoint":"true"}`}} {
		refusals.Go(func() {
			if code, text := rest(t, heads[2], r[0], r[1], r[2], nil); code != http.StatusServiceUnavailable {
				t.Errorf("%v: %d %s", r, code, text)
			}
		})
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), proto.StaleKey, "1")
	if r, err := c.GetKey(ctx, &proto.GetKeyRequest{Key: "k"}); err != nil || string(r.Value) != "v" {
		t.Errorf("a stale read: %v, %v", r, err)
	}
	if code, text := rest(t, heads[2], "GET", "/api/jobs/one?stale=true", "", nil); code != http.StatusOK || !strings.Contains(text, "PENDING") {
		t.Errorf("a stale read by REST: %d %s", code, text)
	}
	refusals.Wait()
}

// TestMissingPackage: that nobody has a package can be said only when all were asked.
func TestMissingPackage(t *testing.T) {
	heads := startHeads(t, 3)
	sum := sumOf("nobody's")
	if err := heads[0].obtain(t.Context(), sum); status.Code(err) != codes.Internal {
		t.Errorf("all heads were asked: %v", err)
	}
	stopHead(t, heads[2])
	if err := heads[0].obtain(t.Context(), sum); status.Code(err) != codes.Unavailable {
		t.Errorf("one head wasn't asked: %v", err)
	}
}

// TestLogOfAnyHead: whichever is asked finds the log of each, by its id or the beginning of it.
func TestLogOfAnyHead(t *testing.T) {
	heads := startHeads(t, 3)
	for i, h := range heads {
		h.cfg.LogFile = filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(h.cfg.LogFile, fmt.Appendf(nil, "first\nhead %d speaks\n", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, h := range heads {
		want := fmt.Sprintf("head %d speaks\n", i)
		for _, other := range heads {
			for _, name := range []string{h.dir.info.Head, h.dir.info.Head[:len(h.dir.info.Head)-1]} {
				if got := scrape(t, other, "/api/v0/logs/file?lines=1&node_id="+name); got != want {
					t.Errorf("the log of %s is %q, want %q", name, got, want)
				}
			}
			if got := scrape(t, other, "/api/v0/logs/file?node_id="+h.dir.info.Head); got != "first\n"+want {
				t.Errorf("the whole log of head %d is %q", i, got)
			}
		}
	}
	leader := leaderOf(t, heads)
	leads := slices.Index(heads, leader)
	if got, want := scrape(t, leader, "/api/v0/logs/file?lines=1&node_id=head"), fmt.Sprintf("head %d speaks\n", leads); got != want {
		t.Errorf("the log of the head that leads is %q, want %q", got, want)
	}
}
