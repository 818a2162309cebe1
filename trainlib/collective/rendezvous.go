package collective

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	gray "github.com/gray-runtime/gray/sdk"
)

// rendezvous is the actor at which the members of a group find each other. What it knows of the present generation is kept
// by the heads; who waits asks again when it has died.
type rendezvous struct {
	mu      sync.Mutex
	meeting meeting
	formed  map[string]chan *answer // by key of who waits
	latest  uint64                  // arrivals so far
}

var rendezvousClass = gray.Actor(newRendezvous, gray.NumCPUs(0), gray.MaxRestarts(-1), gray.MaxConcurrency(maxSize))

func newRendezvous(context.Context, gray.None) (*rendezvous, error) {
	return &rendezvous{formed: map[string]chan *answer{}}, nil
}

// request is what a member says at the rendezvous.
type request struct {
	Key        string // of this member's stay there
	Member     member
	Rank       int // -1 if it's to be given one
	Min, Max   int
	Settle     time.Duration
	Generation int // of the group that the member comes from, 0 if from none,
	Size       int // its size,
	Was        int // the member's rank there,
	Gone       []int
}

// answer is a group.
type answer struct {
	Generation int
	Rank       int
	Members    []member
	Refused    string
}

// Meet waits until the member's group is there.
func (r *rendezvous) Meet(ctx context.Context, q request) (*answer, error) {
	formed := make(chan *answer, 1)
	r.mu.Lock()
	if old := r.meeting.come(q); old != "" {
		r.tell(old, &answer{Refused: "another has come for its rank"})
	}
	r.formed[q.Key] = formed
	r.latest++
	r.form(false)
	seen := r.latest
	r.mu.Unlock()
	timer := time.NewTimer(q.Settle)
	defer timer.Stop()
	for {
		select {
		case a := <-formed:
			return a, nil
		case <-ctx.Done():
			r.mu.Lock()
			r.meeting.leave(q.Key)
			delete(r.formed, q.Key)
			r.mu.Unlock()
			return nil, context.Cause(ctx)
		case <-timer.C:
			r.mu.Lock()
			r.form(seen == r.latest)
			seen = r.latest
			r.mu.Unlock()
			timer.Reset(q.Settle)
		}
	}
}

// form has those who wait go on, if they are a group. mu is held.
func (r *rendezvous) form(settled bool) {
	group := r.meeting.form(settled)
	members := make([]member, len(group))
	for i, q := range group {
		members[i] = q.Member
	}
	for i, q := range group {
		r.tell(q.Key, &answer{Generation: r.meeting.Generation, Rank: i, Members: members})
	}
}

func (r *rendezvous) tell(key string, a *answer) {
	if formed := r.formed[key]; formed != nil {
		formed <- a
		delete(r.formed, key)
	}
}

// Waiting is how many wait.
func (r *rendezvous) Waiting(context.Context, gray.None) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.meeting.waiting), nil
}

// Save implements gray.Saver.
func (r *rendezvous) Save(context.Context) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Appendf(nil, "%d %d", r.meeting.Generation, r.meeting.Size), nil
}

// Restore implements gray.Saver.
func (r *rendezvous) Restore(_ context.Context, state []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := fmt.Sscan(string(state), &r.meeting.Generation, &r.meeting.Size)
	return err
}

// meet goes to the rendezvous of the options' name, again if it has died.
func (o *Options) meet(ctx context.Context, q request) (*answer, error) {
	class := rendezvousClass.Options(gray.Name("collective/" + o.Name))
	q.Key = strings.Join([]string{gray.Current(ctx).Process, q.Member.Address.Local, q.Member.Address.Network}, " ")
	for {
		h, err := class.GetOrCreate(ctx, gray.None{})
		if err != nil {
			return nil, err
		}
		a, err := gray.Get(ctx, gray.Call(ctx, h, (*rendezvous).Meet, q))
		var died *gray.ActorDiedError
		switch {
		case errors.As(err, &died):
			timer := time.NewTimer(meetAgain)
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
				return nil, context.Cause(ctx)
			}
		case err != nil:
			return nil, err
		case a.Refused != "":
			return nil, errors.New(a.Refused)
		}
		return a, nil
	}
}

// meetAgain is how long a member waits before it asks for the rendezvous again.
const meetAgain = 20 * time.Millisecond

// Waiting is how many processes wait to join an elastic group: Reform takes them in.
func (g *Group) Waiting(ctx context.Context) (int, error) {
	if g.membership == nil || g.membership.options.Name == "" {
		return 0, nil
	}
	h, err := gray.GetActor[rendezvous](ctx, "collective/"+g.membership.options.Name)
	if err == nil {
		var n int
		if n, err = gray.Get(ctx, gray.Call(ctx, h, (*rendezvous).Waiting, gray.None{})); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("ask who waits for group %q: %w", g.name, err)
}
