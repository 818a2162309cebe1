package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// MaxFrame is the longest frame that is read, in bytes.
const MaxFrame = 64 << 20

// A FrameTooLongError says that the peer announced a frame over MaxFrame:
// it doesn't speak this protocol.
type FrameTooLongError struct{ Length uint32 }

func (e *FrameTooLongError) Error() string {
	return fmt.Sprintf("frame of %d bytes announced, at most %d allowed", e.Length, MaxFrame)
}

// Conn sends and receives frames. Send and its variants may be called from any
// goroutine; Receive from one at a time.
type Conn struct {
	nc net.Conn
	r  *bufio.Reader

	consumed int // bytes of r that the frame returned by Next occupies

	mu       sync.Mutex
	pending  []byte // frames that the next write takes
	spare    []byte
	writing  bool // a goroutine is in nc.Write and will take pending too
	corks    int  // Corks without their Uncork
	gathers  bool // a SendSoon is about to write
	writeErr error
	drained  sync.Cond // signalled when a writer stops
}

// maxPending is how many unsent bytes make senders wait for the socket.
const maxPending = 4 << 20

// New wraps a connected socket.
func New(nc net.Conn) *Conn {
	c := &Conn{nc: nc, r: bufio.NewReaderSize(nc, 64<<10)}
	c.drained.L = &c.mu
	return c
}

// Dial connects to the unix socket at path.
func Dial(path string) (*Conn, error) {
	nc, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return New(nc), nil
}

// Close closes the socket; blocked calls return.
func (c *Conn) Close() error { return c.nc.Close() }

// NetConn returns the socket beneath, for a caller that leaves framing (a
// tunnel). Reader holds what was read ahead.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Reader returns the buffered reader beneath.
func (c *Conn) Reader() *bufio.Reader { return c.r }

// SetDeadline bounds reads and writes, as net.Conn's does.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// SendSoon is Send for answers, many of which may become ready at once: goroutines that
// are ready to run may add theirs to the same write.
func (c *Conn) SendSoon(m proto.Message) error {
	c.mu.Lock()
	err := c.append(func(b []byte) ([]byte, error) { return appendMessage(b, m) })
	if err != nil || c.gathers && len(c.pending) < corkBytes {
		c.mu.Unlock()
		return err
	}
	if !c.gathers && !c.writing && c.corks == 0 {
		c.gathers = true
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		c.gathers = false
	}
	return c.flush()
}

// Send frames m and writes it, together with what other goroutines send in the
// meantime. It returns once the bytes are in the kernel or another goroutine
// is about to put them there; a write error is returned to every later Send.
func (c *Conn) Send(m proto.Message) error {
	return c.SendFunc(func(b []byte) ([]byte, error) {
		return appendMessage(b, m)
	})
}

// SendFunc sends one frame whose body f appends.
func (c *Conn) SendFunc(f func([]byte) ([]byte, error)) error {
	c.mu.Lock()
	if err := c.append(f); err != nil {
		c.mu.Unlock()
		return err
	}
	return c.flush()
}

// append adds a frame to what the next write takes. Called with mu held.
func (c *Conn) append(f func([]byte) ([]byte, error)) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	start := len(c.pending)
	b, err := f(append(c.pending, 0, 0, 0, 0))
	if err != nil {
		return err
	}
	n := len(b) - start - 4
	if n > MaxFrame {
		return &FrameTooLongError{Length: uint32(n)}
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(n))
	c.pending = b
	return nil
}

// corkBytes is how many bytes a corked connection keeps back.
const corkBytes = 64 << 10

// Cork keeps frames back, up to 64 KiB, until every Cork has had its Uncork, so that one
// write takes many. Who corks must not wait meanwhile for anything that is said in them.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.corks++
	c.mu.Unlock()
}

// Uncork ends a Cork.
func (c *Conn) Uncork() error {
	c.mu.Lock()
	c.corks--
	return c.flush()
}

// flush is entered with mu held and leaves it unlocked.
func (c *Conn) flush() error {
	if c.corks > 0 && len(c.pending) < corkBytes && c.writeErr == nil {
		c.mu.Unlock()
		return nil
	}
	if c.writing {
		for c.writing && len(c.pending) > maxPending && c.writeErr == nil {
			c.drained.Wait()
		}
		err := c.writeErr
		c.mu.Unlock()
		return err
	}
	c.writing = true
	for len(c.pending) > 0 && c.writeErr == nil {
		out := c.pending
		c.pending = c.spare[:0]
		c.spare = nil
		c.mu.Unlock()
		_, err := c.nc.Write(out)
		c.mu.Lock()
		if err != nil {
			c.writeErr = err
		}
		if cap(out) <= 1<<20 {
			c.spare = out
		}
		c.drained.Broadcast()
	}
	c.writing = false
	err := c.writeErr
	c.mu.Unlock()
	return err
}

// SendFiles writes m as one frame with files attached to its first byte. Only
// for unix sockets, and not while other goroutines send.
func (c *Conn) SendFiles(m proto.Message, files ...*os.File) error {
	uc, ok := c.nc.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("send files: not a unix socket")
	}
	b, err := appendMessage(make([]byte, 4, 256), m)
	if err != nil {
		return err
	}
	if len(b)-4 > MaxFrame {
		return &FrameTooLongError{Length: uint32(len(b) - 4)}
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	n, _, err := uc.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	if err == nil && n < len(b) { // the socket's buffer took a part; Write takes all
		_, err = uc.Write(b[n:])
	}
	runtime.KeepAlive(files)
	if err != nil {
		return fmt.Errorf("send files: %w", err)
	}
	return nil
}

// ReceiveFiles reads one frame sent by SendFiles into m. It must be the first
// read on the connection, or follow one, so that nothing was read ahead.
func (c *Conn) ReceiveFiles(m proto.Message, want int) ([]*os.File, error) {
	uc, ok := c.nc.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("receive files: not a unix socket")
	}
	var head [4]byte
	oob := make([]byte, unix.CmsgSpace(4*max(want, 1)))
	n, oobn, _, _, err := uc.ReadMsgUnix(head[:], oob)
	if err != nil {
		return nil, fmt.Errorf("receive files: %w", err)
	}
	files, err := parseFiles(oob[:oobn])
	if err != nil {
		return nil, err
	}
	fail := func(err error) ([]*os.File, error) {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("receive files: %w", err)
	}
	if n == 0 {
		return fail(io.ErrUnexpectedEOF)
	}
	if _, err := io.ReadFull(uc, head[n:]); err != nil {
		return fail(err)
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length > MaxFrame {
		return fail(&FrameTooLongError{length})
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(uc, body); err != nil {
		return fail(err)
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fail(err)
	}
	if len(files) != want {
		return files, nil // the message says why (an error instead of a welcome)
	}
	return files, nil
}

func parseFiles(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive files: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// Receive reads one frame into m.
func (c *Conn) Receive(m proto.Message) error {
	body, err := c.ReceiveFrame()
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fmt.Errorf("frame of %d bytes: %w", len(body), err)
	}
	return nil
}

// ReceiveFrame reads one frame. The bytes are the caller's.
func (c *Conn) ReceiveFrame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length > MaxFrame {
		return nil, &FrameTooLongError{length}
	}
	// Grown as bytes arrive: an announced length costs the sender that many bytes.
	body := make([]byte, 0, min(int(length), 64<<10))
	for len(body) < int(length) {
		n := min(int(length)-len(body), max(len(body), 64<<10))
		start := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(c.r, body[start:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return body, nil
}
