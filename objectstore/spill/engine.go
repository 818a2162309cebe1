package spill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/objectstore"
)

const (
	// batch is how many bytes one directory is given at once.
	batch = 64 << 20
	// readers is how many objects are read back at once.
	readers = 4
)

// Config says where objects go.
type Config struct {
	Store *objectstore.Store
	Dirs  []string     // used in turn; none: nothing is spilled
	Log   *slog.Logger // nil: none

	// If set, they are told of each batch written, in which those on disk have their
	// place, and of each object read back.
	OnWrite func(batch []objectstore.Victim, began time.Time, took time.Duration)
	OnRead  func(id ids.ObjectID, size int64, began time.Time, took time.Duration)
}

// Engine writes objects to disk when their store needs room, and reads them back.
// Its methods may be called from any goroutine.
type Engine struct {
	cfg   Config
	store *objectstore.Store
	files *files
	log   *slog.Logger
	stop  context.CancelFunc
	wg    sync.WaitGroup
	reads chan struct{} // has a word for each read under way
	done  chan struct{} // a writer has ended

	mu       sync.Mutex
	writers  int
	resumeAt time.Time // when more is to be written though nobody waits
}

// Open begins to serve a store. The directories are made if they aren't there.
func Open(cfg Config) (*Engine, error) { return open(cfg, disk{}) }

func open(cfg Config, s system) (*Engine, error) {
	files, err := openFiles(cfg.Dirs, s)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		cfg: cfg, store: cfg.Store, files: files, log: cfg.Log,
		reads: make(chan struct{}, readers), done: make(chan struct{}, 1),
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.wg.Go(func() { e.run(ctx) })
	return e, nil
}

// Close ends the writing and removes all files. Nobody may call Acquire any more.
func (e *Engine) Close() error {
	e.stop()
	e.wg.Wait()
	if err := e.files.close(); err != nil {
		return fmt.Errorf("close spill directories: %w", err)
	}
	return nil
}

// Trouble says why objects can't be written, if any directory doesn't work.
func (e *Engine) Trouble() error { return e.files.trouble() }

// Moved goes up with every piece that is written or read.
func (e *Engine) Moved() uint64 { return e.files.moved.Load() }

// Acquire pins a sealed object for process by, as the store's Acquire does, and
// reads it back first if it lies on disk only. That ends early with ctx only
// while there's no room for it. The error wraps objectstore.ErrNotFound if there's
// no such object, is a *ReadError if it can't be read, which ends the object, or
// says what Store.Restore's does.
func (e *Engine) Acquire(ctx context.Context, id ids.ObjectID, by ids.ProcessID) (objectstore.Extent, error) {
	for {
		if place, ok := e.store.Acquire(id, by); ok {
			return place, nil
		}
		r, err := e.store.Restore(ctx, id, by)
		switch {
		case errors.Is(err, objectstore.ErrExists):
			continue // it's in memory now
		case err != nil:
			return objectstore.Extent{}, err
		}
		if err := e.read(r); err != nil {
			e.store.Lost(r, err)
			return objectstore.Extent{}, err
		}
		if e.store.Restored(r, by) {
			return r.Extent, nil
		}
	}
}

func (e *Engine) read(r objectstore.Restoring) error {
	e.reads <- struct{}{}
	defer func() { <-e.reads }()
	began := time.Now()
	err := e.files.read(r.ID, r.Disk, e.store.Bytes(r.Extent))
	if err == nil && e.cfg.OnRead != nil {
		e.cfg.OnRead(r.ID, r.Extent.Size, began, time.Since(began))
	}
	return err
}

// run sees to the store until ctx ends.
func (e *Engine) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := e.files.free(e.store.Freed()); err != nil {
			e.log.Warn("spill", "error", err)
		}
		if at := e.dispatch(time.Now()); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case <-e.store.Pressure():
		case <-e.done:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// dispatch gives directories what is to be written, and returns when to try again
// though nothing else has happened.
func (e *Engine) dispatch(now time.Time) time.Time {
	for {
		if again, wait := e.unhurried(now); wait {
			return again
		}
		d, most := e.files.take(now), int64(0)
		switch {
		case d != nil:
			most = batch
		case !e.writing():
			most = -1
		}
		victims, urgent := e.store.Victims(most)
		if len(victims) == 0 {
			if d != nil {
				e.files.untake(d)
			}
			return e.files.retry(now)
		}
		e.mu.Lock()
		e.writers++
		e.mu.Unlock()
		e.wg.Go(func() { e.write(d, victims, urgent) })
	}
}

// unhurried reports whether nobody waits, and enough is being written for that, or
// was until a moment ago: then the disk is left to others half of the time.
func (e *Engine) unhurried(now time.Time) (again time.Time, wait bool) {
	if e.store.Usage().Waiting > 0 {
		return time.Time{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.writers > 0 {
		return time.Time{}, true
	}
	return e.resumeAt, now.Before(e.resumeAt)
}

// writing reports whether anything is being written.
func (e *Engine) writing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.writers > 0
}

func (e *Engine) write(d *dir, victims []objectstore.Victim, urgent bool) {
	began := time.Now()
	err := e.files.write(d, victims, e.store.Bytes)
	if err != nil {
		e.log.Warn("objects could not be written to disk", "error", err)
	}
	if e.cfg.OnWrite != nil {
		e.cfg.OnWrite(victims, began, time.Since(began))
	}
	e.mu.Lock()
	e.writers--
	if now := time.Now(); !urgent {
		e.resumeAt = now.Add(now.Sub(began))
	}
	e.mu.Unlock()
	e.store.Spilled(victims)
	select {
	case e.done <- struct{}{}:
	default:
	}
}
