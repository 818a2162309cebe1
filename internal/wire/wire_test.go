package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is the two ends of a unix socket.
func pair(t testing.TB) (a, b *Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = Dial(path); err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b = New(nc)
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	for _, c := range []*Conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

func frame(body string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// TestMessages: what several goroutines send arrives whole, each one's in order.
func TestMessages(t *testing.T) {
	a, b := pair(t)
	const senders, each = 8, 200
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				text := fmt.Sprintf("%d %d %s", s, i, strings.Repeat("x", i*i%5000))
				if err := a.Send(wrapperspb.String(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := make([]int, senders)
	for range senders * each {
		var m wrapperspb.StringValue
		if err := b.Receive(&m); err != nil {
			t.Fatal(err)
		}
		var s, i int
		fmt.Sscanf(m.Value, "%d %d", &s, &i)
		if i != next[s] {
			t.Fatalf("sender %d: message %d after %d", s, i, next[s]-1)
		}
		next[s]++
	}
	all.Wait()
}

// TestSendersWait: a peer that doesn't read stops senders, and they go on with it.
func TestSendersWait(t *testing.T) {
	a, b := pair(t)
	const frames = 3 * maxPending >> 16
	var sent sync.WaitGroup
	for range 4 {
		sent.Go(func() {
			for range frames {
				err := a.SendFunc(func(b []byte) ([]byte, error) { return append(b, make([]byte, 1<<16)...), nil })
				if err != nil {
					t.Error(err)
				}
				if n := a.Unflushed(); n > maxPending+4*(1<<16+4) {
					t.Errorf("%d bytes wait", n)
				}
			}
		})
	}
	for range 4 * frames {
		if body, err := b.ReceiveFrame(); err != nil || len(body) != 1<<16 {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
	}
	sent.Wait()
}

func TestAppendAndFlush(t *testing.T) {
	a, b := pair(t)
	for _, body := range []string{"one", "", "three"} {
		if err := a.Append(func(b []byte) []byte { return append(b, body...) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.Unflushed(); n != 3*4+8 {
		t.Errorf("%d bytes wait", n)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one", "", "three"} {
		if got, err := b.Next(); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if b.More() != (i < 2) {
			t.Errorf("after %q: More is %v", want, b.More())
		}
	}
}

// TestCork: frames are kept back until Uncork, or until there are many bytes.
func TestCork(t *testing.T) {
	a, b := pair(t)
	send := func(body []byte) {
		t.Helper()
		if err := a.SendFunc(func(b []byte) ([]byte, error) { return append(b, body...), nil }); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(want ...int) {
		t.Helper()
		for _, n := range want {
			if body, err := b.ReceiveFrame(); err != nil || len(body) != n {
				t.Fatalf("%d bytes, %v; want %d", len(body), err, n)
			}
		}
	}
	a.Cork()
	send([]byte("one"))
	send([]byte("three"))
	if n := a.Unflushed(); n != 2*4+8 {
		t.Errorf("%d bytes wait", n)
	}
	if err := a.Uncork(); err != nil {
		t.Fatal(err)
	}
	receive(3, 5)
	a.Cork()
	send(make([]byte, corkBytes))
	receive(corkBytes)
	if err := a.Uncork(); err != nil {
		t.Fatal(err)
	}
	send(nil)
	receive(0)
	a.Cork()
	a.Cork() // somebody else
	if err := a.Uncork(); err != nil {
		t.Fatal(err)
	}
	send([]byte("four"))
	if n := a.Unflushed(); n != 4+4 {
		t.Errorf("%d bytes wait for the last Uncork", n)
	}
	if err := a.Uncork(); err != nil {
		t.Fatal(err)
	}
	receive(4)
}

// TestSendSoon: what many goroutines have to say arrives, whoever writes it.
func TestSendSoon(t *testing.T) {
	const senders, each = 50, 200
	a, b := pair(t)
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for i := range each {
				if err := a.SendSoon(wrapperspb.UInt32(uint32(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range senders * each {
		var m wrapperspb.UInt32Value
		if err := b.Receive(&m); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if n := a.Unflushed(); n != 0 {
		t.Errorf("%d bytes were left", n)
	}
}

func TestFailedBodySendsNothing(t *testing.T) {
	a, b := pair(t)
	broken := errors.New("broken")
	if err := a.SendFunc(func([]byte) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	var long *FrameTooLongError
	huge := make([]byte, MaxFrame+1)
	if err := a.SendFunc(func(b []byte) ([]byte, error) { return append(b, huge...), nil }); !errors.As(err, &long) || long.Length != MaxFrame+1 {
		t.Errorf("got %v", err)
	}
	if err := a.Append(func(b []byte) []byte { return append(b, huge...) }); !errors.As(err, &long) {
		t.Errorf("got %v", err)
	}
	if err := a.Send(wrapperspb.String("whole")); err != nil {
		t.Fatal(err)
	}
	var m wrapperspb.StringValue
	if err := b.Receive(&m); err != nil || m.Value != "whole" {
		t.Errorf("got %q, %v", m.Value, err)
	}
}

func TestClosedPeer(t *testing.T) {
	a, b := pair(t)
	b.Close()
	var err error
	for first := true; ; first = false { // the kernel may take some first
		if err = a.Send(wrapperspb.String("x")); err != nil {
			break
		}
		if !first {
			t.Fatal("two writes to a closed socket succeeded")
		}
	}
	if again := a.Send(wrapperspb.String("x")); !errors.Is(again, err) {
		t.Errorf("then %v, not %v", again, err)
	}
	if again := a.Flush(); !errors.Is(again, err) {
		t.Errorf("Flush: %v", again)
	}
	if again := a.Append(func(b []byte) []byte { return b }); !errors.Is(again, err) {
		t.Errorf("Append: %v", again)
	}
	if _, err := a.ReceiveFrame(); err == nil {
		t.Error("a frame from nowhere")
	}
}

// TestFiles: descriptors come with the first frame, and frames go on after it.
func TestFiles(t *testing.T) {
	for _, size := range []int{1, 3 << 20} { // more than a socket's buffer takes at once
		a, b := pair(t)
		path := filepath.Join(t.TempDir(), "f")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("x", size)
		sent := make(chan error, 1)
		go func() {
			err := a.SendFiles(wrapperspb.String(text), f, f)
			if err == nil {
				err = a.Send(wrapperspb.String("next"))
			}
			sent <- err
		}()
		var m wrapperspb.StringValue
		files, err := b.ReceiveFiles(&m, 2)
		if err != nil || len(files) != 2 || m.Value != text {
			t.Fatalf("%d files, %d bytes, %v", len(files), len(m.Value), err)
		}
		if _, err := files[1].WriteString("through"); err != nil {
			t.Error(err)
		}
		if err := b.Receive(&m); err != nil || m.Value != "next" {
			t.Errorf("then %q, %v", m.Value, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		for _, f := range append(files, f) {
			f.Close()
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "through" {
			t.Errorf("file %q, %v", got, err)
		}
	}
}

// TestNoFiles: a message may come without the files that were wanted.
func TestNoFiles(t *testing.T) {
	a, b := pair(t)
	if err := a.Send(wrapperspb.String("refused")); err != nil {
		t.Fatal(err)
	}
	var m wrapperspb.StringValue
	if files, err := b.ReceiveFiles(&m, 2); err != nil || len(files) != 0 || m.Value != "refused" {
		t.Errorf("%d files, %q, %v", len(files), m.Value, err)
	}
	a.NetConn().Write(binary.LittleEndian.AppendUint32(nil, MaxFrame+1))
	var long *FrameTooLongError
	if _, err := b.ReceiveFiles(&m, 2); !errors.As(err, &long) {
		t.Errorf("a long frame: %v", err)
	}
	a.Close()
	if _, err := b.ReceiveFiles(&m, 2); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	inner, outer := net.Pipe()
	defer inner.Close()
	defer outer.Close()
	if err := New(inner).SendFiles(&m); err == nil {
		t.Error("files were sent through what is no unix socket")
	}
	if _, err := New(outer).ReceiveFiles(&m, 1); err == nil {
		t.Error("files came through what is no unix socket")
	}
}

// scripted is a connection whose reads bring bytes in parts of a size.
type scripted struct {
	net.Conn
	b    []byte
	part int
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.b[:min(s.part, len(s.b))])
	s.b = s.b[n:]
	return n, nil
}

// reference reads frames the simple way; err is how the stream ends.
func reference(b []byte) (frames [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 4 {
			return frames, io.ErrUnexpectedEOF
		}
		n := binary.LittleEndian.Uint32(b)
		if n > MaxFrame {
			return frames, &FrameTooLongError{n}
		}
		if uint64(len(b)-4) < uint64(n) {
			return frames, io.ErrUnexpectedEOF
		}
		frames = append(frames, b[4:4+n])
		b = b[4+n:]
	}
	return frames, io.EOF
}

func checkFrames(t *testing.T, b []byte, part int) {
	t.Helper()
	want, end := reference(b)
	for name, read := range map[string]func(*Conn) ([]byte, error){"Next": (*Conn).Next, "ReceiveFrame": (*Conn).ReceiveFrame} {
		c := New(&scripted{b: b, part: part})
		for i := 0; ; i++ {
			got, err := read(c)
			if err == nil && i < len(want) && bytes.Equal(got, want[i]) {
				continue
			}
			if err == nil || i < len(want) {
				t.Fatalf("%s: frame %d of %d: %d bytes, %v", name, i, len(want), len(got), err)
			}
			if err.Error() != end.Error() {
				t.Fatalf("%s: it ends with %v, want %v", name, err, end)
			}
			break
		}
	}
}

// TestFramesOfAllSizes, at the edges of the buffer too.
func TestFramesOfAllSizes(t *testing.T) {
	var b []byte
	for _, n := range []int{0, 1, 4, 4091, 64<<10 - 5, 64<<10 - 4, 64<<10 - 3, 64 << 10, 200_000, 3} {
		b = append(b, frame(strings.Repeat("y", n))...)
	}
	for _, part := range []int{1, 3, 4096, 1 << 20} {
		checkFrames(t, b, part)
		checkFrames(t, b[:len(b)-1], part)
	}
	checkFrames(t, []byte{255, 255, 255, 255, 1}, 2)
}

// FuzzFrames: any bytes are read as the simple reader reads them.
func FuzzFrames(f *testing.F) {
	f.Add(append(frame("hello"), frame("")...), uint16(3))
	f.Add(append(frame(strings.Repeat("z", 300)), 9, 9), uint16(100)) // larger ones take minutes to minimize
	f.Add([]byte{255, 255, 255, 3, 0}, uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, part uint16) { checkFrames(t, b, 1+int(part)) })
}
