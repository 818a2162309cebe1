package head

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/pause"
	"github.com/gray-runtime/gray/internal/rpc"
	"github.com/gray-runtime/gray/proto"
)

var (
	linearSeed   = flag.Uint64("linear.seed", 0, "seed of TestLinear; 0: a new one")
	linearFor    = flag.Duration("linear.for", 15*time.Second, "how long TestLinear goes on")
	linearCables = flag.String("linear.cables", "", "prefix of network namespaces for TestLinear's heads, as TestLinearPartitions makes them")
	linearStale  = flag.Bool("linear.stale", false, "let any head answer TestLinear's reads: it's to fail then")
)

const (
	callers     = 6
	keysEach    = 4 // keys, and names
	attemptTime = time.Second
	retryAfter  = 20 * time.Millisecond
	// answerTime is how long any request may take, whatever happens to the heads.
	answerTime = 30 * time.Second
	signOfLife = nodeLease / 8
)

var errGaveUp = errors.New("nobody waits for the answer any more")

// TestLinear has clients work with keys and named actors while heads are killed,
// paused and lose the lead, and looks for one order of all requests that explains
// all answers.
func TestLinear(t *testing.T) {
	seed, limit := *linearSeed, *linearFor
	if seed == 0 {
		seed = rand.Uint64()
	}
	if testing.Short() {
		limit = min(limit, 5*time.Second)
	}
	t.Logf("-linear.seed %d", seed)
	n := startNemesis(t, seed)
	node := newNode(t, n.heads[0], 1)
	job := driverJob(t, node)
	all := make([]*caller, callers+1)
	h := &history{began: time.Now()}
	controls := dialAll(t, n, node)
	for i := range all {
		all[i] = &caller{
			t: t, number: i, name: fmt.Sprint("c", i), rng: rand.New(rand.NewPCG(seed, uint64(i+1))), heads: controls, at: i % len(controls),
			patient: i%2 == 1, history: h, job: job, known: map[string]string{},
		}
	}

	var working, living sync.WaitGroup
	life, end := context.WithCancel(t.Context())
	defer living.Wait()
	defer end()
	living.Go(func() { all[callers].keepAlive(life, node) })
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer working.Wait()
	defer cancel()
	for _, c := range all[:callers] {
		working.Go(func() { c.run(ctx) })
	}
	n.run(ctx)
	working.Wait()

	for _, r := range reads() {
		all[0].do(r, false)
	}
	t.Logf("%v, %d processes killed, %.0f operations/s", n.count, n.kills, float64(len(h.ops))/limit.Seconds())
	h.logOutages(t, n)
	h.check(t)
	converged(t, controls)
}

// TestRestartIsOnce: a request that restarts an actor comes again, by its name, at
// other leaders and after all heads were killed.
func TestRestartIsOnce(t *testing.T) {
	n := startNemesis(t, 1)
	node := newNode(t, n.leader(), 1)
	node.connect(nil)
	controls := dialAll(t, n, node)
	alive := &caller{t: t, name: "node", heads: controls}
	var living sync.WaitGroup
	life, end := context.WithCancel(t.Context())
	defer living.Wait()
	defer end()
	living.Go(func() { alive.keepAlive(life, node) })

	id := actorID(1)
	create(t, node, &proto.ActorSpec{Id: id, Job: driverJob(t, node), MaxRestarts: -1})
	started := func() {
		node.actorIs(id, node.startActor().Incarnation, proto.ActorReport_ALIVE)
	}
	started()
	c := &caller{t: t, name: "c", heads: controls}
	restart := func(sequence uint64, want uint32) {
		t.Helper()
		c.sequence = sequence - 1
		err := c.call(false, func(ctx context.Context, control proto.ControlClient) error {
			_, err := control.KillActor(ctx, &proto.KillActorRequest{Id: id, Restart: true})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var a *proto.ActorInfo
		err = c.call(false, func(ctx context.Context, control proto.ControlClient) error {
			var err error
			a, err = control.FindActor(ctx, &proto.FindActorRequest{Id: id})
			return err
		})
		if err != nil || a.Restarts != want {
			t.Errorf("restarted %d times, not %d: %v", a.GetRestarts(), want, err)
		}
	}
	restart(1, 1)
	started()
	restart(1, 1)
	n.kill(0, n.leader())
	restart(1, 1)
	n.kill(0, n.heads...)
	restart(1, 1)
	restart(2, 2)
}

// dialAll connects to all heads as a node does.
func dialAll(t testing.TB, n *nemesis, node *fakeNode) []proto.ControlClient {
	t.Helper()
	var out []proto.ControlClient
	for _, head := range n.heads {
		conn, err := rpc.Dial("passthrough:///"+head.Address(), node.identity.ClientTLS(rpc.Protocol))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		out = append(out, proto.NewControlClient(conn))
	}
	return out
}

// caller is a client: one request after another, of one head as long as it answers.
type caller struct {
	t        testing.TB
	number   int
	name     string
	sequence uint64
	rng      *rand.Rand
	heads    []proto.ControlClient
	at       int
	patient  bool // stays with a head that is silent: it may answer what was asked before others took over
	history  *history
	job      uint32
	known    map[string]string // whose actor had which name when it was last seen
}

func (c *caller) run(ctx context.Context) {
	verbs := []string{putKey, putKey, keepKey, getKey, getKey, getKey, deleteKey, createActor, createActor, obtainActor, findActor, findActor, findActor, killActor, killActor}
	for ctx.Err() == nil && !c.t.Failed() {
		r := request{verb: verbs[c.rng.IntN(len(verbs))]}
		i := c.rng.IntN(keysEach)
		if c.rng.IntN(16) == 0 { // or all would end up at one head
			c.at = c.rng.IntN(len(c.heads))
		}
		switch r.verb {
		case putKey, keepKey, getKey, deleteKey:
			r.key = fmt.Sprint("key", i)
		default:
			r.key = fmt.Sprint("name", i)
		}
		switch r.verb {
		case putKey, keepKey, createActor, obtainActor:
			r.value = strconv.FormatUint(uint64(c.number+1)<<32|c.sequence, 10)
		case killActor:
			if r.value = c.known[r.key]; r.value == "" {
				continue
			}
		}
		c.do(r, c.rng.IntN(8) == 0)
	}
}

// do makes one request and notes it. A hasty client gives up when it isn't
// answered at once, and comes back as another.
func (c *caller) do(r request, hasty bool) {
	call := c.history.now()
	var a outcome
	err := c.call(hasty, func(ctx context.Context, control proto.ControlClient) error {
		var err error
		a, err = c.ask(ctx, control, r)
		return err
	})
	switch {
	case err == nil:
		a.known = true
	case errors.Is(err, errGaveUp):
		a = outcome{}
		c.name = fmt.Sprintf("c%d.%d", c.number, c.sequence)
	default:
		c.t.Errorf("%s %s: %v", r.verb, r.key, err)
	}
	if r.verb == findActor {
		c.known[r.key] = a.value
	}
	if a.known || r.verb != getKey && r.verb != findActor {
		c.history.add(c.number, r, call, a)
	}
}

// call makes a request, by the same name until a head answers it.
func (c *caller) call(hasty bool, ask func(context.Context, proto.ControlClient) error) error {
	c.sequence++
	limited, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	limited = metadata.AppendToOutgoingContext(limited, proto.RequestKey, fmt.Sprintf("%s/%d/%[2]d", c.name, c.sequence))
	for {
		ctx, cancel := context.WithTimeout(limited, attemptTime)
		err := ask(ctx, c.heads[c.at])
		cancel()
		switch status.Code(err) {
		case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		default:
			return err
		}
		if !c.patient || status.Code(err) == codes.Unavailable {
			c.at = (c.at + 1) % len(c.heads)
		}
		switch {
		case hasty:
			return errGaveUp
		case !pause.For(limited, retryAfter):
			return fmt.Errorf("no answer within %v: %w", answerTime, err)
		}
	}
}

// ask is one attempt.
func (c *caller) ask(ctx context.Context, control proto.ControlClient, r request) (outcome, error) {
	switch r.verb {
	case putKey, keepKey:
		reply, err := control.PutKey(ctx, &proto.PutKeyRequest{Key: r.key, Value: []byte(r.value), Keep: r.verb == keepKey})
		return outcome{ok: reply.GetExisted()}, err
	case deleteKey:
		reply, err := control.DeleteKey(ctx, &proto.DeleteKeyRequest{Key: r.key})
		return outcome{ok: reply.GetExisted()}, err
	case createActor, obtainActor:
		number, err := strconv.ParseUint(r.value, 10, 64)
		if err != nil {
			return outcome{}, err
		}
		spec := &proto.ActorSpec{Id: actorID(number), Job: c.job, Name: r.key}
		_, err = control.CreateActor(ctx, &proto.CreateActorRequest{Spec: spec, GetIfExists: r.verb == obtainActor})
		if r.verb == createActor && status.Code(err) == codes.AlreadyExists {
			return outcome{}, nil
		}
		return outcome{ok: true}, err
	case killActor:
		number, err := strconv.ParseUint(r.value, 10, 64)
		if err != nil {
			return outcome{}, err
		}
		_, err = control.KillActor(ctx, &proto.KillActorRequest{Id: actorID(number)})
		return outcome{ok: true}, err
	}
	if *linearStale {
		ctx = metadata.AppendToOutgoingContext(ctx, proto.StaleKey, "1")
	}
	value, err := read(ctx, control, r)
	return outcome{ok: value != "", value: value}, err
}

// read answers what a key or a name has.
func read(ctx context.Context, control proto.ControlClient, r request) (string, error) {
	if r.verb == getKey {
		reply, err := control.GetKey(ctx, &proto.GetKeyRequest{Key: r.key})
		return string(reply.GetValue()), err
	}
	a, err := control.FindActor(ctx, &proto.FindActorRequest{Name: r.key})
	if status.Code(err) == codes.NotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id, err := ids.ActorIDFrom(a.Spec.Id)
	if err == nil && a.State == proto.ActorInfo_DEAD {
		err = fmt.Errorf("%s has a name and is dead", id)
	}
	return strconv.FormatUint(id.Number, 10), err
}

// reads are those of all keys and names.
func reads() []request {
	var out []request
	for i := range keysEach {
		out = append(out, request{verb: getKey, key: fmt.Sprint("key", i)}, request{verb: findActor, key: fmt.Sprint("name", i)})
	}
	return out
}

// keepAlive gives signs of life of a node, whose job would end with it.
func (c *caller) keepAlive(ctx context.Context, n *fakeNode) {
	for pause.For(ctx, signOfLife) {
		err := c.call(false, func(ctx context.Context, control proto.ControlClient) error {
			_, err := control.RegisterNode(ctx, &proto.RegisterNodeRequest{Instance: n.instance, Node: n.info, Id: n.id})
			return err
		})
		if err != nil {
			c.t.Errorf("the node's sign of life: %v", err)
			return
		}
	}
}

// logOutages says how long clients had to wait because a leader was killed: each of
// them, for one request, until the next blow.
func (h *history) logOutages(t testing.TB, n *nemesis) {
	var waits []time.Duration
	for i, struck := range n.struck {
		from, to := struck.Sub(h.began).Nanoseconds(), n.healed[i].Sub(h.began).Nanoseconds()
		longest := map[int]time.Duration{}
		for _, o := range h.ops {
			if wait := min(o.Return, to) - max(o.Call, from); wait > 0 && o.Output.(outcome).known {
				longest[o.ClientId] = max(longest[o.ClientId], time.Duration(wait))
			}
		}
		waits = slices.AppendSeq(waits, maps.Values(longest))
	}
	if slices.Sort(waits); len(waits) > 0 {
		t.Logf("%d kills of the leader, a client's longest wait after one: p50 %v, max %v", len(n.struck), waits[len(waits)/2], waits[len(waits)-1])
	}
}

// converged waits until each head's own state is what the leader says.
func converged(t testing.TB, heads []proto.ControlClient) {
	t.Helper()
	state := func(control proto.ControlClient, more ...string) map[string]string {
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), more...), patience)
		defer cancel()
		out := map[string]string{}
		for _, r := range reads() {
			value, err := read(ctx, control, r)
			if err != nil {
				return nil
			}
			out[r.key] = value
		}
		return out
	}
	var want map[string]string
	eventually(t, "the leader answers", func() bool {
		want = state(heads[0])
		return want != nil
	})
	for i, control := range heads {
		eventually(t, fmt.Sprintf("head %d has what the leader has", i), func() bool {
			return maps.Equal(state(control, proto.StaleKey, "1"), want)
		})
	}
}
