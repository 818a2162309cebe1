package recorder

// inOrder stores v so that nobody sees it before what was stored earlier, or after what is
// stored later. The processor keeps stores in order, and the compiler can't see that this is
// one; an atomic store would wait for all earlier ones, some of which miss the cache.
//
//go:noinline
func inOrder(word *uint64, v uint64) { *word = v }
