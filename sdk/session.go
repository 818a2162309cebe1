package gray

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/gray-runtime/gray/internal/daemon"
	"github.com/gray-runtime/gray/internal/embed"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// The environment by which a node tells a process what it is.
const (
	envRole    = "GRAY_ROLE"    // worker or driver; head and node are internal/embed's
	envNode    = "GRAY_NODE"    // the node's unix socket
	envStart   = "GRAY_START"   // the number that Hello repeats
	envListen  = "GRAY_LISTEN"  // where a worker listens
	envAddress = "GRAY_ADDRESS" // the cluster of a driver that was not submitted
)

// Session is a program's membership in a cluster, for a program that is more
// than a job: a server that submits tasks, say. Safe for concurrent use.
type Session struct {
	process *process.Process
	cluster *embed.Cluster // nil unless embedded

	terminal *terminal

	end    sync.Once
	endErr error

	mu       sync.Mutex
	contexts map[*context.CancelCauseFunc]struct{} // that Context gave and nobody has ended
}

// Init makes the program a driver: of the job that it was submitted as, else of
// the cluster that GRAY_ADDRESS names, else of an embedded cluster, which it
// starts. Call it first in main: when the program was started as a worker of its
// own job, Init serves as one and never returns.
func Init(ctx context.Context) (*Session, error) {
	TakeRole()
	if os.Getenv(envRole) == "driver" {
		return join(ctx, os.Getenv(envNode), nil)
	}
	if address := os.Getenv(envAddress); address != "" {
		return connect(ctx, address)
	}
	cluster, err := embed.Start(ctx, embed.Options{})
	if err != nil {
		return nil, fmt.Errorf("start an embedded cluster: %w", err)
	}
	fmt.Fprintln(os.Stderr, "gray: GRAY_ADDRESS is not set: running on an embedded cluster of this machine")
	s, err := join(ctx, cluster.Sockets()[0], cluster)
	if err != nil {
		return nil, errors.Join(err, cluster.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Connect makes the program a driver of the cluster at address: HOST:PORT of a
// head, "auto" for the only cluster that has a node on this host, or "unix:" and
// the path of a node's socket. A node of that cluster must run on this host, by
// the same user. Like Init, it never returns in a worker.
func Connect(ctx context.Context, address string) (*Session, error) {
	TakeRole()
	return connect(ctx, address)
}

func connect(ctx context.Context, address string) (*Session, error) {
	socket, given := strings.CutPrefix(address, "unix:")
	if !given {
		var err error
		if socket, err = daemon.FindNode(address); err != nil {
			return nil, err
		}
	}
	return join(ctx, socket, nil)
}

func join(ctx context.Context, socket string, cluster *embed.Cluster) (*Session, error) {
	hello := &proto.Hello{Kind: proto.Hello_DRIVER, Pid: int32(os.Getpid()), Args: os.Args, Functions: registered()}
	hello.Dir, _ = os.Getwd()
	if t := process.TracerOf(); t != nil {
		hello.Env = t.Env()
	}
	if os.Getenv(envRole) == "driver" && os.Getenv(envNode) == socket {
		hello.Start, _ = strconv.ParseUint(os.Getenv(envStart), 10, 64)
		for _, name := range []string{envRole, envNode, envStart} {
			os.Unsetenv(name) // once: programs that this one starts are drivers of their own
		}
	}
	out := newTerminal()
	p, err := process.Connect(ctx, process.Config{Socket: socket, Hello: hello, Functions: lookup, OnLog: out.print})
	if err != nil {
		return nil, typed(err)
	}
	return &Session{process: p, cluster: cluster, terminal: out}, nil
}

// Context returns a context, derived from parent, by which tasks are submitted
// in this session. It ends with the session, too.
func (s *Session) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(process.WithProcess(parent, s.process))
	stop := context.AfterFunc(s.process.Context(), func() { cancel(context.Cause(s.process.Context())) })
	s.mu.Lock()
	if s.contexts == nil {
		s.contexts = map[*context.CancelCauseFunc]struct{}{}
	}
	s.contexts[&cancel] = struct{}{}
	s.mu.Unlock()
	return ctx, func() {
		stop()
		s.mu.Lock()
		delete(s.contexts, &cancel)
		s.mu.Unlock()
		cancel(nil)
	}
}

// endContexts ends the session's contexts before Close returns.
func (s *Session) endContexts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cancel := range s.contexts {
		(*cancel)(context.Cause(s.process.Context()))
	}
	clear(s.contexts)
}

// Close ends the job, its tasks and its actors, and an embedded cluster. Closing
// again returns the same.
func (s *Session) Close() error { return s.finish(0, "") }

func (s *Session) finish(code int, message string) error {
	s.end.Do(func() { s.endErr = s.leave(code, message) })
	return s.endErr
}

func (s *Session) leave(code int, message string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.process.Finish(ctx, code, message)
	if errors.Is(err, process.ErrNodeLost) || s.process.Context().Err() != nil {
		err = nil // it ended first
	}
	err = errors.Join(err, s.process.Close())
	s.terminal.close()
	s.endContexts()
	flushTraces(ctx)
	if s.cluster != nil {
		err = errors.Join(err, s.cluster.Close(ctx))
	}
	return err
}

// TakeRole serves as worker, head or node if this process was started as one, and
// then ends it; else it returns at once. Main, Init and Connect do this first; a
// program that does much before calling them calls TakeRole at its start.
func TakeRole() {
	embed.RunRole()
	if os.Getenv(envRole) != "worker" {
		return
	}
	if err := work(); err != nil {
		fmt.Fprintf(os.Stderr, "gray: worker: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work serves tasks until the node or the job ends.
func work() error {
	path := os.Getenv(envListen)
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	start, err := strconv.ParseUint(os.Getenv(envStart), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", envStart, err)
	}
	socket := os.Getenv(envNode)
	for _, name := range []string{envRole, envNode, envStart, envListen} {
		os.Unsetenv(name) // programs that a task starts are none of ours
	}
	p, err := process.Connect(context.Background(), process.Config{
		Socket: socket, Listener: ln, Functions: lookup,
		Hello: &proto.Hello{Kind: proto.Hello_WORKER, Start: start, Pid: int32(os.Getpid()), Listen: path,
			Functions: registered(), Traced: process.TracerOf() != nil},
	})
	if err != nil {
		return err
	}
	<-p.Context().Done()
	flushTraces(context.Background())
	return nil
}
