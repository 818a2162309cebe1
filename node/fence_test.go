package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/proto"
)

// fenced runs a fence whose lease is 4 s in a bubble.
type fenced struct {
	*fence
	began    time.Time
	headless atomic.Bool

	logMu sync.Mutex
	log   []string
}

func inBubble(t *testing.T, do func(f *fenced)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fenced{fence: newFence(), began: time.Now()}
		f.measure(4 * time.Second)
		note := func(what string) func() {
			return func() {
				f.logMu.Lock()
				defer f.logMu.Unlock()
				f.log = append(f.log, fmt.Sprint(what, " ", time.Since(f.began)))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.run(ctx, func(context.Context) bool { return f.headless.Load() }, note("up"), note("down"))
		}()
		do(f)
		cancel()
		<-done
	})
}

// after lets the bubble's time pass until so long after its beginning.
func (f *fenced) after(d time.Duration) {
	<-time.After(time.Until(f.began.Add(d)))
	synctest.Wait()
}

func (f *fenced) expect(t *testing.T, want string) {
	t.Helper()
	f.logMu.Lock()
	defer f.logMu.Unlock()
	if got := strings.Join(f.log, ", "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFenceFollowsTheLease(t *testing.T) {
	inBubble(t, func(f *fenced) {
		f.after(time.Minute)
		f.expect(t, "") // there's no lease to lose yet
		f.renew(f.began.Add(59 * time.Second))
		f.after(62 * time.Second)
		f.renew(f.began.Add(60 * time.Second))
		f.renew(f.began.Add(50 * time.Second)) // late
		f.after(70 * time.Second)
		f.expect(t, "up 1m3.5s")
		f.renew(f.began.Add(65 * time.Second)) // too old to be of use
		f.after(71 * time.Second)
		f.renew(f.began.Add(71 * time.Second))
		f.after(74 * time.Second)
		f.expect(t, "up 1m3.5s, down 1m11s")
	})
}

// TestNoFenceWithoutHeads: while a majority refuses, nobody is replaced; and who
// leads after that gives everybody a lease.
func TestNoFenceWithoutHeads(t *testing.T) {
	inBubble(t, func(f *fenced) {
		f.renew(f.began)
		f.headless.Store(true)
		f.after(10*time.Second - 1)
		f.headless.Store(false)
		f.after(13 * time.Second)
		f.expect(t, "")
		f.after(20 * time.Second)
		f.expect(t, "up 13.25s") // the last sweep without heads was at 9.75 s

		f.renew(f.began.Add(20 * time.Second))
		f.after(23 * time.Second)
		f.headless.Store(true)
		f.after(24 * time.Second)
		f.headless.Store(false) // so soon that the old leader may still lead
		f.after(30 * time.Second)
		f.expect(t, "up 13.25s, down 20s, up 24.25s")
		f.headless.Store(true)
		f.after(40 * time.Second)
		f.expect(t, "up 13.25s, down 20s, up 24.25s") // it may have been replaced before
	})
}

func TestHeadsWithoutLeasesFenceNobody(t *testing.T) {
	inBubble(t, func(f *fenced) {
		f.measure(0)
		f.renew(f.began)
		f.after(time.Minute)
		f.expect(t, "")
	})
}

// TestHeadless asks real addresses.
func TestHeadless(t *testing.T) {
	var open, closed []string
	for i := range 4 {
		listen, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if address := listen.Addr().String(); i%2 == 0 {
			open = append(open, address)
			defer listen.Close()
		} else {
			closed = append(closed, address)
			listen.Close()
		}
	}
	for _, tt := range []struct {
		heads []string
		want  bool
	}{
		{closed[:1], true},
		{open[:1], false},
		{[]string{open[0], closed[0], closed[1]}, true},
		{[]string{open[0], open[1], closed[0]}, false},
		{[]string{open[0], closed[0]}, false},
	} {
		if got := headless(t.Context(), tt.heads); got != tt.want {
			t.Errorf("%v: %v", tt.heads, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if headless(ctx, closed) {
		t.Error("who can't look knows nothing")
	}
}

func TestSentReports(t *testing.T) {
	s := newSentReports()
	for want := range uint64(maxUnanswered + 10) {
		if got := s.next(); got != want+1 {
			t.Fatalf("report %d is number %d", want+1, got)
		}
	}
	if _, ok := s.acknowledged(10); ok || len(s.at) != maxUnanswered {
		t.Errorf("%d reports are remembered", len(s.at))
	}
	if at, ok := s.acknowledged(100); !ok || at.IsZero() {
		t.Error("report 100 was never sent")
	}
	for _, number := range []uint64{0, 100, maxUnanswered + 11} {
		if _, ok := s.acknowledged(number); ok {
			t.Errorf("report %d is acknowledged", number)
		}
	}
	if _, ok := s.acknowledged(101); !ok {
		t.Error("report 101 was never sent")
	}
}

// sleeper makes a worker of two processes that only sleep.
func sleeper(t testing.TB, n *Node, j *job) *process {
	t.Helper()
	c, err := startChild(childSpec{path: "/bin/sh", argv: []string{"sh", "-c", "sleep 1000; true"}, dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.end(0)
		<-c.exited
	})
	until(t, "it sleeps", func() bool {
		name, err := os.ReadFile("/proc/" + strings.Join(children(c), "") + "/comm")
		return err == nil && string(name) == "sleep\n"
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.newProcessLocked(j, true)
	if err != nil {
		t.Fatal(err)
	}
	p.child = c
	return p
}

// host gives an actor a worker.
func (n *Node) host(t testing.TB, p *process) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.hostLocked(&ticket{job: p.job, hold: account.HoldID(0), actor: &actor{spec: &proto.ActorSpec{}, incarnation: 1}}, p) {
		t.Error("the actor gets no process")
	}
}

// children are the numbers of a process's own children.
func children(c *child) []string {
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", c.pid, c.pid))
	return strings.Fields(string(list))
}

// stopped reports whether the whole group of a process is in state T.
func stopped(t testing.TB, c *child) bool {
	t.Helper()
	for _, pid := range append(children(c), fmt.Sprint(c.pid)) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		if rest := stat[strings.LastIndexByte(string(stat), ')')+1:]; !strings.HasPrefix(string(rest), " T") {
			return false
		}
	}
	return true
}

// TestFenceStopsActors: also those that get their process just then; and they go
// on with the next lease.
func TestFenceStopsActors(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	n.head.learn([]string{listen.Addr().String()}) // a head that is there, and says nothing
	worker, acts, late := sleeper(t, n, p.job), sleeper(t, n, p.job), sleeper(t, n, p.job)
	n.host(t, acts)
	n.fence.measure(leaseMargin + time.Millisecond)
	n.spawn(n.keepFence)
	n.fence.renew(time.Now())
	until(t, "the actor is stopped", func() bool { return stopped(t, acts.child) })
	n.host(t, late)
	until(t, "the actor that comes late is stopped", func() bool { return stopped(t, late.child) })
	if stopped(t, worker.child) {
		t.Error("a worker of tasks is stopped")
	}

	useHeads(t, n, &fakeHead{answer: func(context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.fenced != nil {
			t.Error("a call passes the fence")
		}
		return nil
	}})
	answered := make(chan *proto.HeadResult, 1)
	go func() { answered <- n.headCall(t.Context(), p, &proto.HeadCall{Method: "GetKey"}) }()
	n.fence.measure(time.Hour)
	n.fence.renew(time.Now())
	until(t, "the actors go on", func() bool { return !stopped(t, acts.child) && !stopped(t, late.child) })
	if r := <-answered; r.Error != nil {
		t.Error(r.Error)
	}
}

// TestFencedProcessesEnd: at once, since they can't hear that they should.
func TestFencedProcessesEnd(t *testing.T) {
	n := lonely(t)
	p := join(t, n, 1)
	asked, killed := sleeper(t, n, p.job), sleeper(t, n, p.job)
	n.host(t, asked)
	n.host(t, killed)
	n.fenceIn()
	until(t, "both are stopped", func() bool { return stopped(t, asked.child) && stopped(t, killed.child) })
	asked.child.end(time.Hour)
	n.mu.Lock()
	killed.kill("its node ended")
	n.mu.Unlock()
	for _, c := range []*child{asked.child, killed.child} {
		<-c.exited
		if c.exit.signal != "killed" {
			t.Errorf("it %v", c.exit)
		}
	}
}
