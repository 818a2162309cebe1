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
