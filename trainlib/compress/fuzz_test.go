package compress

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzDecode: whatever the bytes, decoding ends with an error about them, or with numbers; what is a message is decoded
// the same again, and stands for as many numbers as it says.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(25, 26))
	for _, n := range []int{0, 1, 100} {
		for _, s := range specs(n) {
			c, err := New[float32](s, n)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(c.Encode(nil, normal[float32](r, n)))
		}
	}
	c, err := New[float64](TopK(0.1), 50)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Encode(nil, normal[float64](r, 50)))
	f.Fuzz(func(t *testing.T, message []byte) {
		n, err := Len(message)
		if err != nil {
			check(t, err)
			return
		}
		if n > 1<<16 {
			check(t, Decode(make([]float32, 10), message))
			return
		}
		whole := slices.Clone(message)
		a, b := make([]float32, n), make([]float32, n)
		if err := Decode(a, message); err != nil {
			check(t, err)
			check(t, Decode(make([]float64, n), message))
			return
		}
		if err := Decode(b, message); err != nil {
			t.Fatalf("decoded once, not again: %v", err)
		}
		for i := range a {
			if a[i] != b[i] && finite(a[i]) {
				t.Fatalf("number %d is %g, then %g", i, a[i], b[i])
			}
		}
		check(t, Decode(make([]float32, n+1), message))
		check(t, AddTo(a, message))
		if !slices.Equal(whole, message) {
			t.Fatal("decoding changed the message")
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrMessage) {
		t.Fatal(err)
	}
}

// TestDamagedMessages: each shorter message, and each with a byte more, is refused.
func TestDamagedMessages(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	const n = 70
	out := make([]float32, n)
	for _, s := range specs(n) {
		c, err := New[float32](s, n)
		if err != nil {
			t.Fatal(err)
		}
		message := c.Encode(nil, normal[float32](r, n))
		for i := range message {
			if err := Decode(out, message[:i]); !errors.Is(err, ErrMessage) {
				t.Errorf("%s: %d of %d bytes: %v", name(s), i, len(message), err)
			}
		}
		if err := Decode(out, append(slices.Clone(message), 0)); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: a byte more: %v", name(s), err)
		}
		if err := Decode(make([]float64, n), message); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: as float64: %v", name(s), err)
		}
		for _, at := range []int{0, 1, 2, 3, 4, 12} {
			bad := slices.Clone(message)
			bad[at] ^= 0x80
			if err := Decode(out, bad); !errors.Is(err, ErrMessage) {
				t.Errorf("%s: byte %d changed: %v", name(s), at, err)
			}
		}
	}
}
