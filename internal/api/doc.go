// Package api is the HTTP interface of a head as types, and a client for it.
// Routes and shapes are those of Ray's job and state API, so that Ray's own
// tools work; fields of gray's own stand beside them.
//
// It owns the names of fields and paths, which the head and the CLI share. It
// never talks gRPC and knows nothing of how a head works.
//
// Invariants:
//  1. A field that Ray's tools read keeps Ray's name and meaning.
//  2. A Client talks to heads of the token's cluster only (HTTPS by the token's
//     fingerprint) or to the plain HTTP address that it was given.
//  3. A submission that was repeated because its answer got lost has its effect once.
//  4. What isn't harmless to do twice is asked of one head only.
//
// A Client's lock guards what it knows of heads; nothing is called with it held.
package api
