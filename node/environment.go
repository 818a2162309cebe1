package node

import "github.com/gray-runtime/gray/proto"

// pool counts the workers of a job and environment on their way.
type pool struct {
	starting int
	failures int // of starts, in a row
}

// sameEnvironment reports whether a worker of one environment does for the other.
func sameEnvironment(a, b *proto.Environment) bool { return a.GetKey() == b.GetKey() }

// count adds to a pool's counts. Called, as what follows, with Node.mu held.
func (j *job) count(env *proto.Environment, starting, failures int) pool {
	k := j.pools[env.GetKey()]
	k.starting += starting
	k.failures += failures
	if k == (pool{}) {
		delete(j.pools, env.GetKey())
		return k
	}
	if j.pools == nil {
		j.pools = map[string]pool{}
	}
	j.pools[env.GetKey()] = k
	return k
}

// lastIdle is the index of the environment's worker that was busy last, -1 if none is idle.
func (j *job) lastIdle(env *proto.Environment) int {
	for i := len(j.idle) - 1; i >= 0; i-- {
		if sameEnvironment(j.idle[i].env, env) {
			return i
		}
	}
	return -1
}

func (j *job) hasIdle(env *proto.Environment) bool { return j.lastIdle(env) >= 0 }

// waitFor is how many reservations need a worker of the environment.
func (j *job) waitFor(env *proto.Environment) (n int) {
	for _, t := range j.waiting {
		if sameEnvironment(t.env, env) {
			n++
		}
	}
	return n
}
