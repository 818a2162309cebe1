// Package transfer carries bytes between nodes: objects from store to store
// (pulls), and the sockets of workers across hosts (tunnels).
//
// Both are raw streams on connections that the node made or accepted: mutual TLS
// with ALPN "gray-stream", or plain TCP where a cluster does without. A stream is
// one header (proto.StreamHeader), one reply (proto.StreamReply), each with a
// length (uint32, little-endian) before it, then bytes. After the bytes of a chunk
// the next header may come; it may be sent before they have come.
//
//	Server     answers streams: Serve(conn) for each accepted connection
//	Puller     brings objects into the local store
//	OpenTunnel connects to a worker's socket on another node
//	Pipe       joins two connections; what a tunnel does at both of its ends
//
// It owns the connections handed to it, and the object it is writing into a
// store until that is sealed or aborted. It never chooses a node to run things on,
// speaks gRPC, knows what an object means or who holds it, and never deletes a
// sealed object.
//
// # Pulls
//
// An object comes in chunks, over a few connections at once (a small one is one
// chunk: one round trip), each asked for when the one before begins to come. A
// connection that breaks costs its chunk. A node that isn't reached, or breaks before
// anything has come, is tried again twice, after pauses; one that refuses is given
// up. Others go on where it stopped. Connections are kept for later pulls.
//
// A server answers well within StallTimeout. If an object can't be read from its disk
// in that time, the reading goes on, and the answer is UNAVAILABLE: the puller, unless
// another node gives the object meanwhile, asks again for as long as its callers wait.
// A node that is itself pulling what it's asked for has what has come; else NOT_FOUND.
//
// Two lines bound what is under way. That of bytes is passed before the store is asked
// for room, but who waits long for room stands back. That of objects is passed
// afterwards; at most half of it is for one node, which may be slow.
//
// # Broadcasts
//
// A request says which chunks the puller has. So a node from which several pull an
// object knows who has what (swarm.go): it sends each chunk once, a few at a time and
// to each as many as to others, and else names a node that has the chunk. Nodes serve
// the chunks that they have while they pull (part.go). So what n nodes pull leaves
// the source about once, and all of their links carry it. Nobody waits for a chunk
// anywhere but at a node that is sending it or being sent it, for a second or, there,
// five; and a puller that was pointed at a node in vain insists: then the source sends.
//
// # Why writes and not sendfile
//
// The kernel would hold pages of the arena in its queues, by reference, after
// sendfile has returned. By then the object may be deleted and its memory another's,
// whose bytes would go out. A write copies. (Nodes speak TLS, which copies anyway.)
//
// # Invariants
//
//  1. A pull leaves in the store a sealed object with all its bytes, or nothing.
//  2. An object is pulled once at a time however many ask; the pull ends early
//     only when all who asked have given up.
//  3. Header and reply are bounded in length and time before anything is
//     allocated for them; no byte after them is read ahead. Sizes, numbers of chunks
//     and sets of chunks that they hold are any: they are checked against the object.
//  4. A served object is pinned from a request for one of its chunks until half a
//     second after the chunk was sent, or the connection ends; a peer that stops
//     reading loses its stream.
//  5. An unsealed object's bytes are read only by this node's Server, only of chunks
//     that have come, and copied while they can't go; never after Seal or Abort.
//  6. FetchError.Lost is said only if no living node that was named has all of the
//     object.
//  7. Close of a Server or Puller ends all its streams and waits for their
//     goroutines.
//
// # Locks
//
// Server.mu, Puller.mu and those of line, part, pool, swarms, swarm and grip are
// leaves: nothing is called under them, except that a line's is taken under Puller.mu.
package transfer
