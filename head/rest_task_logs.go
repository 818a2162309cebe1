package head

import (
	"context"
	"errors"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/proto"
)

// getTaskLogs answers what a task has written, wherever it ran. Only nodes know.
func (h *Head) getTaskLogs(w http.ResponseWriter, r *http.Request) {
	bounded(w, r)
	id := r.PathValue("id")
	ctx, cancel := context.WithTimeout(r.Context(), logsLimit)
	defer cancel()
	texts, warnings := gather(ctx, h, func(ctx context.Context, _ *proto.NodeInfo, c proto.NodeClient) ([]byte, error) {
		return readTaskLog(ctx, c, id)
	})
	var all []byte
	for _, text := range texts {
		all = append(all, text...)
	}
	if len(all) == 0 {
		text := "task " + id + " has written nothing that a living node knows of"
		for _, warning := range warnings {
			text += "; " + warning
		}
		writeText(w, http.StatusNotFound, text)
		return
	}
	writeJSON(w, http.StatusOK, api.LogsResponse{Logs: validUTF8(string(all))})
}

// readTaskLog is what a task has written on one node, of too much the end.
func readTaskLog(ctx context.Context, c proto.NodeClient, id string) (all []byte, err error) {
	stream, err := c.ReadLog(ctx, &proto.ReadLogRequest{Task: id})
	if err != nil {
		return nil, err
	}
	for {
		chunk, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF), status.Code(err) == codes.NotFound:
			return all, nil
		case err != nil:
			return nil, err
		}
		if all = append(all, chunk.Data...); len(all) > maxLogs {
			all = append(all[:0], all[len(all)-maxLogs/2:]...)
		}
	}
}
