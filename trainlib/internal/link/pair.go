package link

// Pair is a connection within the process: what one end sends the other receives.
func Pair() (*Conn, *Conn) {
	a, b := &Conn{}, &Conn{}
	abMemory, baMemory := aligned(ringHeadBytes+pairBytes), aligned(ringHeadBytes+pairBytes)
	join := func(c, other *Conn, out, in []byte, name string) {
		c.transport, c.peer = "memory", name
		c.broken = make(chan struct{})
		c.out = half{conn: c, bell: &chanBell{}}
		c.in = half{conn: c, bell: &chanBell{}}
		c.out.wire = &ringWriter{ring: ringIn(out), conn: c}
		c.in.wire = &ringReader{ring: ringIn(in), conn: c}
		c.close = func() error {
			other.fail(ErrPeerGone)
			return nil
		}
	}
	join(a, b, abMemory, baMemory, "the second of a pair")
	join(b, a, baMemory, abMemory, "the first of a pair")
	for _, c := range [][2]*Conn{{a, b}, {b, a}} {
		c[0].out.wire.(*ringWriter).peer = c[1].in.bell
		c[0].in.wire.(*ringReader).peer = c[1].out.bell
	}
	return a, b
}

const pairBytes = 64 << 10
