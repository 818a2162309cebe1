package head

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/profile"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

const (
	// profileGrace is how long beyond its time a profile may take to arrive here.
	profileGrace   = 15 * time.Second
	defaultProfile = 10 * time.Second
)

// getStack answers what the goroutines of a process do, as text.
func (h *Head) getStack(w http.ResponseWriter, r *http.Request) {
	h.answerProfile(w, r, profile.Stack, 0)
}

// getProfile answers a profile of a process: ?kind=cpu&seconds=10.
func (h *Head) getProfile(w http.ResponseWriter, r *http.Request) {
	kind, d := r.URL.Query().Get("kind"), defaultProfile
	if kind == "" {
		kind = profile.CPU
	}
	if text := r.URL.Query().Get("seconds"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds <= profile.MaxDuration.Seconds()) {
			writeText(w, http.StatusBadRequest, fmt.Sprintf("seconds is %q: want a number up to %g", text, profile.MaxDuration.Seconds()))
			return
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	h.answerProfile(w, r, kind, d)
}

func (h *Head) answerProfile(w http.ResponseWriter, r *http.Request, kind string, d time.Duration) {
	if err := profile.Check(kind, d); err != nil {
		writeText(w, http.StatusBadRequest, err.Error())
		return
	}
	bounded(w, r)
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{}) // the server watches the connection
	c.SetWriteDeadline(time.Now().Add(d + profileGrace + requestLimit))
	ctx, cancel := context.WithTimeout(r.Context(), d+profileGrace)
	defer cancel()
	data, err := h.profileOf(ctx, r.PathValue("id"), kind, d)
	if err != nil {
		writeError(w, err)
		return
	}
	if kind == profile.Stack {
		writeText(w, http.StatusOK, validUTF8(string(data)))
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(data)
}

// profileOf takes a profile of a process, wherever that is.
func (h *Head) profileOf(ctx context.Context, name, kind string, d time.Duration) ([]byte, error) {
	at, err := h.locate(ctx, name)
	if err != nil {
		return nil, err
	}
	if at.head == h.Address() {
		return takeProfile(ctx, kind, d)
	}
	request := &proto.ProfileRequest{Process: at.process, Kind: kind, DurationMs: d.Milliseconds()}
	var stream grpc.ServerStreamingClient[proto.Chunk]
	if at.head != "" {
		var c proto.HeadsClient
		if c, err = h.headClient(at.head); err == nil {
			stream, err = c.Profile(ctx, request)
		}
	} else {
		var c proto.NodeClient
		if c, err = h.livingNode(at.node); err == nil {
			stream, err = c.Profile(ctx, request)
		}
	}
	if err != nil {
		return nil, unanswered(name, err)
	}
	var data []byte
	err = rpc.Receive(stream, func(c *proto.Chunk) error {
		if data = append(data, c.Data...); len(data) > 2*profile.MaxBytes {
			return status.Errorf(codes.ResourceExhausted, "the profile of %s is over %d MiB", name, 2*profile.MaxBytes>>20)
		}
		return nil
	})
	if err != nil {
		return nil, unanswered(name, err)
	}
	return data, nil
}

// unanswered makes of a member's silence an answer: it isn't this head that is unavailable.
func unanswered(what string, err error) error {
	if s := status.Convert(err); s.Code() == codes.Unavailable {
		return status.Errorf(codes.DeadlineExceeded, "%s doesn't answer: %s", what, s.Message())
	}
	return err
}

// takeProfile takes one of this head.
func takeProfile(ctx context.Context, kind string, d time.Duration) ([]byte, error) {
	data, err := profile.Take(ctx, kind, d)
	switch {
	case errors.Is(err, profile.ErrBusy):
		return nil, problem(proto.Error_CALLS_LIMIT, "%v", err)
	case errors.Is(err, profile.ErrKind):
		return nil, problem(proto.Error_INVALID, "%v", err)
	}
	return data, err
}

// Profile sends a profile of this head.
func (s *headsService) Profile(r *proto.ProfileRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	data, err := takeProfile(stream.Context(), r.Kind, time.Duration(r.DurationMs)*time.Millisecond)
	if err != nil {
		return err
	}
	return rpc.SendChunks(stream, bytes.NewReader(data))
}
