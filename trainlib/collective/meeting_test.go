package collective

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gray-runtime/gray/trainlib/internal/link"
)

func fixed(key string, rank, size int) request {
	return request{Key: key, Rank: rank, Was: -1, Min: size, Max: size}
}

func elastic(key string, least, most int) request {
	return request{Key: key, Rank: -1, Was: -1, Min: least, Max: most}
}

func keys(group []request) (all []string) {
	for _, q := range group {
		all = append(all, q.Key)
	}
	return all
}

func TestMeetingOfGivenRanks(t *testing.T) {
	var m meeting
	m.come(fixed("b", 1, 3))
	m.come(fixed("c", 2, 3))
	if got := m.form(true); got != nil {
		t.Fatalf("formed %v of three", keys(got))
	}
	if old := m.come(fixed("b again", 1, 3)); old != "b" {
		t.Errorf("rank 1 replaced %q", old)
	}
	m.come(fixed("a", 0, 3))
	if got := keys(m.form(false)); !slices.Equal(got, []string{"a", "b again", "c"}) {
		t.Errorf("formed %v", got)
	}
}

func TestMeetingAfterDeaths(t *testing.T) {
	var m meeting
	for _, k := range []string{"a", "b", "c"} {
		m.come(elastic(k, 2, 4))
	}
	if got := m.form(false); got != nil {
		t.Fatalf("formed %v before a fourth might have come", keys(got))
	}
	if got := keys(m.form(true)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("formed %v", got)
	}
	m.come(elastic("late", 2, 4))
	if got := m.form(true); got != nil {
		t.Fatalf("formed %v beside a group that lives", keys(got))
	}
	back := func(key string, was int, gone ...int) request {
		q := elastic(key, 2, 4)
		q.Generation, q.Size, q.Was, q.Gone = 1, 3, was, gone
		return q
	}
	m.come(back("c", 2, 1))
	if got := m.form(false); got != nil {
		t.Fatalf("formed %v without rank 0", keys(got))
	}
	m.come(back("a", 0))
	if got := keys(m.form(false)); !slices.Equal(got, []string{"a", "c", "late"}) || m.Generation != 2 {
		t.Errorf("formed %v of generation %d", got, m.Generation)
	}
}

// TestMeetings: whoever comes, dies and comes back, a group has members that wait, once each, between Min and Max, and those of a node in a row.
func TestMeetings(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		var m meeting
		least := 1 + random.IntN(3)
		most := least + random.IntN(4)
		waits := map[string]request{}
		var members []request
		for step := range 60 {
			switch random.IntN(4) {
			case 0:
				q := elastic(fmt.Sprint("new", step), least, most)
				q.Member = member{Node: uint32(random.IntN(3)), Address: link.Address{Host: "h"}}
				m.come(q)
				waits[q.Key] = q
			case 1:
				if len(members) > 0 {
					was := random.IntN(len(members))
					q := members[was]
					q.Generation, q.Size, q.Was = m.Generation, len(members), was
					q.Gone = []int{random.IntN(len(members))}
					m.come(q)
					waits[q.Key] = q
				}
			case 2:
				for k := range waits {
					m.leave(k)
					delete(waits, k)
					break
				}
			case 3:
				group := m.form(random.IntN(2) == 0)
				if group == nil {
					continue
				}
				if len(group) < least || len(group) > most {
					t.Fatalf("seed %d: %d members, not %d to %d", seed, len(group), least, most)
				}
				changes := 0
				nodes := map[uint32]bool{}
				for i, q := range group {
					if _, ok := waits[q.Key]; !ok {
						t.Fatalf("seed %d: %s doesn't wait", seed, q.Key)
					}
					delete(waits, q.Key)
					nodes[q.Member.Node] = true
					if i > 0 && q.Member.Node != group[i-1].Member.Node {
						changes++
					}
				}
				if changes != len(nodes)-1 {
					t.Fatalf("seed %d: nodes aren't in a row", seed)
				}
				members = group
			}
		}
	}
}

// TestChoice: the model's best is the best by its own account, and what everybody knows.
func TestChoice(t *testing.T) {
	m := &Model{Message: 10_000, Byte: 1}
	for _, c := range []struct {
		bytes, p int
		want     Algorithm
	}{{64, 4, HalvingDoubling}, {100 << 20, 5, Ring}, {4 << 10, 2, HalvingDoubling}} {
		if got := m.best(c.bytes, c.p); got != c.want {
			t.Errorf("%d bytes of %d members: %v, not %v", c.bytes, c.p, got, c.want)
		}
	}
}

// FuzzHello: what a stranger says never makes it a member that isn't expected.
func FuzzHello(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 2, 0, 0, 0, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, hello []byte) {
		a := &answer{Generation: 1, Rank: 1, Members: make([]member, 4)}
		rank, lane, err := parseHello(hello, a)
		if err == nil && (rank < 2 || rank > 3 || lane < 0 || lane >= lanes) {
			t.Errorf("%v is rank %d, lane %d", hello, rank, lane)
		}
	})
}

func TestLocalSplit(t *testing.T) {
	ctx := t.Context()
	must(t, onAll(Local(5), func(g *Group) error {
		part, err := g.Split(ctx, g.Rank()%2, -g.Rank())
		if err != nil {
			return err
		}
		want := []int{2, 1, 1, 0, 0}[g.Rank()]
		if part.Rank() != want || part.Size() != []int{3, 2}[g.Rank()%2] {
			return fmt.Errorf("rank %d of %d", part.Rank(), part.Size())
		}
		x := []int32{int32(g.Rank())}
		if err := AllReduce(ctx, part, x, Sum); err != nil {
			return err
		}
		if x[0] != []int32{6, 4}[g.Rank()%2] {
			return fmt.Errorf("a sum of %d", x[0])
		}
		return nil
	}))
}

// BenchmarkAllReduce counts allocations, too: there are none.
func BenchmarkAllReduce(b *testing.B) {
	groups := sharing(b, 2)
	b.ReportAllocs()
	for r, err := range onAll(groups, func(g *Group) error {
		x := make([]float32, 1024)
		for range b.N {
			if err := AllReduce(b.Context(), g, x, Sum); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			b.Fatal(r, err)
		}
	}
}
