package head

import (
	"context"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pause"
)

// blows are what the nemesis does: one hand of cards, shuffled again when it has
// been played.
var blows = []string{
	killLeader, killLeader, killLeader, killAny, killAll, pauseLeader, pauseLeader, pauseAny, pauseAndKill, transferLead, transferLead,
}

const (
	killLeader   = "kill the leader"
	killAny      = "kill a head"
	killAll      = "kill all heads"
	pauseLeader  = "pause the leader"
	pauseAny     = "pause a head"
	pauseAndKill = "pause the leader and kill another" // no majority for a while
	cutLeader    = "cut the leader off"
	cutAny       = "cut a head off"
	transferLead = "transfer the lead"
)

const (
	maxDown  = 1500 * time.Millisecond
	minPause = 500 * time.Millisecond
	maxPause = 3 * time.Second
	maxRest  = time.Second
)

// nemesis kills, pauses and confuses heads, in an order that its seed decides. Who
// leads when a blow falls isn't the seed's to say.
type nemesis struct {
	t      testing.TB
	rng    *rand.Rand
	heads  []*child
	client *api.Client
	cards  []string
	hand   []string
	cables *cables // nil: there's no network to be cut

	count  map[string]int
	kills  int         // processes
	struck []time.Time // when a leader was killed
	healed []time.Time // when the blow after that fell, or none did
}

// startNemesis starts three heads with a vote each.
func startNemesis(t testing.TB, seed uint64) *nemesis {
	t.Helper()
	n := &nemesis{t: t, rng: rand.New(rand.NewPCG(seed, 0)), count: map[string]int{}, cards: blows}
	if *linearCables != "" {
		n.cables = &cables{t: t, prefix: *linearCables}
		n.cards = append(slices.Clone(blows), cutLeader, cutLeader, cutLeader, cutAny, cutAny)
	}
	for i := range 3 {
		n.heads = append(n.heads, startChildAt(t, n.cables.host(i+1), t.TempDir(), 0, first(n.heads)...))
	}
	client, err := api.NewClient(n.heads[0].Address(), n.heads[0].Token())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	n.client = client
	eventually(t, "all heads have a vote", func() bool {
		l, err := client.ListHeads(t.Context())
		return err == nil && len(l.Heads) == 3 && !slices.ContainsFunc(l.Heads, func(h api.HeadRow) bool { return !h.Voter })
	})
	return n
}

// first is whom the others join.
func first(heads []*child) []endpoint {
	if len(heads) == 0 {
		return nil
	}
	return []endpoint{heads[0]}
}

// run strikes until ctx ends. All heads run again when it returns.
func (n *nemesis) run(ctx context.Context) {
	for {
		blow := n.draw()
		head := n.heads[n.rng.IntN(len(n.heads))]
		down, rest := n.upTo(maxDown), n.upTo(maxRest)
		switch blow {
		case pauseLeader, pauseAny, pauseAndKill, cutLeader, cutAny:
			down = minPause + n.upTo(maxPause-minPause)
		}
		if !pause.For(ctx, rest) {
			break
		}
		n.over()
		leader := n.leader()
		switch blow {
		case killLeader, pauseLeader, pauseAndKill, transferLead, cutLeader:
			head = leader
		}
		n.count[blow]++
		n.strike(blow, head, down)
	}
	n.over()
}

// over ends the time in which the latest kill of a leader is felt.
func (n *nemesis) over() {
	if len(n.healed) < len(n.struck) {
		n.healed = append(n.healed, time.Now())
	}
}

func (n *nemesis) draw() string {
	if len(n.hand) == 0 {
		n.hand = slices.Clone(n.cards)
		n.rng.Shuffle(len(n.hand), func(i, j int) { n.hand[i], n.hand[j] = n.hand[j], n.hand[i] })
	}
	blow := n.hand[0]
	n.hand = n.hand[1:]
	return blow
}

func (n *nemesis) upTo(d time.Duration) time.Duration { return time.Duration(n.rng.Int64N(int64(d))) }

// leader waits for a head to lead.
func (n *nemesis) leader() *child {
	n.t.Helper()
	var leader *child
	eventually(n.t, "a head leads", func() bool {
		ctx, cancel := context.WithTimeout(n.t.Context(), patience)
		defer cancel()
		l, err := n.client.ListHeads(ctx)
		if err != nil {
			return false
		}
		var term uint64
		for _, row := range l.Heads {
			if i := slices.IndexFunc(n.heads, func(c *child) bool { return c.Address() == row.Address }); row.State == "LEADER" && row.Term > term {
				leader, term = n.heads[i], row.Term
			}
		}
		return leader != nil
	})
	return leader
}

func (n *nemesis) strike(blow string, head *child, down time.Duration) {
	n.t.Helper()
	switch blow {
	case killLeader, killAny:
		if blow == killLeader {
			n.struck = append(n.struck, time.Now())
		}
		n.kill(down, head)
	case killAll:
		n.kill(down, n.heads...)
	case pauseLeader, pauseAny:
		n.pause(head, func() { pause.For(n.t.Context(), down) })
	case pauseAndKill:
		other := n.heads[(slices.Index(n.heads, head)+1)%len(n.heads)]
		n.pause(head, func() { n.kill(down, other) })
	case cutLeader, cutAny:
		number := slices.Index(n.heads, head) + 1
		n.cables.set(number, "down")
		pause.For(n.t.Context(), down)
		n.cables.set(number, "up")
	case transferLead:
		n.client.Close() // what it keeps may lead to a head that was killed
		// Refused, it's no blow: a head that was just started may be behind.
		if _, err := n.client.TransferHead(n.t.Context(), ""); err != nil {
			n.t.Logf("%s: %v", blow, err)
		}
	}
}

// kill kills heads and starts them again after a while.
func (n *nemesis) kill(down time.Duration, heads ...*child) {
	n.t.Helper()
	for _, h := range heads {
		h.kill()
		n.kills++
	}
	pause.For(n.t.Context(), down)
	for _, h := range heads {
		h.relaunch()
	}
	for _, h := range heads {
		h.ready()
	}
}

// pause stops a head while something happens.
func (n *nemesis) pause(head *child, meanwhile func()) {
	n.t.Helper()
	signal := func(s syscall.Signal) {
		n.t.Helper()
		if err := head.cmd.Process.Signal(s); err != nil {
			n.t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	meanwhile()
	signal(syscall.SIGCONT)
}
