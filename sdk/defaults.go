package gray

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gray-runtime/gray/sdk/internal/process"
)

// JobOption changes what holds for a whole job.
type JobOption func()

// jobTaskOptions are TaskDefaults, of this process and, since every process of a job runs Main,
// of them all.
var jobTaskOptions atomic.Pointer[[]Option]

// TaskDefaults are options that the job's tasks and streams have unless their declaration, or
// Options, says otherwise: gray.Main(run, gray.TaskDefaults(gray.MaxRetries(10))). A program that
// calls TakeRole before Main has them in its driver only.
func TaskDefaults(opts ...Option) JobOption {
	o := taskDefaults().with(opts)
	o.check("tasks", false)
	if o.retryIf != nil {
		panic(fmt.Sprintf("gray: option gray.RetryIf at %s: it belongs to a task's declaration", callSite()))
	}
	return func() { jobTaskOptions.Store(&opts) }
}

// compiled is a task's options as its submissions have them: made by the first, when the
// job's defaults are known.
type compiled struct {
	once sync.Once
	task *process.TaskOptions
}

func (c *compiled) get(o *options, name string, hash uint64, streaming bool) *process.TaskOptions {
	c.once.Do(func() {
		if defaults := jobTaskOptions.Load(); defaults != nil {
			whole := taskDefaults().with(*defaults).with(o.chain)
			o = &whole
		}
		c.task = o.compile(name, hash)
		c.task.Streaming = streaming
	})
	return c.task
}
