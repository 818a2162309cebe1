// Package transfer carries bytes between nodes: objects from store to store
// (pulls), and the sockets of workers across hosts (tunnels).
//
// Both are raw streams on connections that the node made or accepted: mutual TLS
// with ALPN "gray-stream", or plain TCP where a cluster does without. A stream is
// one header (proto.StreamHeader), one reply (proto.StreamReply), each with a
// length (uint32, little-endian) before it, then bytes.
//
//	Server     answers streams: Serve(conn) for each accepted connection
//	Puller     brings objects into the local store
//	OpenTunnel connects to a worker's socket on another node
//	Pipe       joins two connections; what a tunnel does at both of its ends
//
// It owns the connections handed to it, and the object it is writing into a
// store until that is sealed or aborted. It never chooses a node, speaks gRPC,
// knows what an object means or who holds it, and never deletes a sealed object.
//
// # Invariants
//
//  1. A pull leaves in the store a sealed object with all its bytes, or nothing.
//  2. An object is pulled once at a time however many ask; the pull ends early
//     only when all who asked have given up.
//  3. Header and reply are bounded in length and time before anything is
//     allocated for them; no byte after them is read ahead.
//  4. A served object is pinned while its bytes are sent, and no longer; a peer
//     that stops reading loses its stream.
//  5. Close of a Server or Puller ends all its streams and waits for their
//     goroutines.
//
// # Locks
//
// Server.mu and Puller.mu are leaves: nothing is called under them.
package transfer
