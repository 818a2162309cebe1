package head

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

// Config says where a head keeps its data and where it listens.
type Config struct {
	DataDir  string   // made with mode 0700
	IP       string   // that others reach this head at; 127.0.0.1 if empty
	Port     int      // control; 0: any that is free
	HTTPPort int      // on loopback; 0: any that is free, -1: none
	Join     []string // control addresses of heads: a new data dir is to be of their cluster
	Token    string   // of that cluster
	Logger   *slog.Logger
	LogFile  string // that Logger writes, for those who want to read it; empty: none
	Version  string

	// AllowedHosts are names besides localhost by which browsers may ask for the HTTP
	// port: those of proxies before it.
	AllowedHosts []string

	commands uint32 // newest version of commands that this head pretends to know; 0: fsm.Version
}

// Head is a running head. Its methods may be called from any goroutine.
type Head struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	dir       *dataDir
	saved     dirInfo                   // what the data dir says before Raft runs
	joining   atomic.Bool               // this head hasn't been added yet
	upToDate  atomic.Pointer[time.Time] // when this head had all that was committed, the last time that it asked
	replica   *replica
	consensus *consensus
	standing  *standing
	leader    *leader
	packages  *packageStore
	nodes     *clients[uint32]
	heads     *clients[string] // by control address
	broken    chan struct{}    // a connection of another head has ended
	trend     trend

	instruments *instruments
	drawers     chan struct{} // has a word for each timeline that is being made

	ca       *pki.Authority
	identity *pki.Identity

	control net.Listener
	plain   net.Listener // nil: no HTTP port
	mux     *pki.Mux
	grpc    *grpc.Server
	https   *http.Server
	http    *http.Server

	codes    signInCodes
	tails    gate // WebSockets
	hints    hints
	rates    rates
	events   events
	ctx      context.Context
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup
	done     chan struct{}
	ending   sync.Once
	closing  sync.Once
	closeErr error
}

// Start opens the data dir, joins or goes on with its cluster, and serves. An
// empty data dir becomes a new cluster, or a member of the one that cfg.Join
// names. It returns when there is a leader that this head follows or is; a member
// of several whose majority isn't there doesn't wait for long (Waiting). It fails
// with ErrBadDataDir, ErrRemoved, *InUseError, *ListenError, *JoinError and others.
func Start(ctx context.Context, cfg Config) (*Head, error) {
	if cfg.IP == "" {
		cfg.IP = "127.0.0.1"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.commands == 0 {
		cfg.commands = fsm.Version
	}
	h := &Head{
		cfg: cfg, log: cfg.Logger, started: time.Now(), done: make(chan struct{}), broken: make(chan struct{}, 1),
		drawers: make(chan struct{}, maxDrawers),
	}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	h.standing = newStanding(h.ctx)
	if err := h.start(ctx); err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		h.stopServing(ended)
		h.release()
		return nil, err
	}
	h.log.Info("head started", "address", h.Address(), "http", h.HTTPAddress(), "cluster", h.ClusterID(),
		"data", h.dir.path, "took", time.Since(h.started))
	return h, nil
}

func (h *Head) start(ctx context.Context) error {
	var err error
	if h.dir, err = openDataDir(h.cfg.DataDir); err != nil {
		return err
	}
	if err := h.listen(); err != nil {
		return err
	}
	if err := h.admit(ctx); err != nil {
		return err
	}
	h.log = h.log.With("self", h.dir.info.Head)
	h.saved = h.dir.info
	h.joining.Store(len(h.saved.Join) > 0)
	h.packages = newPackageStore(h.dir.packages())
	h.replica = newReplica(h.cfg.commands, h.standing.poke, h.fail)
	h.replica.tell = func(list []*proto.Event) {
		for _, e := range list {
			h.events.add(e)
		}
	}
	h.leader = newLeader(h)
	s := newStreams(h.control.Addr(), h.lostStream)
	if h.consensus, err = startConsensus(h.dir, h.replica, s, !h.joining.Load(), h.log); err != nil {
		return err
	}
	h.instruments = newInstruments(h)
	h.spawn(h.watchLeadership)
	if h.ca == nil {
		if err := h.adopt(ctx); err != nil {
			return err
		}
	}
	if err := h.certify(); err != nil {
		return err
	}
	h.nodes = newClients[uint32](h.identity.ClientTLS(rpc.Protocol))
	h.heads = newClients[string](h.identity.HeadTLS(rpc.Protocol))
	h.serve()
	s.open(h.identity, h.mux.Listener(protocolRaft))
	h.spawn(func() { h.leader.run(h.ctx) })
	h.spawn(h.watchLeader)
	h.spawn(func() { h.whileLeading(h.renewLeases) })
	h.spawn(h.tendMembers)
	h.spawn(h.watchAge)
	h.spawn(h.watchMembership)
	h.spawn(h.renewCertificate)
	h.spawn(h.keepTrend)
	if h.consensus.alone() {
		h.consensus.campaign()
	}
	if err := h.enter(ctx); err != nil {
		return err
	}
	if err := h.awaitCluster(ctx); err != nil {
		return err
	}
	h.spawn(h.keepPackages)
	return nil
}

// lostStream notes that a connection of another head has ended.
func (h *Head) lostStream() { wake(h.broken) }

// listen takes the ports, before anything is slow.
func (h *Head) listen() error {
	address := net.JoinHostPort(h.cfg.IP, strconv.Itoa(h.cfg.Port))
	var err error
	if h.control, err = net.Listen("tcp", address); err != nil {
		return &ListenError{What: "control", Address: address, Flag: "--port", Err: err}
	}
	if h.cfg.HTTPPort < 0 {
		return nil
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(h.cfg.HTTPPort))
	if h.plain, err = net.Listen("tcp", address); err != nil {
		return &ListenError{What: "HTTP", Address: address, Flag: "--http-port", Err: err}
	}
	return nil
}

// Address returns the control address.
func (h *Head) Address() string { return h.control.Addr().String() }

// HTTPAddress returns where plain HTTP is served, or "".
func (h *Head) HTTPAddress() string {
	if h.plain == nil {
		return ""
	}
	return h.plain.Addr().String()
}

// Heads returns the control addresses of all heads, the leader's first.
func (h *Head) Heads() []string { return h.consensus.addresses() }

// Done is closed when the head has ended, by Close or by itself.
func (h *Head) Done() <-chan struct{} { return h.done }

// Err returns why the head ended by itself; nil before that and after Close.
func (h *Head) Err() error {
	if err := context.Cause(h.ctx); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

// fail ends a head that can't go on. Its owner calls Close.
func (h *Head) fail(err error) {
	h.log.Error("the head can't go on", "error", err)
	h.cancel(err)
	h.ending.Do(func() { close(h.done) })
}

// Close ends the head: it stops listening, ends sessions, and closes the log. If
// ctx ends before requests in flight do, they're cut off.
func (h *Head) Close(ctx context.Context) error {
	h.closing.Do(func() {
		if h.consensus != nil {
			if err := h.consensus.handOver(); err != nil {
				h.log.Warn("the lead wasn't handed over", "error", err)
			}
		}
		h.cancel(ErrClosed)
		h.stopServing(ctx)
		h.closeErr = h.release()
		h.ending.Do(func() { close(h.done) })
	})
	return h.closeErr
}

// release gives everything back, whatever of it there is.
func (h *Head) release() error {
	h.cancel(ErrClosed)
	var errs []error
	if h.control != nil && h.mux == nil {
		h.control.Close()
	}
	if h.plain != nil && h.http == nil {
		h.plain.Close()
	}
	if h.leader != nil {
		h.leader.end(ErrClosed)
	}
	h.wg.Wait()
	if h.nodes != nil {
		h.nodes.close()
		h.heads.close()
	}
	if h.consensus != nil {
		errs = append(errs, h.consensus.close())
	}
	if h.dir != nil {
		h.dir.close()
	}
	return errors.Join(errs...)
}

// spawn runs f in a goroutine that Close waits for.
func (h *Head) spawn(f func()) { h.wg.Go(f) }

// now is the time that goes into commands.
func now() int64 { return time.Now().UnixMilli() }

// command wraps a body that its effect makes harmless to repeat.
func (h *Head) command(body fsm.Body) *fsm.Command {
	return &fsm.Command{Version: h.replica.version(), TimeMs: now(), Body: body}
}
