package link

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
)

// A test's peer is a process of this binary that gets an order by its environment.
type order struct {
	To      Address
	Options Options
	Away    bool
	Do      string // "hold", "ring"; the peer of a listener's "serve" is told by its hello what to do
	Sizes   []int
	Seconds float64 // a size
}

const orderVariable = "GRAY_LINK_TEST_ORDER"

func TestMain(m *testing.M) {
	if s := os.Getenv(orderVariable); s != "" {
		var o order
		err := json.Unmarshal([]byte(s), &o)
		if err == nil {
			err = o.follow(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "the peer:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func (o order) follow(ctx context.Context) error {
	e, err := Listen(ctx, o.Options)
	if err != nil {
		return err
	}
	defer e.Close()
	if o.Do == "serve" {
		return o.serve(ctx, e)
	}
	if o.Away {
		o.To.Host = "elsewhere"
	}
	c, err := e.Dial(ctx, o.To, []byte(o.Do))
	if o.Do == "be refused" {
		if err == nil {
			return errors.New("it got in")
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	switch o.Do {
	case "hold":
		if err := c.Send(ctx, []byte("held")); err != nil {
			return err
		}
		<-c.Broken()
		return nil
	case "ring":
		_, err := timedRings(ctx, c, 1, o.Sizes, o.Seconds)
		return err
	}
	return errors.New("unknown order")
}

// served is what a listener in another process reports, a line each: where it is, then how it went.
type served struct {
	Address   *Address
	Transport string
	US        []float64 // of each size
	Err       string
	Deadline  bool // it was a context's
	Gone      bool
}

// serve does as what one peer says: with "hold" it waits for bytes that don't come, until the peer is gone or, once it's told
// by a line of input, for half a second.
func (o order) serve(ctx context.Context, e *Endpoint) error {
	out := json.NewEncoder(os.Stdout)
	address := e.Address()
	if err := out.Encode(served{Address: &address}); err != nil {
		return err
	}
	c, hello, err := e.Accept(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	r := served{Transport: c.Transport()}
	switch string(hello) {
	case "ring":
		r.US, err = timedRings(ctx, c, 0, o.Sizes, o.Seconds)
	case "hold":
		if err = c.Recv(ctx, make([]byte, 4)); err != nil {
			break
		}
		if err = out.Encode(r); err != nil {
			return err
		}
		if _, err = bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		err = c.Recv(limited, make([]byte, 1))
	}
	if err != nil {
		r.Err, r.Deadline, r.Gone = err.Error(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrPeerGone)
	}
	return out.Encode(r)
}

// command starts a process that follows the order, inside another command if some words of one are given.
func (o order) command(t testing.TB, inside ...string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	line := append(slices.Clone(inside), os.Args[0])
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// peer is a process that follows an order, connected to the test.
func peer(t testing.TB, e *Endpoint, o order) (*Conn, *exec.Cmd) {
	t.Helper()
	o.To = e.Address()
	cmd := o.command(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, hello, err := e.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if string(hello) != o.Do {
		t.Fatalf("hello %q", hello)
	}
	return c, cmd
}

// TestKilled: who waits for a process that's killed is told at once, on every transport.
func TestKilled(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			e := listenFor(t, k.o)
			c, cmd := peer(t, e, order{Options: k.o, Away: k.away, Do: "hold"})
			b := make([]byte, 4)
			if err := c.Recv(t.Context(), b); err != nil || string(b) != "held" {
				t.Fatal(string(b), err)
			}
			done := make(chan error)
			go func() { done <- c.Recv(t.Context(), b) }()
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !errors.Is(err, ErrPeerGone) {
				t.Fatal(err)
			}
			<-c.Broken()
		})
	}
}

// TestKilledWhileFull: so is who waits for room, as nobody receives.
func TestKilledWhileFull(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			e := listenFor(t, k.o)
			c, cmd := peer(t, e, order{Options: k.o, Away: k.away, Do: "hold"})
			done := make(chan error)
			go func() { done <- c.Send(t.Context(), make([]byte, 64<<20)) }()
			if err := c.Recv(t.Context(), make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !errors.Is(err, ErrPeerGone) {
				t.Fatal(err)
			}
		})
	}
}

func floats(b []byte) []float32 {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
}

func add(dst, x []float32) {
	for len(dst) >= 8 && len(x) >= 8 {
		d, y := (*[8]float32)(dst), (*[8]float32)(x)
		d[0] += y[0]
		d[1] += y[1]
		d[2] += y[2]
		d[3] += y[3]
		d[4] += y[4]
		d[5] += y[5]
		d[6] += y[6]
		d[7] += y[7]
		dst, x = dst[8:], x[8:]
	}
	for i := range dst {
		dst[i] += x[i]
	}
}

// ringOfTwo is an allreduce of two.
type ringOfTwo struct {
	c    *Conn
	rank int
	tmp  []byte
	dst  []float32
	fold func([]byte)
}

func newRing(c *Conn, rank int) *ringOfTwo {
	r := &ringOfTwo{c: c, rank: rank, tmp: aligned(16 << 10)}
	r.fold = func(p []byte) {
		f := floats(p)
		add(r.dst[:len(f)], f)
		r.dst = r.dst[len(f):]
	}
	return r
}

func (r *ringOfTwo) reduce(ctx context.Context, x []byte) error {
	if len(x) <= len(r.tmp) {
		if err := SendRecv(ctx, r.c, x, r.c, r.tmp[:len(x)]); err != nil {
			return err
		}
		add(floats(x), floats(r.tmp[:len(x)]))
		return nil
	}
	half := len(x) / 2 &^ 63
	mine, other := x[:half], x[half:]
	if r.rank == 1 {
		mine, other = other, mine
	}
	r.dst = floats(mine)
	if err := SendFold(ctx, r.c, other, r.c, len(mine), 4, r.fold); err != nil {
		return err
	}
	return SendRecv(ctx, r.c, mine, r.c, other)
}

// timedRings times allreduces; median microseconds of each size.
func timedRings(ctx context.Context, c *Conn, rank int, sizes []int, seconds float64) ([]float64, error) {
	r := newRing(c, rank)
	var all []float64
	for _, size := range sizes {
		x := aligned(size)
		for i := range floats(x) {
			floats(x)[i] = float32(rank + 1)
		}
		if err := r.reduce(ctx, x); err != nil {
			return nil, err
		}
		for i, v := range floats(x) {
			if v != 3 {
				return nil, fmt.Errorf("%d bytes: the sum at %d is %v", size, i, v)
			}
		}
		clear(x)
		began := time.Now()
		for range 3 {
			if err := r.reduce(ctx, x); err != nil {
				return nil, err
			}
		}
		once := aligned(8)
		floats(once)[0] = float32(time.Since(began).Seconds() / 3)
		if err := r.reduce(ctx, once); err != nil {
			return nil, err
		}
		each := float64(floats(once)[0]) / 2
		inner := min(5000, max(1, int(seconds/10/each)))
		var took []float64
		for range min(15, max(5, int(seconds/each/float64(inner)))) {
			began := time.Now()
			for range inner {
				if err := r.reduce(ctx, x); err != nil {
					return nil, err
				}
			}
			took = append(took, time.Since(began).Seconds()/float64(inner)*1e6)
		}
		slices.Sort(took)
		all = append(all, took[len(took)/2])
	}
	return all, nil
}

// TestRingSpeed prints an allreduce's time between two processes over each transport: GRAY_LINK_SPEED=seconds a size.
func TestRingSpeed(t *testing.T) {
	seconds, err := strconv.ParseFloat(os.Getenv("GRAY_LINK_SPEED"), 64)
	if err != nil {
		t.Skip("GRAY_LINK_SPEED isn't set")
	}
	sizes := []int{8, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 100 << 20}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			e := listenFor(t, k.o)
			c, _ := peer(t, e, order{Options: k.o, Away: k.away, Do: "ring", Sizes: sizes, Seconds: seconds})
			us, err := timedRings(t.Context(), c, 0, sizes, seconds)
			if err != nil {
				t.Fatal(err)
			}
			var line strings.Builder
			for i, s := range sizes {
				fmt.Fprintf(&line, "  %d: %.1f µs", s, us[i])
				if s >= 1<<20 {
					fmt.Fprintf(&line, " (%.2f GB/s)", float64(s)/us[i]/1e3)
				}
			}
			t.Log(line.String())
		})
	}
}
