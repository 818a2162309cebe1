package gray

import (
	"fmt"
	"strings"

	"github.com/gray-runtime/gray/proto"
)

// MaxTaskRetries sets how often a call of an actor is made again after the actor died
// under it and was restarted: 0 unless set, -1 without bound. Calls keep their order. One
// whose answer alone was lost has its effect twice.
func MaxTaskRetries(n int) Option {
	return func(o *options) { o.maxTaskRetries, o.actorOnly = n, "MaxTaskRetries" }
}

// MaxPendingCalls sets how many calls of an actor each process may have that wait for
// their answers; further ones fail with CallsLimitError. A process that was given its
// handle by another learns of the limit when it has reached the actor.
func MaxPendingCalls(n int) Option {
	return func(o *options) { o.maxPendingCalls, o.actorOnly = max(n, 0), "MaxPendingCalls" }
}

// ConcurrencyGroup has calls of some methods run beside all others, n of them at a time.
// A method is a method expression, such as (*Counter).Add, and in one group at most.
// Calls of one process to methods of one group begin in the order in which they were made.
func ConcurrencyGroup(name string, n int, methods ...any) Option {
	group := &proto.ConcurrencyGroup{Name: name, MaxConcurrency: uint32(max(n, 1))}
	for _, method := range methods {
		m := methodNamed(method)
		if m.err != nil {
			panic(fmt.Sprintf("gray: ConcurrencyGroup(%q) at %s: %v", name, callSite(), m.err))
		}
		group.Methods = append(group.Methods, m.opts.Function)
	}
	return func(o *options) {
		for _, other := range o.groups {
			if strings.EqualFold(other.Name, name) {
				panic(fmt.Sprintf("gray: ConcurrencyGroup(%q) at %s is there twice", name, callSite()))
			}
		}
		o.groups, o.actorOnly = append(o.groups[:len(o.groups):len(o.groups)], group), "ConcurrencyGroup"
	}
}

// SaveEvery sets after how many calls the state of an actor that is a Saver is kept: 1
// unless set, if it can be restarted, else 0, which is only when it calls Checkpoint.
func SaveEvery(calls int) Option {
	return func(o *options) { o.saveEvery, o.actorOnly = max(calls, 0), "SaveEvery" }
}

func (o *options) savesEvery() uint32 {
	switch {
	case o.saveEvery >= 0:
		return uint32(o.saveEvery)
	case o.maxRestarts != 0:
		return 1
	}
	return 0
}

// KillOption changes what Kill does.
type KillOption func(*killOptions)

type killOptions struct{ restart bool }

// Restart has Kill end the actor's process only: it's started again if it has restarts left.
func Restart() KillOption { return func(o *killOptions) { o.restart = true } }
