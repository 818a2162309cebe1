package rpc

import (
	"errors"
	"io"

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
