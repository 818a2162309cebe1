package fsm

import (
	"fmt"
	"strings"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/proto"
)

// A simClient is a process of a node, or of none, that asks for things whose
// effect shows in the answer, and asks again until it has one.
type simClient struct {
	w      *world
	name   string
	number int
	node   uint32
	asked  []*asked // by sequence, from 1 on
}

type asked struct {
	sequence uint64
	body     Body
	first    *Result // nil: no answer yet
	key      string  // what it puts or deletes
	deleted  bool    // by a later one
}

// done is the sequence of the first that has no answer.
func (k *simClient) done() uint64 {
	for _, q := range k.asked {
		if q.first == nil {
			return q.sequence
		}
	}
	return uint64(len(k.asked)) + 1
}

// ask sends new requests as far as the window goes.
func (k *simClient) ask() {
	for len(k.asked) < asks && uint64(len(k.asked))+1 < k.done()+window {
		q := k.next(uint64(len(k.asked)) + 1)
		k.asked = append(k.asked, q)
		k.try(q)
	}
}

func (k *simClient) next(sequence uint64) *asked {
	q := &asked{sequence: sequence}
	switch k.w.r.Intn(5) {
	case 0:
		q.body = &Command_SubmitJob{&SubmitJob{Spec: &proto.JobSpec{SubmissionId: k.job(sequence), Entrypoint: "x"}}}
		return q
	case 1:
		spec := &proto.ActorSpec{Id: id(uint64(100*(k.number+1)) + sequence), Job: uint32(k.w.r.Intn(8)), Name: []string{"", "x", "y", "z"}[k.w.r.Intn(4)]}
		q.body = &Command_CreateActor{&CreateActor{Spec: spec, GetIfExists: k.w.chance(50), Node: k.node}}
		return q
	case 2, 3:
		// Were the put applied once more after this, the key would be back.
		if put := k.put(); put != nil {
			put.deleted, q.key = true, put.key
			q.body = &Command_DeleteKey{&DeleteKey{Namespace: k.name, Key: q.key}}
			return q
		}
	}
	q.key = fmt.Sprint("k", sequence)
	q.body = &Command_PutKey{&PutKey{Namespace: k.name, Key: q.key, Value: []byte(q.key), Keep: k.w.chance(50)}}
	return q
}

func (k *simClient) job(sequence uint64) string { return fmt.Sprintf("%s-%d", k.name, sequence) }

// put finds one that had its effect and that nothing has undone.
func (k *simClient) put() *asked {
	for _, q := range k.asked {
		if _, is := q.body.(*Command_PutKey); is && q.first != nil && q.first.Error == nil && !q.deleted {
			return q
		}
	}
	return nil
}

func (k *simClient) try(q *asked) {
	if q.first != nil {
		return
	}
	to := k.w.heads[k.w.r.Intn(len(k.w.heads))]
	if k.w.leader != nil && k.w.chance(70) {
		to = k.w.leader
	}
	c := &Command{Client: k.name, Sequence: q.sequence, Done: k.done(), Node: k.node, Body: q.body}
	k.w.send(func() { to.receive(c) })
	k.w.after(80+k.w.r.Intn(120), func() { k.try(q) })
}

func answeredAlready(r *Result) bool {
	return r.GetError().GetKind() == proto.Error_INVALID && strings.Contains(r.Error.Message, "answered already")
}

func (k *simClient) answer(sequence uint64, r *Result) {
	q := k.asked[sequence-1]
	switch {
	case q.first == nil:
		q.first = r
		k.judge(q)
		k.w.after(k.w.r.Intn(100), k.ask)
	case answeredAlready(r) && sequence < k.done(): // and so it was
	case !protobuf.Equal(r, q.first):
		k.w.t.Fatalf("%s: request %d was answered %v, and now %v", k.name, sequence, q.first, r)
	}
}

// judge checks a first answer: only the first effect can give it.
func (k *simClient) judge(q *asked) {
	r, ok := q.first, q.first.Error == nil
	switch q.body.(type) {
	case *Command_PutKey:
		ok = ok && !r.Existed
	case *Command_DeleteKey:
		ok = ok && r.Existed
	case *Command_SubmitJob:
		ok = ok && r.Id != 0
	case *Command_CreateActor:
		ok = !answeredAlready(r)
	}
	if !ok && (k.node == 0 || r.GetError().GetKind() != proto.Error_NODE_DIED) {
		k.w.t.Fatalf("%s: request %d, %v: %v", k.name, q.sequence, q.body, r)
	}
}

// check compares what it was told with the state at the end.
func (k *simClient) check(s *State) {
	keys := map[string]bool{}
	for _, q := range k.asked {
		if q.first == nil {
			k.w.t.Fatalf("%s: request %d has no answer", k.name, q.sequence)
		}
		had := q.first.Error == nil
		switch q.body.(type) {
		case *Command_PutKey:
			keys[q.key] = had
		case *Command_DeleteKey:
			keys[q.key] = !had
		case *Command_SubmitJob:
			if j := s.FindJob(k.job(q.sequence)); (j != nil) != had || had && j.Spec.Id != q.first.Id {
				k.w.t.Fatalf("%s: job of request %d is %+v, was told %v", k.name, q.sequence, j, q.first)
			}
		}
	}
	for key, want := range keys {
		if v, found := s.Key(k.name, key); found != want || found && string(v) != key {
			k.w.t.Fatalf("%s: key %s has the value %q, there: %v, want %v", k.name, key, v, found, want)
		}
	}
}
