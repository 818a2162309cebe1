package head

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/head/fsm"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pki"
)

// Config says where a head keeps its data and where it listens.
type Config struct {
	DataDir  string // made with mode 0700
	IP       string // that others reach this head at; 127.0.0.1 if empty
	Port     int    // control; 0: any that is free
	HTTPPort int    // on loopback; 0: any that is free, -1: none
	Logger   *slog.Logger
	Version  string
}

// Head is a running head. Its methods may be called from any goroutine.
type Head struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	dir       *dataDir
	replica   *replica
	consensus *consensus
	leader    *leader
	packages  *packageStore
	nodes     *nodeClients

	cluster  ids.ClusterID
	token    pki.Token
	ca       *pki.Authority
	identity *pki.Identity

	control net.Listener
	plain   net.Listener // nil: no HTTP port
	mux     *pki.Mux
	grpc    *grpc.Server
	https   *http.Server
	http    *http.Server

	tails    gate // WebSockets
	ctx      context.Context
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup
	done     chan struct{}
	ending   sync.Once
	closing  sync.Once
	closeErr error
}

// Start opens the data dir, leads, and serves. An empty data dir becomes a new
// cluster. It fails with ErrBadDataDir, *InUseError, *ListenError and others.
func Start(ctx context.Context, cfg Config) (*Head, error) {
	if cfg.IP == "" {
		cfg.IP = "127.0.0.1"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Head{cfg: cfg, log: cfg.Logger, started: time.Now(), done: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	if err := h.start(ctx); err != nil {
		h.release()
		return nil, err
	}
	h.log.Info("head started", "address", h.Address(), "http", h.HTTPAddress(), "cluster", h.cluster,
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
	h.packages = newPackageStore(h.dir.packages())
	h.replica = newReplica(h.fail)
	h.leader = newLeader(h)
	if h.consensus, err = startConsensus(h.dir, h.replica, h.log); err != nil {
		return err
	}
	if err := h.consensus.lead(ctx); err != nil {
		return err
	}
	if err := h.identify(); err != nil {
		return err
	}
	h.nodes = newNodeClients(h.identity)
	h.sweepPackages()
	h.leader.begin()
	h.spawn(func() { h.leader.run(h.ctx) })
	h.spawn(h.watchLeadership)
	h.spawn(h.renewCertificate)
	h.serve()
	return nil
}

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

// identify takes the cluster's identity out of the state; a new cluster gets one.
func (h *Head) identify() error {
	cluster, authority, token := h.identityInState()
	if cluster == 0 {
		if old := h.dir.info.Cluster; old != "" {
			return fmt.Errorf("%w: %s belongs to cluster %s, but its Raft log is gone", ErrBadDataDir, h.dir.path, old)
		}
		if err := h.found(); err != nil {
			return err
		}
		cluster, authority, token = h.identityInState()
	}
	h.cluster = ids.ClusterID(cluster)
	if err := h.dir.claim(h.cluster.String()); err != nil {
		return err
	}
	var err error
	if h.token, err = pki.ParseToken(token); err != nil {
		return fmt.Errorf("the cluster's token: %w", err)
	}
	if h.ca, err = pki.ParseAuthority(authority); err != nil {
		return fmt.Errorf("the cluster's authority: %w", err)
	}
	return h.certify()
}

func (h *Head) identityInState() (cluster uint32, authority []byte, token string) {
	h.replica.read(func(s *fsm.State) { cluster, authority, token = s.Identity() })
	return cluster, authority, token
}

// found gives a new cluster its identity.
func (h *Head) found() error {
	ca, err := pki.NewAuthority()
	if err != nil {
		return err
	}
	var number [4]byte
	rand.Read(number[:])
	cmd := &fsm.Init{Cluster: max(1, binary.LittleEndian.Uint32(number[:])), Authority: ca.Marshal(), Token: ca.NewToken().String()}
	r, err := h.consensus.apply(h.command(&fsm.Command_Init{Init: cmd}))
	if err != nil {
		return err
	}
	return resultError(r)
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

// Token returns the token that admits to the cluster.
func (h *Head) Token() pki.Token { return h.token }

// ClusterID returns the cluster's number.
func (h *Head) ClusterID() ids.ClusterID { return h.cluster }

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

// headAddresses are the control addresses of all heads.
func (h *Head) headAddresses() []string { return []string{h.Address()} }

// now is the time that goes into commands.
func now() int64 { return time.Now().UnixMilli() }

// command wraps a body that its effect makes harmless to repeat.
func (h *Head) command(body fsm.Body) *fsm.Command {
	return &fsm.Command{TimeMs: now(), Body: body}
}
