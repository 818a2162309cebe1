package refs

import (
	"context"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// Peers is how a directory speaks to other directories and to the processes of
// its node. The node implements it over gRPC and unix sockets. Methods are
// called without the directory's lock, from the directory's own goroutines
// (Resolve: from the caller's), and may call the directory.
type Peers interface {
	// Borrow tells home that this node borrows objects; home hands it to
	// Directory.BorrowedBy with the same seq. It returns when home answered. Any
	// error makes the directory repeat the call, same seq and objects, until
	// NodeDied(home) or Close. An error that wraps ErrNoNode counts as
	// NodeDied(home): only for a node that is known to be dead or never to have been.
	Borrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error
	// Unborrow is Borrow's opposite (Directory.UnborrowedBy).
	Unborrow(ctx context.Context, home ids.NodeID, seq uint64, objects []ids.ObjectID) error
	// Resolve asks home for the state of an object of its own
	// (Directory.ResolveHere there). An error is retried until ctx ends.
	Resolve(ctx context.Context, home ids.NodeID, object ids.ObjectID, lostOn []ids.NodeID) (*proto.ObjectState, error)
	// Seek asks every other living node for the heirs of objects (Directory.Heirs).
	// Of each object it returns, in their order, those heirs that answered that they
	// are. It goes on until all nodes have answered or are dead, of which it tells the
	// directory (NodeDied): no answer mustn't be taken for a no. Its error is ctx's.
	Seek(ctx context.Context, objects []ids.ObjectID) ([][]ids.NodeID, error)
	// Settled returns when Directory.Settled has on every other living node, also on
	// those that this one hasn't heard of when it's called; its error is ctx's.
	Settled(ctx context.Context, dead []ids.NodeID) error
	// Wanted asks a local process to publish an object of its own. It reports
	// false when the process is gone. Calls about one process are made one after
	// another, with Drop's, and may block that process's messages only.
	Wanted(owner ids.ProcessID, object ids.ObjectID, lostOn []ids.NodeID) bool
	// Drop tells a local process that these objects of its own have no entry
	// here any more.
	Drop(owner ids.ProcessID, objects []ids.ObjectID)
	// DeleteStored deletes objects, if they are there, from this node's store or
	// another's. It is called once; the implementation retries while node lives.
	// One call a node at a time.
	DeleteStored(node ids.NodeID, objects []ids.ObjectID)
	// Unreferenced tells that nobody holds actors whose home this is any more.
	Unreferenced(actors []ids.ActorID)
}
