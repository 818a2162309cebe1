package codec

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestSharedCopy: what several goroutines copy is whole, at every size around the pieces'.
func TestSharedCopy(t *testing.T) {
	data := make([]byte, sharedCopy+2*copyPiece+7)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for _, n := range []int{sharedCopy - 1, sharedCopy, sharedCopy + 1, sharedCopy + copyPiece, len(data)} {
		room := append(make([]byte, 0, n+10), "head"...)
		got := appendData(room, data[:n])
		if &got[0] != &room[0] || string(got[:4]) != "head" || !bytes.Equal(got[4:], data[:n]) {
			t.Errorf("%d bytes with room", n)
		}
		if got := appendData([]byte("head"), data[:n]); string(got[:4]) != "head" || !bytes.Equal(got[4:], data[:n]) {
			t.Errorf("%d bytes without", n)
		}
	}
}
