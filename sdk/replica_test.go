package gray_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// vault is an actor that puts values and hands out references to them.
type vault struct{}

type deposit struct {
	Bytes  int
	Copies int
	Inner  []gray.Ref[[]byte]
}

// chest is a value with a reference in it, which somebody may have to hold.
type chest struct {
	Data  []byte
	Inner []gray.Ref[[]byte]
}

// slip is what the depositor gets.
type slip struct {
	Label string
	R     gray.Ref[chest]
}

func newVault(context.Context, gray.None) (*vault, error) { return &vault{}, nil }

func (v *vault) Put(ctx context.Context, d deposit) (slip, error) {
	var opts []gray.PutOption
	if d.Copies > 0 {
		opts = append(opts, gray.Replicas(d.Copies))
	}
	c := chest{Data: pattern(d.Bytes), Inner: d.Inner}
	r, err := gray.Put(ctx, c, opts...)
	return slip{"of the vault", r}, err
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range min(n, 1<<16) {
		b[i] = byte(i ^ i>>8)
	}
	for i := 1 << 16; i < n; i *= 2 {
		copy(b[i:], b[:i])
	}
	return b
}

var (
	vaults = gray.Actor(newVault)
	// opensChest reads a chest, and what is in the one within.
	opensChest = gray.Task(func(ctx context.Context, s slip) ([]bool, error) {
		ok, err := opened(ctx, s)
		return []bool{ok}, err
	})
)

// same is quick under the race detector, too.
func same(a, b []byte) bool { return string(a) == string(b) }

// opened tells whether the contents of a chest are right.
func opened(ctx context.Context, s slip) (bool, error) {
	c, err := gray.Get(ctx, s.R)
	if err != nil {
		return false, err
	}
	for _, r := range c.Inner {
		if b, err := gray.Get(ctx, r); err != nil || !same(b, pattern(len(b))) {
			return false, err
		}
	}
	return same(c.Data, pattern(len(c.Data))), nil
}

// threeNodes is a cluster whose nodes have the numbers first, first+1 and first+2.
func threeNodes(t *testing.T) (c *cluster, ctx context.Context, first uint32) {
	c = ownCluster(t, embed.Options{CPUs: 1})
	ctx = limited(c.ctx, t)
	for range 2 {
		if _, err := c.AddNode(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return c, ctx, gray.Current(ctx).Node
}

// TestReplicasOutliveTheirHome: a value on two nodes, known by its reference only,
// can be had when the node of its owner has been killed, and is freed in the end.
func TestReplicasOutliveTheirHome(t *testing.T) {
	c, ctx, first := threeNodes(t)
	v := vaults.Options(gray.OnNode(first+1, false)).Remote(ctx, gray.None{})
	inner, err := gray.Put(ctx, pattern(200_000))
	if err != nil {
		t.Fatal(err)
	}
	put := func(d deposit) slip { return get(ctx, t, gray.Call(ctx, v, (*vault).Put, d)) }
	size := 20 << 20
	if testing.Short() {
		size = 2 << 20
	}
	large := put(deposit{Bytes: size, Copies: 2, Inner: []gray.Ref[[]byte]{inner}})
	small := put(deposit{Bytes: 10, Copies: 3})
	single := put(deposit{Bytes: 200_000})
	put(deposit{Bytes: 1 << 20, Copies: 2}) // nobody holds it, perhaps not even when its home dies
	gcDriver(ctx, t)

	c.KillNode(1)
	for _, s := range []slip{large, small} {
		if ok, err := opened(ctx, s); !ok || err != nil {
			t.Errorf("the driver reads the right value: %t, %v", ok, err)
		}
		there := gray.OnNode(first+2, false)
		if ok := get(ctx, t, opensChest.Options(there).Remote(ctx, s)); !ok[0] {
			t.Error("a task on the third node reads another value")
		}
	}
	_, err = gray.Get(ctx, single.R)
	var lost *gray.OwnerDiedError
	if !errors.As(err, &lost) {
		t.Fatalf("without replicas: %v", err)
	}
	contains(t, err.Error(), "node n", "died")

	gcDriver(ctx, t)
	c.freed(t, 1)
}

// TestReplicasOneByOne: the homes of a value die one after another.
func TestReplicasOneByOne(t *testing.T) {
	c, ctx, first := threeNodes(t)
	if _, err := c.AddNode(ctx); err != nil {
		t.Fatal(err)
	}
	v := vaults.Options(gray.OnNode(first+3, false)).Remote(ctx, gray.None{})
	s := get(ctx, t, gray.Call(ctx, v, (*vault).Put, deposit{Bytes: 1 << 20, Copies: 4}))
	for i := 3; i > 0; i-- {
		c.KillNode(i)
		if ok, err := opened(ctx, s); !ok || err != nil {
			t.Errorf("with node %d killed: %t, %v", i, ok, err)
		}
	}
	if _, err := c.AddNode(ctx); err != nil { // which has never seen the value's owner
		t.Fatal(err)
	}
	if ok := get(ctx, t, opensChest.Options(gray.OnNode(first+4, false)).Remote(ctx, s)); !ok[0] {
		t.Error("a task on a new node reads another value")
	}
	gcDriver(ctx, t)
	c.freed(t, 1)
}

// TestReplicasEndWithTheJob, though nobody lets go of them and the owner's node is dead.
func TestReplicasEndWithTheJob(t *testing.T) {
	c, ctx, first := threeNodes(t)
	session, err := gray.Connect(ctx, "unix:"+c.Sockets()[0])
	if err != nil {
		t.Fatal(err)
	}
	other, end := session.Context(ctx)
	defer end()
	v := vaults.Options(gray.OnNode(first+1, false)).Remote(other, gray.None{})
	s := get(other, t, gray.Call(other, v, (*vault).Put, deposit{Bytes: 1 << 20, Copies: 2}))
	c.KillNode(1)
	if ok, err := opened(other, s); !ok || err != nil {
		t.Errorf("after the node's death: %t, %v", ok, err)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	c.freed(t, 1<<20)
}

func TestTooFewNodesForReplicas(t *testing.T) {
	c := ownCluster(t, embed.Options{CPUs: 1, Nodes: 2})
	ctx := limited(c.ctx, t)
	_, err := gray.Put(ctx, pattern(1<<20), gray.Replicas(3))
	var few *gray.NotReplicatedError
	if !errors.As(err, &few) {
		t.Fatalf("three replicas on two nodes: %v", err)
	}
	contains(t, err.Error(), "on 3 nodes", "only 2 could have it")
	c.freed(t, 1)
	if r, err := gray.Put(ctx, 7, gray.Replicas(1)); err != nil || get(ctx, t, r) != 7 {
		t.Errorf("one replica: %v", err)
	}
	r, err := gray.Put(ctx, pattern(1<<20), gray.Replicas(2))
	if err != nil {
		t.Fatal(err)
	}
	if on := c.stored(t, 1<<20); len(on) != 2 {
		t.Errorf("two replicas are %q", on)
	}
	list, err := c.api.Objects(ctx, api.ListOptions{Detail: true})
	if err != nil || len(list.Result) == 0 || !strings.HasPrefix(list.Result[0].CallSite, "sdk/replica_test.go:") {
		t.Errorf("they were put at %+v, %v", list, err)
	}
	if b := get(ctx, t, r); !same(b, pattern(1<<20)) {
		t.Error("the owner reads another value")
	}
	gcDriver(ctx, t)
	c.freed(t, 1)

	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "at most 16") {
			t.Errorf("seventeen replicas: %q", s)
		}
	}()
	gray.Replicas(17)
}
