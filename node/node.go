package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/node/account"
	"github.com/gray-runtime/gray/node/devices"
	"github.com/gray-runtime/gray/node/folders"
	"github.com/gray-runtime/gray/node/lend"
	"github.com/gray-runtime/gray/node/logs"
	"github.com/gray-runtime/gray/node/refs"
	"github.com/gray-runtime/gray/node/runs"
	"github.com/gray-runtime/gray/node/tally"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
	"github.com/gray-runtime/gray/objectstore/spill"
	"github.com/gray-runtime/gray/proto"
)

// Config says what a node is and has. Everything without a default must be set.
type Config struct {
	DataDir     string             // logs/, packages/ and work/ are made here, mode 0700
	RunDir      string             // for sockets, mode 0700; short: a socket's path has at most 104 bytes
	HeadAddress string             // HOST:PORT of a head
	Heads       []string           // more of them, to try when joining
	OnHeads     func([]string)     // if set, is told the heads' addresses when they change
	Token       pki.Token          // admits the node and authenticates the head
	IP          string             // that others reach this node at; 127.0.0.1 if empty
	Resources   map[string]float64 // in total: CPU, GPU, memory in bytes, and the cluster's own
	Labels      map[string]string
	StoreBytes  int64    // size of the object store's shared memory
	SpillDirs   []string // where objects go that have no room there; none: they stay
	IsHead      bool     // started together with a head

	// MemoryThreshold is the part of the memory that may be in use before tasks are killed:
	// of the machine's, or of a control group's. 0: they aren't for that.
	MemoryThreshold float64
	// MemoryLimit is how many bytes the jobs' processes here may have together, besides
	// the object store, before tasks are killed. 0: no matter how many.
	MemoryLimit int64

	// MetricsAddress is HOST:PORT where the node itself answers GET /metrics to those who
	// have the token: on loopback by HTTP, elsewhere by HTTPS with its certificate. "": nowhere.
	MetricsAddress string
	LogFile        string      // that Logger writes, for those who want to read it; empty: none
	Logs           logs.Limits // of those of processes that have ended

	Logger *slog.Logger
}

// Node is a running agent. Its methods may be called from any goroutine.
type Node struct {
	cfg      Config
	log      *slog.Logger
	started  time.Time
	pid      int
	hostname string
	instance string
	id       ids.NodeID
	cluster  ids.ClusterID
	address  string
	resume   bool // a session has begun before; the session's goroutine's
	fence    *fence
	requests *requests

	ctx       context.Context // ends when the node closes
	cancel    context.CancelCauseFunc
	reportCtx context.Context // ends last: what ended is still reported
	endReport context.CancelFunc
	done      chan struct{}
	doneOnce  sync.Once
	closeOnce sync.Once
	closeErr  error
	wg        sync.WaitGroup
	report    chan struct{} // the state has changed

	identity *pki.Identity
	head     *headClient
	peers    *peers
	packages *packages
	folders  *folders.Cache
	store    *objectstore.Store
	spill    *spill.Engine
	progress *progress
	spans    spans
	refs     *refs.Directory
	puller   *transfer.Puller
	streams  *transfer.Server
	deletes  *deletes
	local    net.Listener
	network  net.Listener
	mux      *pki.Mux // of network
	grpc     *grpc.Server
	scrapes  *metricsServer // nil: none
	tunnels  atomic.Int64
	tally    *tally.Book // of jobs' own metrics
	runs     *runs.Book

	instruments *instruments

	archive  *recordArchive
	events   events
	ending   atomic.Int64 // calls of ended under way
	reportMu sync.Mutex
	reports  map[reportKey][]func(context.Context) error

	mu          sync.Mutex
	closing     bool
	fenced      chan struct{} // not nil while the node has no lease, closed when it has
	processes   map[uint32]*process
	slots       map[uint32]bool // of the progress page, in use
	jobs        map[ids.JobID]*job
	endedJobs   recent[ids.JobID, struct{}]
	endedOwners recent[ids.ProcessID, struct{}]          // processes that ended with their job
	driverLogs  recent[ids.JobID, string]                // paths, of submitted jobs whose driver has ended
	past        recent[ids.ProcessID, *proto.WorkerInfo] // processes that have ended
	leases      map[uint64]*lease
	actors      map[ids.ActorID]*actor
	endedActors recent[ids.ActorID, *proto.ActorReport]
	book        *lend.Book
	ledger      *account.Ledger // the book's
	queue       *account.Queue  // the book's
	gpus        int             // devices that it gives out
	bundles     bundles
	groups      map[ids.GroupID]*group // that demands name
	hopeless    []*hopeless            // demands that are to fail
	lastBundle  int                    // that was asked for, so that they take turns
	view        *view
	lastProcess uint32
	lastLease   uint64
	notices     notices
	draining    *proto.Draining // nil: it stays
	departure   string          // why it leaves, if nobody stopped it
	reclaiming  bool            // a reclaim is due
	reclaimed   time.Time
	pressing    bool // processes were asked for room in the store just now
}

// Start joins the cluster and serves. It returns when the node is registered
// and accepts processes. An unreachable head is tried until ctx ends; a head
// that turns the node away makes it fail at once with a *JoinError.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	n, err := newNode(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.start(ctx); err != nil {
		n.release()
		return nil, err
	}
	return n, nil
}

func newNode(cfg Config) (*Node, error) {
	if cfg.IP == "" {
		cfg.IP = "127.0.0.1"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	total := account.Amounts{}
	for name, q := range cfg.Resources {
		if q < 0 || math.IsNaN(q) || q*account.Unit > math.MaxInt64/2 {
			return nil, fmt.Errorf("resource %s: %v isn't an amount", name, q)
		}
		total[name] = int64(math.Round(q * account.Unit))
	}
	var instance [16]byte
	rand.Read(instance[:])
	n := &Node{
		cfg: cfg, log: cfg.Logger, started: time.Now(), pid: os.Getpid(), instance: hex.EncodeToString(instance[:]),
		done: make(chan struct{}), report: make(chan struct{}, 1), reports: map[reportKey][]func(context.Context) error{},
		processes: map[uint32]*process{}, slots: map[uint32]bool{}, jobs: map[ids.JobID]*job{}, leases: map[uint64]*lease{},
		actors: map[ids.ActorID]*actor{}, view: &view{},
		book:    lend.NewBook(total, labelsOf(cfg.Labels, platform, nil)),
		bundles: newBundles(), groups: map[ids.GroupID]*group{}, notices: notices{},
		archive: newArchive(),
	}
	n.ledger, n.queue = n.book.Ledger, n.book.Queue
	n.gpus = devices.New(total[account.GPU]).Len()
	n.fence, n.requests = newFence(), newRequests(n.instance)
	n.hostname, _ = os.Hostname()
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.reportCtx, n.endReport = context.WithCancel(context.Background())
	n.deletes = &deletes{n: n, to: map[ids.NodeID]*deletion{}}
	n.tally, n.runs, n.instruments = tally.New(), runs.New(), newInstruments(n)
	return n, nil
}

// start brings the parts up, in the order in which they need each other.
func (n *Node) start(ctx context.Context) error {
	for _, dir := range []string{n.cfg.DataDir, filepath.Join(n.cfg.DataDir, "logs"), filepath.Join(n.cfg.DataDir, "packages"), n.cfg.RunDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the node's folders: %w", err)
		}
	}
	if err := n.checkClaim(); err != nil {
		return err
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	if err := n.claim(); err != nil {
		return err
	}
	var err error
	if n.store, err = objectstore.Open(objectstore.Config{Capacity: n.cfg.StoreBytes, OnEvict: n.spans.evicted}); err != nil {
		return fmt.Errorf("make the object store: %w", err)
	}
	if n.spill, err = spill.Open(spill.Config{
		Store: n.store, Dirs: n.cfg.SpillDirs, Log: n.log, OnWrite: n.spans.spilled, OnRead: n.spans.restored,
	}); err != nil {
		return err
	}
	if n.progress, err = newProgress(); err != nil {
		return err
	}
	n.peers = newPeers(n.identity)
	n.packages = &packages{dir: filepath.Join(n.cfg.DataDir, "packages"), fetches: map[string]*fetch{}, peer: n.peers.clientSoon,
		self: func() ids.NodeID { return n.id }, head: func(ctx context.Context, r *proto.FetchPackageRequest) (chunkStream, error) {
			return n.head.control.FetchPackage(ctx, r, grpc.WaitForReady(true))
		}}
	if n.folders, err = folders.Open(filepath.Join(n.cfg.DataDir, "folders"), maxFolders); err != nil {
		return err
	}
	n.head = newHeadClient(n.identity.HeadTLS(rpc.Protocol), n.cfg.HeadAddress, n.cfg.Heads...)
	listen, err := net.Listen("tcp", net.JoinHostPort(n.cfg.IP, "0"))
	if err != nil {
		return fmt.Errorf("listen for other nodes: %w", err)
	}
	n.network, n.address = listen, listen.Addr().String()
	if err := n.enter(ctx); err != nil {
		return err
	}
	n.peers.self = n.id
	n.refs = refs.New(n.id, n.cluster, refPeers{n})
	objects := transfer.Of(n.store, n.transferRoom(), n.id)
	n.puller = transfer.NewPuller(transfer.PullerConfig{
		Node: n.id, Store: objects, Dial: n.peers.dial, MaxBytes: max(1, min(1<<30, n.cfg.StoreBytes/4)), OnPull: n.pulled,
	})
	n.streams = transfer.NewServer(transfer.ServerConfig{Node: n.id, Store: objects, Puller: n.puller, Socket: n.socketOf})
	n.serveNetwork()
	if err := n.listenLocal(); err != nil {
		return err
	}
	if err := n.serveMetrics(); err != nil {
		return err
	}
	n.spawn(n.keepFence)
	n.spawn(n.watchMemory)
	n.spawn(n.watchStore)
	n.spawn(n.sweepLogs)
	n.spawn(n.runSession)
	n.spawn(n.renewCertificate)
	return nil
}

// enter registers the node; a head that is away is tried until ctx ends.
func (n *Node) enter(ctx context.Context) error {
	err := retry(ctx, func() error {
		reply, err := n.registerNode(ctx)
		if err != nil {
			return err
		}
		n.id, n.cluster = ids.NodeID(reply.Id), ids.ClusterID(reply.Cluster)
		n.book.Is(n.id)
		n.log = n.log.With("self", n.id)
		return nil
	})
	switch {
	case err == nil:
		return nil
	case mayRetry(err) || timedOut(err):
		return n.unreachable(err)
	}
	return &JoinError{Address: n.cfg.HeadAddress, Err: err}
}

// ID returns the node's number.
func (n *Node) ID() ids.NodeID { return n.id }

// ClusterID returns the cluster's number.
func (n *Node) ClusterID() ids.ClusterID { return n.cluster }

// Socket returns the path of the unix socket that processes connect to.
func (n *Node) Socket() string { return filepath.Join(n.cfg.RunDir, "node.sock") }

// MetricsAddress returns where GET /metrics is answered, or "".
func (n *Node) MetricsAddress() string {
	if n.scrapes == nil {
		return ""
	}
	return n.scrapes.listener.Addr().String()
}

// Address returns where other nodes reach this one.
func (n *Node) Address() string { return n.address }

// Done is closed when the node has ended, by Close or by itself.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err returns why the node ended by itself: nil before that and after Close.
func (n *Node) Err() error {
	select {
	case <-n.done:
	default:
		return nil
	}
	if err := context.Cause(n.ctx); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

// spawn runs f in a goroutine that Close waits for.
func (n *Node) spawn(f func()) { n.wg.Go(f) }

// pause waits, and reports false when the node closes meanwhile.
func (n *Node) pause(d time.Duration) bool { return pause.For(n.ctx, d) }

// closeWith closes c when the node closes, until stop is called.
func (n *Node) closeWith(c interface{ Close() error }) (stop func() bool) {
	return context.AfterFunc(n.ctx, func() { c.Close() })
}

// endWith returns a context that ends with ctx and with the node.
func (n *Node) endWith(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
