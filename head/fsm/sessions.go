package fsm

import (
	"cmp"
	"container/list"
	"slices"
)

// sessions are what is kept of clients since version 2, so that a request that
// comes again has its effect once. Who has more than maxReplies requests whose
// results it doesn't confirm, or asks for nothing for keepClientMs, may lose that.
type sessions struct {
	byName map[string]*list.Element
	order  *list.List // of *session: the longest unused first
}

// A session is what is kept of a client, which numbers its requests.
type session struct {
	name    string
	done    uint64  // the client has the results of all requests before
	usedMs  int64   // time of its latest command
	replies []reply // by sequence, none before done; snapshots share what was stored once
}

type reply struct {
	sequence uint64
	result   *Result
}

func newSessions() sessions { return sessions{byName: map[string]*list.Element{}, order: list.New()} }

// answered returns the result of a request that came before; nil: it's new.
func (s *State) answered(c *Command) *Result {
	switch {
	case c.Client == "":
		return nil
	case s.Version() < 2:
		return s.replies.get(c.Client, c.Sequence)
	}
	return s.sessions.use(c.Client, s.now).answer(c.Sequence, c.Done)
}

// remember keeps the result of a request that may come again.
func (s *State) remember(c *Command, r *Result) {
	switch {
	case c.Client == "":
	case s.Version() < 2:
		s.replies.put(c.Client, c.Sequence, r)
	default:
		s.sessions.use(c.Client, s.now).keep(c.Sequence, r)
	}
}

// latest returns a client's session, old or new, as the latest used.
func (s *sessions) latest(client string) *session {
	e := s.byName[client]
	if e == nil {
		e = s.order.PushBack(&session{name: client})
		s.byName[client] = e
	}
	s.order.MoveToBack(e)
	return e.Value.(*session)
}

// use returns a client's session, and drops those that are unused for too long
// or too many. What clocks that go back leave out of order goes later.
func (s *sessions) use(client string, now int64) *session {
	k := s.latest(client)
	k.usedMs = now
	for {
		oldest := s.order.Front()
		o := oldest.Value.(*session)
		if s.order.Len() <= maxClients && now-o.usedMs <= keepClientMs {
			return k
		}
		s.order.Remove(oldest)
		delete(s.byName, o.name)
	}
}

// adopt takes the replies of version 1 over, in their order.
func (s *sessions) adopt(old replies, now int64) {
	for _, k := range old.order {
		s.use(k.client, now).keep(k.sequence, old.results[k])
	}
}

// all returns copies, the longest unused first.
func (s *sessions) all() []session {
	out := make([]session, 0, s.order.Len())
	for e := s.order.Front(); e != nil; e = e.Next() {
		out = append(out, *e.Value.(*session))
	}
	return out
}

func (k *session) find(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(k.replies, sequence, func(r reply, n uint64) int { return cmp.Compare(r.sequence, n) })
}

// confirm forgets the results before done.
func (k *session) confirm(done uint64) {
	if done > k.done {
		k.done = done
		i, _ := k.find(done)
		k.replies = k.replies[i:]
	}
}

func (k *session) answer(sequence, done uint64) *Result {
	k.confirm(done)
	if sequence < k.done {
		return invalid("request %d of client %s was answered already", sequence, k.name)
	}
	if i, found := k.find(sequence); found {
		return k.replies[i].result
	}
	return nil
}

// keep stores a result. If there are too many, the first counts as confirmed: to
// refuse the new one instead would shut a client out that never confirms any.
func (k *session) keep(sequence uint64, r *Result) {
	i, _ := k.find(sequence)
	if kept := (reply{sequence, r}); i == len(k.replies) {
		k.replies = append(k.replies, kept)
	} else {
		k.replies = slices.Concat(k.replies[:i], []reply{kept}, k.replies[i:])
	}
	if len(k.replies) > maxReplies {
		k.confirm(k.replies[0].sequence + 1)
	}
}
