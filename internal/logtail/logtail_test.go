package logtail

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestOffset compares with the lines of random logs, rotated at random places.
func TestOffset(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		path := filepath.Join(t.TempDir(), "log")
		var b strings.Builder
		for range r.IntN(30) {
			b.WriteString(strings.Repeat("x", r.IntN(1+r.IntN(9000))) + "\n")
		}
		if r.IntN(2) == 0 {
			b.WriteString("the last without an end")
		}
		all := b.String()
		split := r.IntN(len(all) + 1)
		if i := strings.LastIndexByte(all[:split], '\n'); r.IntN(2) == 0 {
			split = i + 1 // at a line's beginning
		}
		if split > 0 {
			write(t, path+".1", all[:split])
		}
		write(t, path, all[split:])
		lines := strings.SplitAfter(all, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		n := 1 + r.IntN(40)
		want := strings.Join(lines[max(0, len(lines)-n):], "")
		offset, err := Offset(path, n)
		if err != nil || all[offset:] != want {
			t.Fatalf("last %d of %d lines, %d bytes, split at %d: from %d, want from %d, %v",
				n, len(lines), len(all), split, offset, len(all)-len(want), err)
		}
		var got strings.Builder
		if err := Copy(t.Context(), &got, path, offset, false); err != nil || got.String() != want {
			t.Fatalf("copied %d bytes of %d: %v", got.Len(), len(want), err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFollow: what is added arrives, across rotations, until nobody wants it any more.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, "line 0\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan string)
	done := make(chan error, 1)
	go func() { done <- Copy(ctx, sink(got), path, 0, true) }()
	for i := range 6 {
		want := fmt.Sprintf("line %d\n", i)
		if text := <-got; text != want {
			t.Fatalf("got %q, want %q", text, want)
		}
		next := fmt.Sprintf("line %d\n", i+1)
		if i%2 == 1 {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			write(t, path, next)
			continue
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(next)
		f.Close()
	}
	<-got
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if offset, err := Offset(filepath.Join(t.TempDir(), "none"), 3); err != nil || offset != 0 {
		t.Errorf("no file: %d, %v", offset, err)
	}
}

type sink chan string

func (s sink) Write(p []byte) (int, error) {
	s <- string(p)
	return len(p), nil
}
