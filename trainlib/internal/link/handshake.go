package link

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The handshake, the same on each stream of every transport. Both ends prove that they know the secret of the listener's
// address, for numbers that the other end chose; neither says the secret.
//
//	dialer → listener  offer: magic, kind, which stream of how many, connection, number, hello
//	listener → dialer  number, proof
//	dialer → listener  proof (with it, the descriptors of shared memory)
//	listener → dialer  ready
const (
	magic      = "graylnk1"
	numberSize = 32
	proofSize  = sha256.Size
	offerSize  = len(magic) + 4 + 16 + numberSize + 4
	maxHello   = 64 << 10
	ready      = 'r'
)

// Kinds of connections.
const (
	kindMemory = 1
	kindStream = 2
)

// ErrRefused is that a peer hasn't proved what it must.
var ErrRefused = errors.New("the peer doesn't know the secret")

// offer is what a dialer begins with.
type offer struct {
	kind         byte
	index, count byte // of the connection's streams
	connection   [16]byte
	number       [numberSize]byte
	hello        []byte
}

func (o *offer) encode() []byte {
	b := make([]byte, 0, offerSize+len(o.hello))
	b = append(b, magic...)
	b = append(b, o.kind, o.index, o.count, 0)
	b = append(b, o.connection[:]...)
	b = append(b, o.number[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(o.hello)))
	return append(b, o.hello...)
}

// readOffer reads an offer, and returns what was read with it.
func readOffer(r io.Reader) (o offer, raw []byte, err error) {
	head := make([]byte, offerSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return o, nil, fmt.Errorf("read an offer: %w", err)
	}
	rest, ok := bytes.CutPrefix(head, []byte(magic))
	if !ok {
		return o, nil, errors.New("read an offer: it isn't one")
	}
	o.kind, o.index, o.count = rest[0], rest[1], rest[2]
	copy(o.connection[:], rest[4:])
	copy(o.number[:], rest[20:])
	n := binary.LittleEndian.Uint32(rest[20+numberSize:])
	switch {
	case o.kind != kindMemory && o.kind != kindStream, rest[3] != 0,
		o.kind == kindMemory && o.count != 1, o.count == 0, o.count > maxStreams, o.index >= o.count:
		return o, nil, fmt.Errorf("read an offer: stream %d of %d of kind %d", o.index, o.count, o.kind)
	case n > maxHello:
		return o, nil, fmt.Errorf("read an offer: a hello of %d bytes, more than %d", n, maxHello)
	}
	o.hello = make([]byte, n)
	if _, err := io.ReadFull(r, o.hello); err != nil {
		return o, nil, fmt.Errorf("read an offer's hello: %w", err)
	}
	return o, append(head, o.hello...), nil
}

// proof is what only who knows the secret can say, for one side of one handshake.
func proof(secret []byte, side string, offered, number []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(side))
	m.Write(offered)
	m.Write(number)
	return m.Sum(nil)
}

// The sides of a proof.
const (
	dialer   = "dialer"
	listener = "listener"
)

// offerTo is the dialer's half up to its proof, which the caller sends.
func offerTo(c io.ReadWriter, o *offer, secret []byte) ([]byte, error) {
	copy(o.number[:], randomBytes(numberSize))
	offered := o.encode()
	if _, err := c.Write(offered); err != nil {
		return nil, fmt.Errorf("send an offer: %w", err)
	}
	answer := make([]byte, numberSize+proofSize)
	if _, err := io.ReadFull(c, answer); err != nil {
		return nil, fmt.Errorf("receive the answer to an offer: %w", err)
	}
	number := answer[:numberSize]
	if !hmac.Equal(answer[numberSize:], proof(secret, listener, offered, number)) {
		return nil, ErrRefused
	}
	return proof(secret, dialer, offered, number), nil
}

// awaitReady ends the dialer's half.
func awaitReady(c io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return fmt.Errorf("await that the peer is ready: %w", err)
	}
	if b[0] != ready {
		return errors.New("await that the peer is ready: it said something else")
	}
	return nil
}

// answer is the listener's half up to the dialer's proof: the offer, and the proof that the dialer owes.
func answer(c io.ReadWriter, secret []byte) (offer, []byte, error) {
	o, offered, err := readOffer(c)
	if err != nil {
		return o, nil, err
	}
	number := randomBytes(numberSize)
	if _, err := c.Write(append(number, proof(secret, listener, offered, number)...)); err != nil {
		return o, nil, fmt.Errorf("answer an offer: %w", err)
	}
	return o, proof(secret, dialer, offered, number), nil
}

// checkProof reads the dialer's proof.
func checkProof(c io.Reader, want []byte) error {
	got := make([]byte, proofSize)
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("receive a proof: %w", err)
	}
	if !hmac.Equal(got, want) {
		return ErrRefused
	}
	return nil
}
