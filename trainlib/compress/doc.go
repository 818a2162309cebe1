// Package compress makes gradients small before they're sent: 8 and 4 bits with a scale a block, 1 bit,
// ternary, the largest (top-k), random ones, Deep Gradient Compression, low rank (PowerSGD), 16-bit floats.
//
// A Compressor turns one member's gradients into messages and keeps what each lost, to add it to the next (error
// feedback). Messages say themselves what they are: Decode and AddTo need nothing else. A Reducer sums up all
// members' gradients so, over a collective.Group. It owns messages' form, kept errors, and what of a gradient is
// sent; it never decides when, and moves bytes by package collective only.
//
// Invariants: what a message and the kept error have together is the gradient and the error kept before (with
// Feedback, but for Clip and non-finite numbers); the same gradients, seed and steps give the same bytes on every CPU (but of dgc and powersgd); all
// members' results of a Reducer are the same to the bit. A number that isn't finite is sent as one (or as a block of such),
// and isn't kept. A Compressor and a Reducer are used by one goroutine at a time.
package compress
