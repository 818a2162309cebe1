package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/node/transfer"
	"github.com/gray-runtime/gray/objectstore"
)

const (
	// storePatience is how long a call waits for room in the store while nothing
	// moves there, and storeLook how often that is looked at.
	storePatience = 10 * time.Second
	storeLook     = time.Second
	// maxHolders is how many processes a message names.
	maxHolders = 3
)

// A stillError ends a wait for room when nothing has moved: the cause of the store's
// FullError then.
type stillError struct{ holding string }

func (e *stillError) Error() string {
	return fmt.Sprintf("nothing has moved in the object store for %s: %s", storePatience, e.holding)
}

// atOnce is a context that lets nothing wait.
var atOnce = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// create makes an object in the store, a copy of another node's or not.
func (n *Node) create(ctx context.Context, id ids.ObjectID, size int64, by ids.ProcessID, copied bool) (place objectstore.Extent, err error) {
	create := n.store.Create
	if copied {
		create = n.store.CreateCopy
	}
	err = n.patiently(ctx, id, func(ctx context.Context) error {
		place, err = create(ctx, id, size, by)
		return err
	})
	return place, err
}

// acquire pins an object that is in the store or on disk.
func (n *Node) acquire(ctx context.Context, id ids.ObjectID, by ids.ProcessID) (place objectstore.Extent, err error) {
	err = n.patiently(ctx, id, func(ctx context.Context) error {
		place, err = n.spill.Acquire(ctx, id, by)
		return err
	})
	return place, err
}

// transferRoom is for what other nodes send and want.
func (n *Node) transferRoom() transfer.Room {
	return transfer.Room{
		Create: func(ctx context.Context, id ids.ObjectID, size int64, by ids.ProcessID) (objectstore.Extent, error) {
			return n.create(ctx, id, size, by, true)
		},
		Acquire: n.acquire,
	}
}

// patiently runs what may wait for room in the store, for an object. Processes are
// asked to collect meanwhile. It ends when nothing moves there for long; the error
// says then what holds the memory.
func (n *Node) patiently(ctx context.Context, id ids.ObjectID, wait func(context.Context) error) error {
	err := wait(atOnce)
	if !errors.Is(err, context.Canceled) {
		return err
	}
	n.press()
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		n.watchRoom(ctx, id, cancel)
	}()
	err = wait(ctx)
	cancel(nil)
	<-watched
	if still := (*stillError)(nil); errors.As(err, &still) {
		return fmt.Errorf("%w; %w", err, still)
	}
	return err
}

// watchRoom ends ctx when nothing has moved for long. Only who is first in the line
// is refused: the others may have room, or be let go of, once that one is out of it.
func (n *Node) watchRoom(ctx context.Context, id ids.ObjectID, end context.CancelCauseFunc) {
	tick := time.NewTicker(storeLook)
	defer tick.Stop()
	moved, since := n.moved(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		u := n.store.Usage()
		if now := n.moved(); now != moved || u.Waiting > 0 && u.First != id {
			moved, since = now, time.Now()
		} else if time.Since(since) >= storePatience {
			end(&stillError{n.holding()})
			return
		}
	}
}

func (n *Node) moved() uint64 {
	return n.store.Usage().Moved + n.spill.Moved() + n.puller.Moved() + n.streams.Moved()
}

// holding says what keeps the store's memory from being used.
func (n *Node) holding() string {
	holdings := n.store.Holdings()
	u := n.store.Usage()
	var says []string
	rest := u.Used - u.Droppable
	for _, h := range holdings {
		rest -= h.Making
	}
	if pinned := n.store.Pinned(); pinned > 0 {
		says = append(says, fmt.Sprintf("%d bytes are in use by readers", pinned))
		rest -= pinned
	}
	for _, h := range holdings[:min(len(holdings), maxHolders)] {
		who := h.By.String()
		if h.By.Number == 0 {
			who = "transfers"
		}
		says = append(says, fmt.Sprintf("%s reads %d bytes and makes %d", who, h.Pinned, h.Making))
	}
	if rest > 0 {
		why := "are not on disk yet"
		if len(n.cfg.SpillDirs) == 0 {
			why = "can't go to disk: this node has no spill directory"
		} else if err := n.spill.Trouble(); err != nil {
			why = "can't go to disk: " + err.Error()
		}
		says = append(says, fmt.Sprintf("%d bytes %s", rest, why))
	}
	return strings.Join(says, "; ")
}
