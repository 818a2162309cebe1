package e2e

import (
	"fmt"
	"net"
	"testing"
)

// TestBadHeads: what can't be joined, removed or given the lead is refused with a
// reason.
func TestBadHeads(t *testing.T) {
	t.Parallel()
	h, other, stranger := newHost(t), newHost(t), newHost(t)
	h.startHead()
	other.startHead()
	join := func(at string, more ...string) []string {
		return append(begun("--join", at), more...)
	}
	stranger.fails(1, []string{"no token", h.address, "GRAY_TOKEN"}, join(h.address)...)
	stranger.fails(1, []string{"--token", "malformed"}, join(h.address, "--token", "x")...)
	stranger.fails(1, []string{"join the heads at " + h.address, "cluster"}, join(h.address, "--token", other.token())...)
	wrong := h.token()[:26] + other.token()[26:] // this cluster's authority, another secret
	stranger.fails(1, []string{"join the heads at " + h.address, "token"}, join(h.address, "--token", wrong)...)
	stranger.fails(2, []string{"--join", "HOST:PORT"}, join("nowhere", "--token", h.token())...)
	stranger.fails(2, []string{"--join adds a head: give --head too"}, "start", "--join", h.address, "--token", h.token())

	closed := listen(t, "127.0.0.1:0", nil)
	closed.Close()
	mute := listen(t, "127.0.0.1:0", func(c net.Conn) { c.Close() })
	chatty := listen(t, "127.0.0.1:0", func(c net.Conn) {
		fmt.Fprint(c, "220 mail.example ESMTP\r\n")
		c.Close()
	})
	for _, x := range []struct{ what, at, why string }{
		{"nobody", closed.Addr().String(), "connection refused"},
		{"something mute", mute.Addr().String(), ""},
		{"something else", chatty.Addr().String(), "doesn't speak TLS"},
		{"a node", h.nodes()[0].Address, "isn't a head"},
	} {
		t.Run(x.what, func(t *testing.T) {
			t.Parallel()
			s := newHost(t)
			s.fails(1, []string{"join the heads at " + x.at, x.why}, join(x.at, "--token", h.token())...)
			s.clean()
		})
	}
	stranger.clean()

	address := []string{"--address", h.address}
	h.fails(1, []string{`no head "nosuch"`, "gray heads"}, append([]string{"heads", "remove", "nosuch"}, address...)...)
	h.fails(1, []string{`no head "nosuch"`, "gray heads"}, append([]string{"heads", "transfer", "nosuch"}, address...)...)
	h.fails(1, []string{"there is no other head"}, append([]string{"heads", "transfer"}, address...)...)
	h.fails(2, []string{"which head?"}, append([]string{"heads", "remove"}, address...)...)
	id := rowsOf[headRow](h, "heads")[0].ID
	h.fails(1, []string{id, "the cluster would end"}, append([]string{"heads", "remove", id}, address...)...)
	h.must(append([]string{"heads", "transfer", id}, address...)...)
	h.must("submit", "examples/hello/job.go")
}
