package collective

import (
	"context"
	"encoding/binary"
	"sync/atomic"
)

// direct is a member's streams for Send and Recv, one of each at a time with each other member.
type direct struct {
	streams       []stream
	sends, recvs  []chan struct{} // by rank: who has the one token uses the stream
	sent, arrived []atomic.Uint32
	bytes         atomic.Uint64
}

func newDirect(streams []stream) *direct {
	d := &direct{streams: streams, sent: make([]atomic.Uint32, len(streams)), arrived: make([]atomic.Uint32, len(streams))}
	for range streams {
		d.sends, d.recvs = append(d.sends, make(chan struct{}, 1)), append(d.recvs, make(chan struct{}, 1))
	}
	return d
}

func (d *direct) close() {
	for _, s := range d.streams {
		if s != nil {
			_ = s.Close() // the group is broken
		}
	}
}

// take waits for a token.
func take(ctx context.Context, token chan struct{}) error {
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *direct) send(ctx context.Context, to int, c description, b []byte) error {
	if err := take(ctx, d.sends[to]); err != nil {
		return err
	}
	defer func() { <-d.sends[to] }()
	frame := make([]byte, 0, headerBytes+shortFrame)
	frame = binary.LittleEndian.AppendUint64(frame, uint64(d.sent[to].Add(1)))
	frame = binary.LittleEndian.AppendUint64(frame, uint64(c))
	short := min(len(b), shortFrame)
	if err := d.streams[to].Send(ctx, append(frame, b[:short]...)); err != nil {
		return &streamError{to, err}
	}
	d.bytes.Add(uint64(len(b)))
	if short == len(b) {
		return nil
	}
	if err := d.streams[to].Send(ctx, b[short:]); err != nil {
		return &streamError{to, err}
	}
	return nil
}

func (d *direct) recv(ctx context.Context, from int, c description, b []byte) error {
	if err := take(ctx, d.recvs[from]); err != nil {
		return err
	}
	defer func() { <-d.recvs[from] }()
	var h [headerBytes]byte
	if err := d.streams[from].Recv(ctx, h[:]); err != nil {
		return &streamError{from, err}
	}
	n := d.arrived[from].Add(1)
	if err := checkCall(from, n, c, uint32(binary.LittleEndian.Uint64(h[:])), description(binary.LittleEndian.Uint64(h[8:]))); err != nil {
		return err
	}
	if len(b) == 0 {
		return nil
	}
	if err := d.streams[from].Recv(ctx, b); err != nil {
		return &streamError{from, err}
	}
	return nil
}
