package gray

import (
	"fmt"
	"maps"
	"strings"

	"github.com/gray-runtime/gray/sdk/internal/process"
)

// RetryIf has a task run again after an error that its function returns, if retry says so.
// MaxRetries counts these attempts together with those after crashes. The second attempt
// begins 10 ms after the first, and each wait is twice the last, 10 s at most. retry is called in
// the worker, with the error itself; so RetryIf belongs to the task's declaration, not to
// Options. A panic is never retried. Of a stream, the next attempt goes on after the items
// that have arrived.
func RetryIf(retry func(error) bool) Option {
	return func(o *options) { o.retryIf, o.taskOnly = retry, "RetryIf" }
}

// EnvVars sets environment variables of the process that a task runs, or an actor lives, in, over
// those of the job. Workers are started for, and shared by, what has the same variables. What is
// submitted there inherits them; EnvVars given twice add up. Names that begin with GRAY_ are gray's own.
func EnvVars(vars map[string]string) Option {
	for name := range vars {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.HasPrefix(name, "GRAY_") {
			panic(fmt.Sprintf("gray: environment variable %q at %s: no such name can be set", name, callSite()))
		}
	}
	vars = maps.Clone(vars)
	return func(o *options) {
		if o.envVars == nil {
			o.envVars = map[string]string{}
		}
		maps.Copy(o.envVars, vars)
	}
}

// declaredOptions are those of a task's declaration.
func declaredOptions(what string, opts []Option) options {
	o := taskDefaults().with(opts)
	o.check(what, false)
	return o
}

// retried marks an error that the declaration wants retried.
func (o *options) retried(err error) error {
	if err != nil && o.retryIf != nil && o.retryIf(err) {
		return &process.RetryError{Err: err}
	}
	return err
}

// redeclared is with for Options: what belongs to the declaration can't be changed there.
func (o options) redeclared(what string, opts []Option) options {
	retry := o.retryIf
	o.retryIf = nil
	o = o.with(opts)
	if o.retryIf != nil {
		panic(fmt.Sprintf("gray: option gray.RetryIf at %s: it belongs to the declaration of %s, where its workers know it, not to Options", callSite(), what))
	}
	o.retryIf = retry
	o.check(what, false)
	return o
}
