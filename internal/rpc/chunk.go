package rpc

import (
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/proto"
)

// ChunkSize is how many bytes of a file travel in one message, at most.
const ChunkSize = 256 << 10

// SendChunks sends what r has, to its end.
func SendChunks(stream grpc.ServerStreamingServer[proto.Chunk], r io.Reader) error {
	buf := make([]byte, ChunkSize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := stream.Send(&proto.Chunk{Data: buf[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Receive gives take the messages of a stream, to its end.
func Receive[T any](stream grpc.ServerStreamingClient[T], take func(*T) error) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(m)
		}
		if err != nil {
			return err
		}
	}
}

// ReceiveChunks writes what a stream has to w, to its end.
func ReceiveChunks(stream grpc.ServerStreamingClient[proto.Chunk], w io.Writer) error {
	return Receive(stream, func(c *proto.Chunk) error {
		_, err := w.Write(c.Data)
		return err
	})
}

// ChunkWriter sends what is written to it.
type ChunkWriter struct {
	Stream grpc.ServerStreamingServer[proto.Chunk]
}

func (w ChunkWriter) Write(p []byte) (n int, err error) {
	for part := range slices.Chunk(p, ChunkSize) {
		if err := w.Stream.Send(&proto.Chunk{Data: part}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
