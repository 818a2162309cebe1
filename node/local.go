package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/internal/wire"
	"github.com/gray-runtime/gray/proto"
)

const (
	helloTimeout = 5 * time.Second
	// maxStrangers bounds connections that haven't said Hello.
	maxStrangers = 256
	// maxProcesses bounds the processes of all jobs on the node.
	maxProcesses = 8192
)

// listenLocal makes the node's socket.
func (n *Node) listenLocal() error {
	path := filepath.Join(n.cfg.RunDir, "node.sock")
	_ = os.Remove(path) // of a node that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		return &RunDirError{Dir: n.cfg.RunDir, Err: err}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return &RunDirError{Dir: n.cfg.RunDir, Err: err}
	}
	n.local = l
	n.spawn(func() { n.acceptLocal(l) })
	return nil
}

func (n *Node) acceptLocal(l net.Listener) {
	strangers := make(chan struct{}, maxStrangers)
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || n.ctx.Err() != nil {
				return
			}
			n.log.Warn("accept a process's connection", "error", err)
			n.pause(100 * time.Millisecond) // out of descriptors: some may come free
			continue
		}
		select {
		case strangers <- struct{}{}:
		default:
			nc.Close()
			continue
		}
		n.spawn(func() {
			defer func() { <-strangers }()
			n.greet(nc.(*net.UnixConn))
		})
	}
}

// greet reads a connection's Hello and makes it a process's or a tunnel.
func (n *Node) greet(nc *net.UnixConn) {
	stop := n.closeWith(nc)
	peer, err := peerOf(nc)
	if err != nil || peer.Uid != uint32(os.Getuid()) {
		stop()
		nc.Close()
		n.log.Warn("connection of another user refused", "uid", peer.Uid, "error", err)
		return
	}
	c := wire.New(nc)
	_ = c.SetDeadline(time.Now().Add(helloTimeout))
	var m proto.ToNode
	err = c.Receive(&m)
	hello := m.GetHello()
	if err != nil || hello == nil {
		stop()
		nc.Close()
		n.log.Debug("connection without a hello", "pid", peer.Pid, "error", err)
		return
	}
	_ = c.SetDeadline(time.Time{})
	if hello.Pid == 0 {
		hello.Pid = peer.Pid
	}
	switch hello.Kind {
	case proto.Hello_WORKER:
		err = n.helloWorker(c, hello)
	case proto.Hello_DRIVER:
		err = n.helloDriver(c, hello, int(peer.Pid))
	case proto.Hello_TUNNEL:
		stop()
		n.spawn(func() { n.tunnel(c, nc, hello) }) // not a stranger any more
		return
	default:
		err = fmt.Errorf("%w: a hello of kind %d", ErrBadFrame, hello.Kind)
	}
	stop()
	if err != nil {
		n.refuse(c, err)
	}
}

// refuse tells a process why it isn't let in.
func (n *Node) refuse(c *wire.Conn, err error) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_ = c.Send(&proto.ToProcess{Body: &proto.ToProcess_Error{Error: asProblem(err)}})
	c.Close()
}

func peerOf(nc *net.UnixConn) (*unix.Ucred, error) {
	none := &unix.Ucred{Uid: ^uint32(0)}
	raw, err := nc.SyscallConn()
	if err != nil {
		return none, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return none, err
	}
	if cerr != nil {
		return none, cerr
	}
	return cred, nil
}

// helloWorker completes the start of a worker of this node.
func (n *Node) helloWorker(c *wire.Conn, h *proto.Hello) error {
	n.mu.Lock()
	p := n.processes[uint32(h.Start)]
	if p == nil || !p.worker || p.state != starting || p.conn != nil || uint64(p.id.Number) != h.Start {
		n.mu.Unlock()
		return fmt.Errorf("%w: no worker with start number %d is awaited", ErrBadFrame, h.Start)
	}
	n.introduceLocked(p, c, h)
	n.mu.Unlock()
	<-p.spawned
	if err := n.welcome(p); err != nil {
		p.kill("its connection broke")
		close(p.hello)
		close(p.readDone)
		return nil // its end is dealt with when it is reaped
	}
	n.attach(p)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.workerStartedLocked(p)
	return nil
}

// introduceLocked notes what a process says of itself.
func (n *Node) introduceLocked(p *process, c *wire.Conn, h *proto.Hello) {
	p.conn, p.pid, p.traced = c, int(h.Pid), h.Traced
	if h.Listen != "" {
		p.listen = h.Listen
	}
	p.functions = make(map[uint64]string, min(len(h.Functions), 10_000))
	for _, f := range h.Functions[:min(len(h.Functions), 10_000)] {
		p.functions[f.Hash] = f.Name
	}
}

// welcome answers a Hello, with the store's memory, the progress page and the records'.
func (n *Node) welcome(p *process) error {
	files := []*os.File{n.store.File(), n.progress.file}
	if f, err := n.openRecords(p); err != nil {
		n.log.Warn("the tasks of a process aren't recorded", "process", p.name(), "error", err)
	} else if f != nil {
		defer f.Close()
		files = append(files, f)
	}
	_ = p.conn.SetDeadline(time.Now().Add(helloTimeout))
	host, _, _ := net.SplitHostPort(n.address) // it listens there
	err := p.conn.SendFiles(&proto.ToProcess{Body: &proto.ToProcess_Welcome{Welcome: &proto.Welcome{
		Environment: p.env, Gpus: uint32(n.gpus), Host: host,
		Cluster: uint32(n.cluster), Node: uint32(n.id), Process: p.id.Number, Job: uint32(p.job.id),
		SubmissionId: p.job.spec.GetSubmissionId(), ProgressSlot: uint32(p.slot),
	}}}, files...)
	_ = p.conn.SetDeadline(time.Time{})
	return err
}
