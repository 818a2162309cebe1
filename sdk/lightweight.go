package gray

import (
	"fmt"
)

// Lightweight has an actor share a process with others of its kind instead of having
// one of its own: a million of them fit on a node, and one is made in microseconds.
// They differ from other actors in this: a panic in a method, which the call shows as
// a TaskError, ends the actor, or has it made anew if MaxRestarts allows; a crash of the
// process ends all in it; Kill ends the context of what runs, and its caller is told at
// once, but the goroutine goes on until it returns. They hold no resources. One that nobody
// has a handle to ends once its calls have run, unless it's detached. The processes, a
// few for each one that creates such actors, are placed as OnNode or Spread says. Their state
// isn't saved: they can't be Savers, nor be made by GetOrCreate. When
// one dies, the process that created its actors has those made anew that have restarts
// left: if it is gone, they're dead.
func Lightweight() Option {
	return func(o *options) { o.lightweight, o.actorOnly = true, "Lightweight" }
}

func (o *options) checkLightweight() {
	if !o.lightweight {
		return
	}
	if o.workingDir != nil {
		panic(fmt.Sprintf("gray: a lightweight actor at %s can't have a WorkingDir of its own: it shares its process with others", callSite()))
	}
	for name := range o.resources {
		panic(fmt.Sprintf("gray: a lightweight actor at %s can't have %s of its own: it shares its process with others", callSite(), name))
	}
	for _, wrong := range []struct {
		option string
		set    bool
	}{
		{"EnvVars", len(o.envVars) > 0}, {"MaxTaskRetries", o.maxTaskRetries != 0}, {"MaxPendingCalls", o.maxPendingCalls > 0},
		{"ConcurrencyGroup", len(o.groups) > 0}, {"SaveEvery", o.saveEvery >= 0},
	} {
		if wrong.set {
			panic(fmt.Sprintf("gray: option gray.%s at %s has no meaning for a lightweight actor", wrong.option, callSite()))
		}
	}
}
