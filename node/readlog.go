package node

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/grpc"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/logtail"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/node/logs"
	"github.com/gray-runtime/gray/proto"
)

// ReadLog sends a log file of this node: a submitted driver's by its job, a process's, the
// node's own, or one by name. Following ends when the file's writer does.
func (s *service) ReadLog(r *proto.ReadLogRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	n := s.n
	if r.Task != "" {
		return n.sendTaskLog(r.Task, stream)
	}
	ctx, stop := n.endWith(stream.Context())
	defer stop()
	if r.Daemon {
		return n.sendOwnLog(ctx, r, stream)
	}
	file, path := n.wantedLog(r)
	if path == "" {
		return errcode.Status(problem(proto.Error_NOT_FOUND, "no such log on %s: it may be too old", n.id))
	}
	offset, err := r.Offset, error(nil)
	switch {
	case r.Tail > 0 && file != nil:
		offset, err = file.LastLines(int(r.Tail))
	case r.Tail > 0:
		offset, err = logtail.Offset(path, int(r.Tail))
	}
	switch {
	case err != nil:
	case file != nil:
		err = sendLive(ctx, file, offset, r.Follow, stream)
	default:
		err = sendFile(path, offset, stream)
	}
	if errors.Is(err, os.ErrNotExist) {
		return errcode.Status(problem(proto.Error_NOT_FOUND, "no log %s on %s", filepath.Base(path), n.id))
	}
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	return nil
}

// sendOwnLog sends the node's own log. Following ends with the request.
func (n *Node) sendOwnLog(ctx context.Context, r *proto.ReadLogRequest, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	if n.cfg.LogFile == "" {
		return errcode.Status(problem(proto.Error_NOT_FOUND, "node %s keeps no log", n.id))
	}
	offset, err := r.Offset, error(nil)
	if r.Tail > 0 {
		offset, err = logtail.Offset(n.cfg.LogFile, int(r.Tail))
	}
	if err == nil {
		err = logtail.Copy(ctx, rpc.ChunkWriter{Stream: stream}, n.cfg.LogFile, offset, r.Follow)
	}
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	return nil
}

// wantedLog finds the log that a request means: the open file, if its writer lives, and
// its path.
func (n *Node) wantedLog(r *proto.ReadLogRequest) (*logs.File, string) {
	name := r.File
	switch {
	case r.Pid != 0:
		name = workerLogName(ids.JobID(r.Job), int(r.Pid))
	case r.Process != 0:
		n.mu.Lock()
		p := n.processes[r.Process]
		w, known := n.past.get(ids.ProcessID{Node: n.id, Number: r.Process})
		if p != nil && p.job != nil {
			w, known = n.workerInfoLocked(p), true
		}
		n.mu.Unlock()
		switch {
		case p != nil && !p.worker && p.job != nil:
			return n.logOf(p.job.id, "")
		case !known || w.Log == "":
			return nil, ""
		}
		name = filepath.Base(w.Log)
	}
	return n.logOf(ids.JobID(r.Job), name)
}

// sendTaskLog sends what a task has written here.
func (n *Node) sendTaskLog(task string, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	found, err := logs.CopyOf(rpc.ChunkWriter{Stream: stream}, n.logPath(""), task)
	if err != nil {
		return errcode.Status(asProblem(err))
	}
	if !found {
		return errcode.Status(problem(proto.Error_NOT_FOUND, "task %s has written nothing on %s", task, n.id))
	}
	return nil
}

// logOf returns the open file, if its writer lives, and its path.
func (n *Node) logOf(id ids.JobID, name string) (*logs.File, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name != "" {
		name = filepath.Base(name)
		for _, p := range n.processes {
			if p.log != nil && p.log.File != nil && filepath.Base(p.log.Path()) == name {
				return p.log.File, p.log.Path()
			}
		}
		for _, j := range n.jobs {
			if s := j.submitted; s != nil && s.file != nil && filepath.Base(s.file.Path()) == name {
				return s.file, s.file.Path()
			}
		}
		return nil, n.logPath(name)
	}
	if j := n.jobs[id]; j != nil && j.submitted != nil && j.submitted.file != nil {
		return j.submitted.file, j.submitted.file.Path()
	}
	path, _ := n.driverLogs.get(id)
	return nil, path
}

func sendLive(ctx context.Context, f *logs.File, off int64, follow bool, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	buf := make([]byte, rpc.ChunkSize)
	for {
		k, next, more, closed, err := f.ReadFrom(buf, off)
		if errors.Is(err, os.ErrClosed) {
			return sendFile(f.Path(), off, stream)
		}
		if err != nil {
			return err
		}
		off = next
		if k > 0 {
			if err := stream.Send(&proto.Chunk{Data: buf[:k]}); err != nil {
				return err
			}
			continue
		}
		if !follow || closed {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendFile sends what a file, rotated or not, has from an offset on.
func sendFile(path string, off int64, stream grpc.ServerStreamingServer[proto.Chunk]) error {
	for i, name := range []string{path + ".1", path} {
		f, err := os.Open(name)
		if err != nil {
			if i == 0 && errors.Is(err, os.ErrNotExist) {
				continue
			}
			return err
		}
		off, err = sendFrom(f, off, stream)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// sendFrom returns what is left of the offset behind the file's end.
func sendFrom(f *os.File, off int64, stream grpc.ServerStreamingServer[proto.Chunk]) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return off, err
	}
	if off >= st.Size() {
		return off - st.Size(), nil
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return off, err
	}
	return 0, rpc.SendChunks(stream, f)
}
