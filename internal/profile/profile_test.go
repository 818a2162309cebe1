package profile

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTake(t *testing.T) {
	for _, kind := range Kinds {
		d := time.Duration(0)
		if Lasts(kind) {
			d = 20 * time.Millisecond
		}
		b, err := Take(t.Context(), kind, d)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		zipped := bytes.HasPrefix(b, []byte{0x1f, 0x8b})
		switch {
		case kind == Stack && !strings.Contains(string(b), "profile.TestTake("):
			t.Errorf("the stacks lack this test: %.200s", b)
		case kind == Trace && !bytes.HasPrefix(b, []byte("go 1.")):
			t.Errorf("no trace: %.20q", b)
		case kind != Stack && kind != Trace && !zipped:
			t.Errorf("%s is no profile: %.20q", kind, b)
		}
	}
}

func TestOneAtATime(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	timed.Lock() // by another
	_, err := Take(ctx, Trace, time.Millisecond)
	timed.Unlock()
	if !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	cancel(why)
	if _, err := Take(ctx, CPU, MaxDuration); !errors.Is(err, why) {
		t.Errorf("ended: %v", err)
	}
	if _, err := Take(t.Context(), CPU, time.Millisecond); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		kind string
		d    time.Duration
	}{{"", 0}, {"cpus", time.Second}, {CPU, 0}, {CPU, -1}, {CPU, MaxDuration + 1}} {
		if _, err := Take(t.Context(), c.kind, c.d); !errors.Is(err, ErrKind) {
			t.Errorf("%q over %v: %v", c.kind, c.d, err)
		}
	}
	b := &bounded{}
	for range 3 {
		if n, err := b.Write(make([]byte, MaxBytes/2+1)); n != MaxBytes/2+1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if b.Len() != MaxBytes || !b.more {
		t.Errorf("%d bytes, more: %v", b.Len(), b.more)
	}
}
