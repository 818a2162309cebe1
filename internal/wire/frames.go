package wire

import (
	"encoding/binary"
	"io"
)

// Append adds one frame, whose body f appends, to what the next Flush writes.
// It never waits for the socket.
func (c *Conn) Append(f func([]byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeErr != nil {
		return c.writeErr
	}
	start := len(c.pending)
	b := f(append(c.pending, 0, 0, 0, 0))
	n := len(b) - start - 4
	if n > MaxFrame {
		return &FrameTooLongError{Length: uint32(n)}
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(n))
	c.pending = b
	return nil
}

// Flush writes what was appended, unless another goroutine is writing and will.
func (c *Conn) Flush() error {
	c.mu.Lock()
	return c.flush()
}

// Unflushed returns how many appended bytes no writer has taken yet.
func (c *Conn) Unflushed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// Next returns the next frame, valid until the following call. It must not be
// mixed with Receive on frames that were read ahead by it.
func (c *Conn) Next() ([]byte, error) {
	if c.consumed > 0 {
		if _, err := c.r.Discard(c.consumed); err != nil {
			return nil, err
		}
		c.consumed = 0
	}
	head, err := c.r.Peek(4)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	length := int(binary.LittleEndian.Uint32(head))
	if length > MaxFrame {
		return nil, &FrameTooLongError{uint32(length)}
	}
	if 4+length > c.r.Size() {
		return c.ReceiveFrame()
	}
	frame, err := c.r.Peek(4 + length)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	c.consumed = 4 + length
	return frame[4:], nil
}

// More reports whether Next would return a frame without reading the socket.
func (c *Conn) More() bool {
	n := c.r.Buffered() - c.consumed
	if n < 4 {
		return false
	}
	b, _ := c.r.Peek(c.consumed + 4)
	return n >= 4+int(binary.LittleEndian.Uint32(b[c.consumed:]))
}
