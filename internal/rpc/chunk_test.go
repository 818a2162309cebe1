package rpc

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/proto"
)

// chunks is a stream that keeps what is sent.
type chunks struct {
	grpc.ServerStream
	sent []byte
	fail error
}

func (c *chunks) Send(m *proto.Chunk) error {
	c.sent = append(c.sent, m.Data...)
	return c.fail
}

func TestSendChunks(t *testing.T) {
	data := bytes.Repeat([]byte("gray "), ChunkSize/2)
	var c chunks
	if err := SendChunks(&c, bytes.NewReader(data)); err != nil || !bytes.Equal(c.sent, data) {
		t.Errorf("%d of %d bytes, %v", len(c.sent), len(data), err)
	}
	broken := errors.New("broken")
	c = chunks{}
	err := SendChunks(&c, io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || !bytes.Equal(c.sent, data) {
		t.Errorf("a file that can't be read to its end: %d bytes, %v", len(c.sent), err)
	}
	if err := SendChunks(&chunks{fail: broken}, bytes.NewReader(data)); !errors.Is(err, broken) {
		t.Errorf("a stream that ends: %v", err)
	}
}
