package trainlib

import (
	"context"
	"fmt"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/checkpoint"
)

// saver writes checkpoints, one at a time, while training goes on.
type saver struct {
	to   Checkpoint
	stop context.CancelFunc // of who waits for the next State
	done chan error         // of the one that is written, or waited for; nil: none
	err  error
	some bool // has been written
}

func newSaver(to Checkpoint) *saver { return &saver{to: to, stop: func() {}} }

// watch has each Every-th step's State saved, as a worker says that it's there.
func (s *saver) watch(ctx context.Context, h gray.Handle[worker], from status) {
	if s.to.Dir == "" || s.to.Every == 0 || s.done != nil {
		return
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.done = make(chan error, 1)
	next := int64(from.Cursor.Epoch*from.Batches + from.Cursor.Step)
	go func() {
		for {
			next = (next/s.to.Every + 1) * s.to.Every
			done, ok, err := s.write(ctx, gray.Call(ctx, h, (*worker).Snapshot, next), from.Batches)
			if err != nil || !ok {
				s.done <- err
				return
			}
			next = done
		}
	}()
}

// forget stops waiting for States, as of workers that are gone.
func (s *saver) forget() {
	if s == nil || s.done == nil {
		return
	}
	s.stop()
	s.keep(<-s.done)
}

func (s *saver) keep(err error) {
	s.done = nil
	if s.err == nil {
		s.err = err
	}
}

// save has the State as it is now saved, and returns when the worker has copied it.
func (s *saver) save(ctx context.Context, h gray.Handle[worker]) error {
	s.wait()
	if s.err != nil {
		return s.err
	}
	ref := gray.Call(ctx, h, (*worker).Snapshot, 0)
	if _, _, err := gray.Wait(ctx, []gray.Ref[State]{ref}, 1); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	done := s.done
	go func() {
		_, _, err := s.write(ctx, ref, 1)
		done <- err
	}()
	return nil
}

func (s *saver) wait() {
	if s.done != nil {
		s.keep(<-s.done)
	}
}

// write saves a State, and returns how many batches it has seen; not ok: there's none, as of a worker that died.
func (s *saver) write(ctx context.Context, ref gray.Ref[State], steps int) (at int64, ok bool, err error) {
	lost := gray.View(ctx, ref, func(st State) error {
		var meta map[string]string
		if meta, err = st.meta(); err == nil {
			o := checkpoint.Options{Shards: s.to.Shards, Keep: s.to.Keep}
			_, err = checkpoint.Save(context.WithoutCancel(ctx), s.to.Dir, st.Steps+st.Skipped, st.Tensors, meta, o)
		}
		s.some = s.some || err == nil
		at = int64(st.Cursor.Epoch*steps + st.Cursor.Step)
		return nil
	})
	if err != nil {
		err = fmt.Errorf("save a checkpoint: %w", err)
	}
	return at, lost == nil, err
}

// close waits for what is being written.
func (s *saver) close() error {
	s.stop()
	s.wait()
	return s.err
}
