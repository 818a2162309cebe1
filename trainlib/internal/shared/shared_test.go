package shared

import (
	"errors"
	"math"
	"os"
	"testing"
	"time"
)

// TestCloseTwice: the second close leaves alone the file that has the number by then.
func TestCloseTwice(t *testing.T) {
	r, err := Create(4096)
	if err != nil {
		t.Fatal(err)
	}
	fd := r.FD()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if int(f.Fd()) != fd {
		t.Logf("number %d wasn't given to the next file", fd)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("another's file was closed: %v", err)
	}
}

// TestWordWrapsAround: waiters see what was written before the value that they wait for, also past the largest value.
func TestWordWrapsAround(t *testing.T) {
	r, err := Create(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	there, err := Open(r.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	start := uint32(math.MaxUint32 - 3)
	WordAt(r, 0).Set(start)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint32(8) {
			r.Bytes[1024+i] = byte(i + 1)
			WordAt(r, 0).Set(start + i + 1)
		}
	}()
	for i := range uint32(8) {
		if err := WordAt(there, 0).Wait(start+i+1, time.Second, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if got := there.Bytes[1024+i]; got != byte(i+1) {
			t.Errorf("byte %d is %d", i, got)
		}
	}
	<-done
}

// TestWaitEndsWithItsCheck: nobody sets the word.
func TestWaitEndsWithItsCheck(t *testing.T) {
	r, err := Create(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	over := errors.New("over")
	asked := 0
	err = WordAt(r, 0).WaitPatiently(Crowded, 1, time.Millisecond, func() error {
		if asked++; asked > 2 {
			return over
		}
		return nil
	})
	if !errors.Is(err, over) {
		t.Errorf("%v, not %v", err, over)
	}
	if n := WordAt(r, 0).waiters.Load(); n != 0 {
		t.Errorf("%d wait still", n)
	}
}
