package link

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/gray-runtime/gray/trainlib/internal/shared"
)

// A connection through shared memory is a region with a ring in each direction, a bell for each end of each
// ring, and a unix socket that ends with the peer. The dialer makes region and bells, and sends them over the socket.
const (
	ringRoom    = ringHeadBytes + ringBytes
	memoryBytes = 2 * ringRoom
	memoryFiles = 1 + 4 // the region; bells of the dialer's out, in, the listener's out, in
)

// memory is one process's part of it.
type memory struct {
	region *shared.Region
	bells  [4]*eventBell
}

func newMemory() (m *memory, err error) {
	m = &memory{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make shared memory: %w", err), m.close())
		}
	}()
	if m.region, err = shared.Create(memoryBytes); err != nil {
		return m, err
	}
	for i := range m.bells {
		if m.bells[i], err = newEventBell(); err != nil {
			return m, err
		}
	}
	return m, nil
}

// files are the descriptors to send; release closes the one that's only for this.
func (m *memory) files() (files []int, release func(), err error) {
	region, err := unix.Open(m.region.Path(), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open shared memory to send it: %w", err)
	}
	files = []int{region}
	for _, b := range m.bells {
		files = append(files, b.fd)
	}
	return files, func() { _ = unix.Close(region) }, nil
}

// memoryOf is what files that were received hold. It owns them, also when it fails.
func memoryOf(files []int) (m *memory, err error) {
	m = &memory{}
	if len(files) != memoryFiles {
		for _, f := range files {
			_ = unix.Close(f)
		}
		return nil, fmt.Errorf("receive shared memory: %d descriptors for %d", len(files), memoryFiles)
	}
	for i := range m.bells {
		m.bells[i] = &eventBell{files[1+i]}
		_ = unix.SetNonblock(files[1+i], true)
	}
	m.region, err = shared.Open(fmt.Sprintf("/proc/self/fd/%d", files[0]))
	_ = unix.Close(files[0])
	if err == nil && len(m.region.Bytes) != memoryBytes {
		err = fmt.Errorf("it has %d bytes, not %d", len(m.region.Bytes), memoryBytes)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("receive shared memory: %w", err), m.close())
	}
	return m, nil
}

func (m *memory) close() error {
	var errs []error
	for _, b := range m.bells {
		if b != nil {
			errs = append(errs, b.close())
		}
	}
	if m.region != nil {
		errs = append(errs, m.region.Close())
	}
	return errors.Join(errs...)
}

// conn is the connection, of which it then is a part, as the socket is, also when it fails.
func (m *memory) conn(s socket, peer string, dialed bool) (*Conn, error) {
	out, in := m.region.Bytes[:ringRoom], m.region.Bytes[ringRoom:]
	mine, theirs := [2]*eventBell{m.bells[0], m.bells[1]}, [2]*eventBell{m.bells[2], m.bells[3]}
	if !dialed {
		out, in = in, out
		mine, theirs = theirs, mine
	}
	c := newConn(string(SharedMemory), peer, mine[0], mine[1])
	c.out.wire = &ringWriter{ring: ringIn(out), conn: c, peer: theirs[1]}
	c.in.wire = &ringReader{ring: ringIn(in), conn: c, peer: theirs[0]}
	w, err := watch([]int{s.fd()}, func() { c.fail(ErrPeerGone) })
	if err != nil {
		return nil, errors.Join(err, s.close(), m.close())
	}
	c.close = func() error {
		w.stop()
		return errors.Join(s.close(), m.close())
	}
	return c, nil
}

// sendFiles sends bytes with descriptors.
func sendFiles(c *net.UnixConn, b []byte, files []int) error {
	n, _, err := c.WriteMsgUnix(b, unix.UnixRights(files...), nil)
	if err == nil && n < len(b) {
		err = errors.New("sent in part")
	}
	if err != nil {
		return fmt.Errorf("send shared memory: %w", err)
	}
	return nil
}

// filesReader reads a socket, and keeps the descriptors that come with it.
type filesReader struct {
	c     *net.UnixConn
	files []int
}

func (r *filesReader) Read(b []byte) (int, error) {
	room := make([]byte, unix.CmsgSpace(4*memoryFiles))
	n, k, _, _, err := r.c.ReadMsgUnix(b, room)
	if k > 0 {
		if messages, e := unix.ParseSocketControlMessage(room[:k]); e == nil {
			for _, m := range messages {
				if fds, e := unix.ParseUnixRights(&m); e == nil {
					r.files = append(r.files, fds...)
				}
			}
		}
	}
	return n, err
}

// close closes the descriptors that nobody has taken.
func (r *filesReader) close() {
	for _, f := range r.files {
		_ = unix.Close(f)
	}
	r.files = nil
}

// sameUser is the number of the process at the other end, which must run as this one's user.
func sameUser(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask who the peer is: %w", err)
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil {
		err = e
	}
	if err != nil {
		return 0, fmt.Errorf("ask who the peer is: %w", err)
	}
	if int(cred.Uid) != unix.Geteuid() {
		return 0, fmt.Errorf("the peer is user %d, not %d", cred.Uid, unix.Geteuid())
	}
	return int(cred.Pid), nil
}
