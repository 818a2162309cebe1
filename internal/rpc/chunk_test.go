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
	sent    []byte
	largest int
	fail    error
}

func (c *chunks) Send(m *proto.Chunk) error {
	c.sent, c.largest = append(c.sent, m.Data...), max(c.largest, len(m.Data))
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

func TestChunkWriter(t *testing.T) {
	data := bytes.Repeat([]byte("gray "), ChunkSize/2)
	var c chunks
	if n, err := (ChunkWriter{&c}).Write(data); n != len(data) || err != nil || !bytes.Equal(c.sent, data) || c.largest > ChunkSize {
		t.Errorf("%d of %d bytes, %d at once, %v", n, len(data), c.largest, err)
	}
	broken := errors.New("broken")
	if n, err := (ChunkWriter{&chunks{fail: broken}}).Write(data); n != 0 || !errors.Is(err, broken) {
		t.Errorf("a stream that ends: %d, %v", n, err)
	}
}
