package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxHeads bounds the heads that a node knows.
	maxHeads = 16
	// retryMost is the longest pause before heads are asked again: what a
	// failover costs beyond the election.
	retryMost = 250 * time.Millisecond
	// connectTimeout is how long a head may take to accept a connection: one that
	// hangs keeps callers from the others for so long.
	connectTimeout = 2 * time.Second
)

// headClient is the node's way to the heads, a grpc.ClientConnInterface. Any head
// answers a call. The leader is asked first if it's known, then the others, each
// at most once; a call with WaitForReady goes round until its context ends.
type headClient struct {
	tls     *tls.Config
	given   string // stays known
	control proto.ControlClient
	closing sync.WaitGroup // connections

	mu     sync.Mutex
	named  []string // as the heads name themselves, sorted
	order  []string // all that are known, the most promising first
	lines  map[string]*line
	closed bool
}

var _ grpc.ClientConnInterface = (*headClient)(nil)

// newHeadClient makes a client that connects when it's used; more are heads that
// are known until the cluster says which there are.
func newHeadClient(cfg *tls.Config, address string, more ...string) *headClient {
	h := &headClient{tls: cfg, given: address, lines: map[string]*line{}}
	h.order = h.known(more)
	h.control = proto.NewControlClient(h)
	return h
}

// known is the given head and the others.
func (h *headClient) known(others []string) []string {
	all := []string{h.given}
	for _, a := range others {
		if a != "" && !slices.Contains(all, a) && len(all) < maxHeads {
			all = append(all, a)
		}
	}
	return all
}

// learn takes the addresses of the cluster's heads, and says whether they are
// others than before. The one given at the start stays: heads may name themselves
// by what can't be reached from here.
func (h *headClient) learn(addresses []string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	named := slices.Sorted(slices.Values(addresses))
	if len(named) == 0 || slices.Equal(named, h.named) {
		return false
	}
	h.named = named
	known := h.known(named)
	gone := func(a string) bool { return !slices.Contains(known, a) }
	h.order = slices.DeleteFunc(h.order, gone)
	for _, a := range known {
		if !slices.Contains(h.order, a) {
			h.order = append(h.order, a)
		}
	}
	for a, l := range h.lines {
		if gone(a) && l.users == 0 {
			h.dropLocked(l)
		}
	}
	return true
}

// heads are the cluster's, as they name themselves.
func (h *headClient) heads() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.named) == 0 {
		return []string{h.given}
	}
	return slices.Clone(h.named)
}

// prefer has a head asked first.
func (h *headClient) prefer(address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.order, address)
	switch {
	case i >= 0:
		h.order = slices.Delete(h.order, i, i+1)
	case len(h.order) >= maxHeads:
		return
	}
	h.order = slices.Insert(h.order, 0, address)
}

// demoteLocked has a head asked last.
func (h *headClient) demoteLocked(address string) {
	if i := slices.Index(h.order, address); i >= 0 {
		h.order = append(slices.Delete(h.order, i, i+1), address)
	}
}

// away reports whether no head accepts connections.
func (h *headClient) away() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !slices.ContainsFunc(h.order, func(a string) bool {
		l := h.lines[a]
		return l == nil || l.conn.GetState() != connectivity.TransientFailure
	})
}

// Invoke calls a method of Control.
func (h *headClient) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return h.goRound(ctx, opts, func(l *line, opts []grpc.CallOption) error {
		return l.Invoke(ctx, method, args, reply, opts...)
	})
}

// NewStream opens a stream to the first head that can be reached. What happens to
// the stream later is its user's to deal with.
func (h *headClient) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (s grpc.ClientStream, err error) {
	err = h.goRound(ctx, opts, func(l *line, opts []grpc.CallOption) (err error) {
		s, err = l.NewStream(ctx, desc, method, opts...)
		return err
	})
	return s, err
}

// goRound has do try one head after the other until one answers.
func (h *headClient) goRound(ctx context.Context, opts []grpc.CallOption, do func(*line, []grpc.CallOption) error) error {
	patient := false
	for _, o := range opts {
		if f, ok := o.(grpc.FailFastCallOption); ok {
			patient = !f.FailFast
		}
	}
	opts = append(slices.Clip(opts), grpc.WaitForReady(false)) // never on one dead head
	once := func() (err error) {
		for tried := []string(nil); ; {
			l, terr := h.take(tried)
			switch {
			case terr != nil:
				return terr
			case l == nil:
				return err
			}
			tried = append(tried, l.address)
			err = do(l, opts)
			h.release(l)
			if !mayRetry(err) {
				return err
			}
		}
	}
	if patient {
		return retry(ctx, once)
	}
	return once()
}

// line is the connection to one head, also a grpc.ClientConnInterface.
type line struct {
	h       *headClient
	address string
	conn    *grpc.ClientConn
	ctx     context.Context // ends when the line is given up
	cancel  context.CancelFunc
	users   int // guarded by headClient.mu
}

// take returns the line to the most promising head but those that were tried, or
// nil. Release it.
func (h *headClient) take(tried []string) (*line, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	i := slices.IndexFunc(h.order, func(a string) bool { return !slices.Contains(tried, a) })
	if i < 0 {
		return nil, nil
	}
	address := h.order[i]
	l := h.lines[address]
	if l == nil {
		conn, err := rpc.Dial("passthrough:///"+address, h.tls, grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: rpc.RetryFirst, Multiplier: 1.6, Jitter: 0.2, MaxDelay: retryMost},
			MinConnectTimeout: connectTimeout,
		}), grpc.WithIdleTimeout(time.Minute)) // or a head that is away for long would be dialled for ever
		if err != nil {
			return nil, fmt.Errorf("connect to the head at %s: %w", address, err)
		}
		l = &line{h: h, address: address, conn: conn}
		l.ctx, l.cancel = context.WithCancel(context.Background())
		h.lines[address] = l
	}
	l.users++
	return l, nil
}

func (h *headClient) release(l *line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.users--
	if l.users == 0 && !slices.Contains(h.order, l.address) {
		h.dropLocked(l)
	}
}

// abandon gives up the line to a head that hangs: what is under way on it goes to
// another head.
func (h *headClient) abandon(l *line) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.demoteLocked(l.address)
	h.dropLocked(l)
}

func (h *headClient) dropLocked(l *line) {
	if l.ctx.Err() != nil {
		return
	}
	l.cancel()
	delete(h.lines, l.address)
	h.closing.Go(func() { l.conn.Close() }) // takes seconds if the network is stuck
}

func (h *headClient) close() {
	h.mu.Lock()
	h.closed = true
	for _, l := range h.lines {
		h.dropLocked(l)
	}
	h.mu.Unlock()
	h.closing.Wait()
}

// bind returns a context that ends with the line, too.
func (l *line) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Invoke calls this head.
func (l *line) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	bound, stop := l.bind(ctx)
	defer stop()
	var trailer metadata.MD
	err := l.conn.Invoke(bound, method, args, reply, append(slices.Clip(opts), grpc.Trailer(&trailer))...)
	return l.heard(ctx, trailer, err)
}

// NewStream opens a stream to this head.
func (l *line) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := l.conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, l.heard(ctx, nil, err)
	}
	return s, nil
}

// heard learns from how a call ended who is to be asked next, and returns its
// error as the caller should see it.
func (l *line) heard(ctx context.Context, trailer metadata.MD, err error) error {
	if l.ctx.Err() != nil && ctx.Err() == nil && status.Code(err) == codes.Canceled {
		return status.Errorf(codes.Unavailable, "the connection to the head at %s was given up", l.address)
	}
	leader := leaderIn(trailer)
	switch {
	case leader != "":
		l.h.prefer(leader)
	case mayRetry(err) || timedOut(err):
		l.h.mu.Lock()
		l.h.demoteLocked(l.address)
		l.h.mu.Unlock()
	case status.Code(err) != codes.Canceled:
		l.h.prefer(l.address) // it didn't name another
	}
	return err
}

// leaderIn is the leader that a head which isn't it has named, if any.
func leaderIn(trailer metadata.MD) string {
	if v := trailer.Get(proto.LeaderKey); len(v) == 1 {
		return v[0]
	}
	return ""
}

// attempt bounds a call: a head that doesn't answer in time is as good as away.
func attempt(ctx context.Context, call func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	err := call(bounded)
	if err != nil && timedOut(err) && ctx.Err() == nil {
		return status.Errorf(codes.Unavailable, "no answer within %v", reportTimeout)
	}
	return err
}

// retry repeats do, with growing pauses, while no head or no leader answers.
func retry(ctx context.Context, do func() error) error {
	for wait := rpc.RetryFirst; ; wait = min(2*wait, retryMost) {
		err := do()
		if err == nil || !mayRetry(err) || !pause.For(ctx, wait) {
			return err
		}
	}
}

// mayRetry reports whether err says that the head is away or has no leader.
func mayRetry(err error) bool {
	return status.Code(err) == codes.Unavailable
}
