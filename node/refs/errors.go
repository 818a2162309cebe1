package refs

import "errors"

var (
	// ErrClosed is returned by calls and waits after Close.
	ErrClosed = errors.New("directory of references closed")
	// ErrUnknownProcess says that a process is not of this node, was never
	// announced (ProcessStarted), or has died.
	ErrUnknownProcess = errors.New("not a living process of this node")
	// ErrNodeDead says that a node which is known as dead asked for something.
	ErrNodeDead = errors.New("node was declared dead")
	// ErrNoNode is what Peers' calls wrap to say that the node is dead for good or
	// never existed.
	ErrNoNode = errors.New("no such node")
	// ErrNotHome says that a request about an object came to another node than
	// the object's home.
	ErrNotHome = errors.New("not the home of the object")
	// ErrNotHeir says that a node was to keep a replica of what it can't have one of.
	ErrNotHeir = errors.New("not an heir of the object")
	// ErrOtherCluster says that a reference belongs to another cluster.
	ErrOtherCluster = errors.New("reference belongs to another cluster")
	// ErrNotOwner says that a process published another process's object.
	ErrNotOwner = errors.New("not the owner of the object")
)
