package gray

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

const (
	resourceUnit = 10_000  // of a resource's smallest amounts in one
	maxResource  = 1 << 48 // the largest amount of a resource, as in package sched
)

// Option changes how a task runs or an actor lives.
type Option func(*options)

type options struct {
	resources      map[string]int64
	strategy       *proto.Strategy
	maxRetries     int
	timeout        time.Duration
	name           string
	namespace      string
	maxRestarts    int
	maxConcurrency int
	detached       bool
	capture        bool // GROUPS

	// actors
	maxTaskRetries  int
	maxPendingCalls int
	groups          []*proto.ConcurrencyGroup
	saveEvery       int // calls; -1: not set
	lightweight     bool

	// TASKS
	retryIf    func(error) bool
	envVars    map[string]string
	workingDir *process.WorkingDir // ENV
	chain      []Option            // that made these of the kind's defaults

	taskOnly, actorOnly string // the option that applies to one of them only
}

func taskDefaults() options {
	return options{resources: map[string]int64{"CPU": resourceUnit}, maxRetries: 3}
}

// actorDefaults: an actor holds no CPU while it lives, as in Ray.
func actorDefaults() options {
	return options{resources: map[string]int64{}, maxConcurrency: 1, saveEvery: -1}
}

func (o options) with(opts []Option) options {
	o.resources, o.envVars = maps.Clone(o.resources), maps.Clone(o.envVars)
	for _, f := range opts {
		f(&o)
	}
	o.chain = append(slices.Clip(o.chain), opts...)
	return o
}

func (o *options) resource(name string, amount float64) {
	if math.IsNaN(amount) || amount < 0 || amount > maxResource {
		panic(fmt.Sprintf("gray: %g of resource %q at %s: want an amount from 0 to 2^48", amount, name, callSite()))
	}
	whole, part := math.Modf(amount) // apart: the product may need more bits than a float64 has
	units := int64(whole)*resourceUnit + int64(math.Round(part*resourceUnit))
	if units == 0 && amount > 0 {
		panic(fmt.Sprintf("gray: %g of resource %q at %s: less than the smallest amount, 1/10,000", amount, name, callSite()))
	}
	if units == 0 {
		delete(o.resources, name)
		return
	}
	o.resources[name] = units
}

// NumCPUs sets the CPUs that a running task (default 1) or a living actor
// (default 0) occupies. Fractions are allowed, down to 1/10,000. Its Go code runs
// on that many CPUs at a time (GOMAXPROCS), rounded up and one at least, unless
// the job's environment sets GOMAXPROCS.
func NumCPUs(n float64) Option { return func(o *options) { o.resource("CPU", n) } }

// NumGPUs sets the GPUs that a running task or a living actor occupies: whole ones, of
// which it has certain devices to itself (see GPUIDs), or a part of one, shared with others.
func NumGPUs(n float64) Option {
	if n > 1 && n != math.Trunc(n) {
		panic(fmt.Sprintf("gray: NumGPUs(%g) at %s: more than one must be a whole number", n, callSite()))
	}
	return func(o *options) { o.resource("GPU", n) }
}

// Memory sets the bytes of memory that a running task or a living actor
// reserves. It is accounted, not enforced.
func Memory(bytes int64) Option { return func(o *options) { o.resource("memory", float64(bytes)) } }

// Resource sets the amount of a custom resource that a running task or a
// living actor occupies, as named by gray start --resources.
func Resource(name string, amount float64) Option {
	return func(o *options) { o.resource(name, amount) }
}

// MaxRetries sets how often a task is run again after its process or node died, or
// after an error that RetryIf chose: 3 for tasks unless set, 0 for never, -1 without
// bound. Other errors are not retried.
func MaxRetries(n int) Option {
	return func(o *options) { o.maxRetries, o.taskOnly = n, "MaxRetries" }
}

// Timeout ends the task's context so long after it has begun; each attempt has
// the whole of it.
func Timeout(d time.Duration) Option {
	return func(o *options) { o.timeout, o.taskOnly = d, "Timeout" }
}

// Name makes an actor findable by GetActor, for which it lives as long as its job without
// a handle, and a task known by that name to people.
func Name(name string) Option { return func(o *options) { o.name = name } }

// Namespace sets where an actor's name is unique and found: the job unless set.
func Namespace(namespace string) Option {
	return func(o *options) { o.namespace, o.actorOnly = namespace, "Namespace" }
}

// MaxRestarts sets how often a died actor is started anew: 0 unless set, -1 without
// bound. Its state is fresh, unless its type has the methods of Saver.
func MaxRestarts(n int) Option {
	return func(o *options) { o.maxRestarts, o.actorOnly = n, "MaxRestarts" }
}

// MaxConcurrency sets how many calls of an actor run at the same time: 1
// unless set.
func MaxConcurrency(n int) Option {
	return func(o *options) { o.maxConcurrency, o.actorOnly = max(n, 1), "MaxConcurrency" }
}

// Detached lets an actor outlive its job, until it is killed.
func Detached() Option {
	return func(o *options) { o.detached, o.actorOnly = true, "Detached" }
}

func (o *options) check(what string, actor bool) {
	wrong := o.actorOnly
	if actor {
		wrong = o.taskOnly
	}
	if wrong != "" {
		panic(fmt.Sprintf("gray: option gray.%s at %s has no meaning for %s", wrong, callSite(), what))
	}
	o.captureChildren()
}

// PutOption changes how Put keeps a value.
type PutOption func(*putOptions)

type putOptions struct{ replicas int }

// maxReplicas is on how many nodes a value can be kept.
const maxReplicas = 16

// Replicas has Put return only when n nodes, this one among them, have the value in
// their stores: it's lost with the last of them only, while the value of a plain Put,
// and whatever refers to it, is lost with the node of the process that put it. A node
// that dies isn't replaced. n is at most 16; up to 1 it changes nothing.
func Replicas(n int) PutOption {
	if n > maxReplicas {
		panic(fmt.Sprintf("gray: Replicas(%d) at %s: want at most %d", n, callSite(), maxReplicas))
	}
	return func(o *putOptions) { o.replicas = n }
}
