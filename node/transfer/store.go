package transfer

import (
	"context"

	"github.com/gray-runtime/gray/internal/ids"
)

// Store is what the package needs of a node's object store. Of adapts the real
// one. All calls are made in the name of the node itself.
type Store interface {
	// Create makes an unsealed object and returns its memory. It may wait for
	// room. If the object is there already, sealed or not, the error is ErrExists.
	Create(ctx context.Context, id ids.ObjectID, size int64) ([]byte, error)
	// Seal makes a created object visible, and leaves it unpinned.
	Seal(id ids.ObjectID) error
	// Abort ends a created object that won't be sealed.
	Abort(id ids.ObjectID) error
	// Wait returns when an object that somebody is making is sealed, or with an
	// error when it isn't being made any more.
	Wait(ctx context.Context, id ids.ObjectID) error
	// Get pins a sealed object that is in memory and returns its bytes; each Get that
	// does needs one Release.
	Get(id ids.ObjectID) ([]byte, bool)
	// Acquire is Get of an object that may lie on disk, from where it's read first.
	// That may take long; ctx ends only the wait for room.
	Acquire(ctx context.Context, id ids.ObjectID) ([]byte, error)
	// Release ends one Get or Acquire.
	Release(id ids.ObjectID)
}
