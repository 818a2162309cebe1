package simd

import "unsafe"

// Stream copies src to dst past the caches: for what this CPU won't read again soon. It saves reading what dst was, and
// leaves in the caches what is there.
func Stream[T Float](dst, src []T) {
	src = src[:len(dst)]
	if !vectors {
		copy(dst, src)
		return
	}
	size := int(unsafe.Sizeof(*new(T)))
	head := int(-uintptr(at(dst)) % line / uintptr(size)) // numbers until dst is aligned
	blocks := max(len(dst)-head, 0) * size / line
	if blocks == 0 {
		copy(dst, src)
		return
	}
	copy(dst[:head], src)
	stream(at(dst[head:]), at(src[head:]), blocks) // whole lines: others go slowly
	done := head + blocks*line/size
	copy(dst[done:], src[done:])
}
