// Package semantics is the matrix of docs/semantics.md as tests: a test a row, named
// for its id, on clusters of real processes that the tests share. It has no code of
// its own. What a row says, its test must be able to refute.
package semantics
