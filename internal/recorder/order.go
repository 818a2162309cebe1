//go:build !amd64

package recorder

import "sync/atomic"

// inOrder stores v so that nobody sees it before what was stored earlier.
func inOrder(word *uint64, v uint64) { atomic.StoreUint64(word, v) }
