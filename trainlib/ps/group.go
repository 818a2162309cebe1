package ps

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	gray "github.com/gray-runtime/gray/sdk"
	"github.com/gray-runtime/gray/trainlib/model"
	"github.com/gray-runtime/gray/trainlib/optim"
	"github.com/gray-runtime/gray/trainlib/ps/clock"
)

// Mode says who waits for whom. The zero Mode is synchronous.
type Mode struct {
	// Bound is how many clocks a worker may be ahead of the slowest. With 0, the gradients of a clock are joined by sample count to
	// one update, as nobody could see a state in between; else each is applied at once.
	Bound int
	// Backups is how many of the slowest workers nobody waits for: what they push late is dropped.
	Backups int
}

// Synchronous waits for all workers.
func Synchronous() Mode { return Mode{} }

// Stale lets a worker be so many clocks ahead of the slowest; 0 is Synchronous.
func Stale(bound int) Mode { return Mode{Bound: bound} }

// Asynchronous waits for nobody.
func Asynchronous() Mode { return Mode{Bound: clock.Unbounded} }

// Table is rows of numbers, by their keys. A row is made when it's first read.
type Table struct {
	Name string
	Dim  int
	// Scale is between which -Scale and Scale the first numbers are, uniformly: by Seed, Name and the row's key, so that
	// it doesn't matter who reads it when.
	Scale float64
	Seed  uint64
}

// Config says what a parameter server is. It's plain data, and travels.
type Config struct {
	Name      string // of the group, in its job
	Optimizer optim.Spec
	Mode      Mode
	Servers   int  // 1 unless set
	Replicas  int  // of each server, besides it: 0 or 1
	Apart     bool // a server's second runs on another node, and waits until there is one; else it may
	Tables    []Table
	NotFinite NotFinite // what becomes of gradients that aren't
	// Workers is how many have to have joined before the first may read: Join waits for them. Later ones join as they come.
	Workers int
	// Grace is how long a server that has taken over waits for workers to come back: 10 s unless set.
	Grace time.Duration
}

// Group names a parameter server. It's plain data, and travels.
type Group struct {
	Config  Config
	Bits    int    // of a number: 32 or 64
	Parts   []Part // of the parameters, one a server
	Tensors []Tensor
}

// Tensor is one of the parameters, which lie one after another.
type Tensor struct {
	Name string
	Size int // numbers
}

// Part is what of the parameters one server has.
type Part struct {
	Lo, Hi int
	Sizes  []int // of the tensors, or parts of them, that this is
}

var (
	// ErrLost is wrapped by errors that say that a server died with what it had.
	ErrLost = errors.New("the parameters are lost: no server has them")
	// ErrReplaced is wrapped by the errors of a worker whose number another has taken.
	ErrReplaced = errors.New("another worker has joined with this number, or this one was given up")
)

// servers is the class of all parameter servers. Calls wait inside.
var servers = gray.Actor(newServer, gray.NumCPUs(0), gray.MaxConcurrency(maxCalls), gray.MaxRestarts(-1), gray.SaveEvery(0))

const maxCalls = 4096 // under way at one server: two for each worker, and a few

// Start starts servers for these parameters, and returns when they have them. Options place them; second ones are spread
// over nodes unless those say more.
func Start[T model.Float](ctx context.Context, c Config, params []model.Param[T], opts ...gray.Option) (Group, error) {
	c.Servers = max(c.Servers, 1)
	if c.Grace <= 0 {
		c.Grace = 10 * time.Second
	}
	g := Group{Config: c, Bits: 8 * int(unsafe.Sizeof(*new(T)))}
	if err := g.check(); err != nil {
		return g, err
	}
	for _, p := range params {
		g.Tensors = append(g.Tensors, Tensor{p.Name, len(p.Value)})
	}
	g.Parts = split(model.Sizes(params), c.Servers, c.Optimizer.Kind == optim.KindLAMB)
	var made []gray.Handle[server]
	for i := range g.Parts {
		for r := range c.Replicas + 1 {
			placed := []gray.Option{gray.Name(g.server(i, r))}
			if c.Replicas > 0 {
				placed = append(placed, gray.Spread())
			} else { // started again it would have nothing
				placed = append(placed, gray.MaxRestarts(0))
			}
			if c.Apart {
				placed = append(placed, gray.Avoid(fmt.Sprintf("ps/%s/%d", c.Name, i)))
			}
			made = append(made, servers.Options(append(placed, opts...)...).Remote(ctx, place{Group: g, Part: i, Replica: r}))
		}
	}
	values := make([]T, 0, model.Size(params))
	for _, p := range params {
		values = append(values, p.Value...)
	}
	var begun []gray.Ref[gray.None]
	for i, p := range g.Parts {
		first := made[i*(c.Replicas+1)]
		begun = append(begun, gray.Call(ctx, first, (*server).Begin, State{Values: bytesOf(values[p.Lo:p.Hi])}))
	}
	if _, err := gray.GetAll(ctx, begun); err != nil {
		for _, h := range made {
			_ = gray.Kill(context.WithoutCancel(ctx), h) // those that never were can't be killed
		}
		return g, fmt.Errorf("start parameter server %q: %w", c.Name, err)
	}
	return g, nil
}

func (g Group) check() error {
	c := g.Config
	fail := func(format string, args ...any) error {
		return fmt.Errorf("parameter server %q: "+format, append([]any{c.Name}, args...)...)
	}
	if c.Name == "" {
		return errors.New("a parameter server needs a name")
	}
	if err := c.Mode.rules().Check(); err != nil {
		return fail("%w", err)
	}
	if c.Servers > maxServers || c.Replicas < 0 || c.Replicas > 1 {
		return fail("%d servers with %d replicas: there may be %d, with 0 or 1", c.Servers, c.Replicas, maxServers)
	}
	if c.Optimizer.ClipNorm > 0 && c.Servers > 1 {
		return fail("clipping by the gradient's global norm takes one server, not %d: none of several knows the norm", c.Servers)
	}
	names := map[string]bool{}
	for _, t := range c.Tables {
		if t.Dim < 1 || names[t.Name] || math.IsNaN(t.Scale) || math.IsInf(t.Scale, 0) {
			return fail("table %q of %d numbers a row, scale %v: is it there twice?", t.Name, t.Dim, t.Scale)
		}
		names[t.Name] = true
	}
	switch c.NotFinite {
	case NotFiniteIgnore, NotFiniteSkip, NotFiniteStop:
	default:
		return fail("NotFinite %q", c.NotFinite)
	}
	_, err := optim.New[float64](c.Optimizer, nil)
	if err != nil {
		return fail("%w", err)
	}
	return nil
}

const maxServers = 1024

func (m Mode) rules() clock.Rules { return clock.Rules{Bound: m.Bound, Backups: m.Backups} }

func (g Group) server(part, replica int) string {
	return fmt.Sprintf("ps/%s/%d/%d", g.Config.Name, part, replica)
}

// size is how many dense parameters there are.
func (g Group) size() int {
	if len(g.Parts) == 0 {
		return 0
	}
	return g.Parts[len(g.Parts)-1].Hi
}

// Close ends the servers. What they had is gone.
func (g Group) Close(ctx context.Context) error {
	var errs []error
	for i := range max(g.Config.Servers, len(g.Parts)) {
		for r := range g.Config.Replicas + 1 {
			h, err := gray.GetActor[server](ctx, g.server(i, r))
			if missing := (*gray.NotFoundError)(nil); errors.As(err, &missing) {
				continue
			}
			if err == nil {
				err = gray.Kill(ctx, h)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// split cuts tensors, laid one after another, into parts of about the same size: at multiples of 16 numbers, or, if whole,
// between tensors.
func split(sizes []int, parts int, whole bool) []Part {
	n := 0
	for _, s := range sizes {
		n += s
	}
	cuts := make([]int, parts+1)
	cuts[parts] = n
	for i := 1; i < parts; i++ {
		at := n * i / parts
		if !whole {
			cuts[i] = max(cuts[i-1], at/16*16)
			continue
		}
		end := 0 // the tensor's end next to at
		for _, s := range sizes {
			if end >= at || end+s-at > at-end {
				break
			}
			end += s
		}
		cuts[i] = max(cuts[i-1], end)
	}
	all := make([]Part, parts)
	for i := range all {
		all[i] = Part{Lo: cuts[i], Hi: cuts[i+1]}
		at := 0
		for _, s := range sizes {
			if k := min(at+s, all[i].Hi) - max(at, all[i].Lo); k > 0 {
				all[i].Sizes = append(all[i].Sizes, k)
			}
			at += s
		}
	}
	return all
}

// bytesOf is the memory of numbers.
func bytesOf[T model.Float](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(x[0])))
}

// numbersOf is the numbers in memory that was allocated by itself, as what a call brought.
func numbersOf[T model.Float](b []byte) ([]T, error) {
	size := int(unsafe.Sizeof(*new(T)))
	if len(b)%size != 0 {
		return nil, fmt.Errorf("%d bytes are no numbers of %d", len(b), size)
	}
	if len(b) == 0 {
		return nil, nil
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%uintptr(size) != 0 {
		x := make([]T, len(b)/size)
		copy(bytesOf(x), b)
		return x, nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size), nil
}
