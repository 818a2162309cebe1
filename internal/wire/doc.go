// Package wire carries length-prefixed frames over stream sockets, file
// descriptors with them over unix sockets, and protobuf messages in them.
//
// It owns buffering: writers from many goroutines are gathered into one write
// to the socket. It never interprets a frame.
//
// A frame is a length (uint32, little-endian, not counting itself) and so many
// bytes.
package wire
