package head

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// What clients ask for. A key is that of a value, or the name of an actor; what it
// has is a value or the actor's number; "": nothing.
const (
	putKey      = "put"
	keepKey     = "keep" // put, if there is nothing
	getKey      = "get"
	deleteKey   = "delete"
	createActor = "create" // if the name is free
	obtainActor = "obtain" // create, or take the one that has the name
	findActor   = "find"
	killActor   = "kill" // that of a number, which had the name once
)

type request struct{ verb, key, value string }

// outcome is what became of a request; one that isn't known may have had its effect
// or may still have it.
type outcome struct {
	known bool
	ok    bool // put, keep, delete: something was there; create: it was made
	value string
}

// step is what one request does to what a key has, and whether it may be answered so.
func step(has string, r request, a outcome) (bool, string) {
	there := has != ""
	says := func(ok bool) bool { return !a.known || a.ok == ok }
	switch r.verb {
	case putKey:
		return says(there), r.value
	case keepKey, createActor:
		fits := says(there == (r.verb == keepKey))
		if there {
			return fits, has
		}
		return fits, r.value
	case getKey, findActor:
		return !a.known || a.value == has, has
	case deleteKey:
		return says(there), ""
	case obtainActor:
		if there {
			return true, has
		}
		return true, r.value
	case killActor:
		if has == r.value {
			return true, ""
		}
		return true, has
	}
	return false, has
}

// registers is how keys and names behave if each request has its effect once, at
// one moment between its call and its answer.
var registers = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range all {
			key := o.Input.(request).key
			byKey[key] = append(byKey[key], o)
		}
		return slices.Collect(maps.Values(byKey))
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(string), input.(request), output.(outcome))
	},
	DescribeOperation: func(input, output any) string {
		r, a := input.(request), output.(outcome)
		if !a.known {
			return fmt.Sprintf("%s %s %s: ?", r.verb, r.key, r.value)
		}
		return fmt.Sprintf("%s %s %s: %t %s", r.verb, r.key, r.value, a.ok, a.value)
	},
}

// history is what clients saw.
type history struct {
	began time.Time

	mu  sync.Mutex
	ops []porcupine.Operation
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

func (h *history) add(client int, r request, call int64, a outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: r, Call: call, Output: a, Return: h.now()})
}

// check fails the test if what clients saw has no order that explains it. Requests
// without an answer are open until the end.
func (h *history) check(t testing.TB) {
	t.Helper()
	open := 0
	for i, end := 0, h.now(); i < len(h.ops); i++ {
		if o := &h.ops[i]; !o.Output.(outcome).known {
			o.Return = end
			open++
		}
	}
	began := time.Now()
	result := porcupine.CheckOperationsTimeout(registers, h.ops, checkLimit)
	t.Logf("%d operations, %d of them open: %s, checked in %v", len(h.ops), open, result, time.Since(began))
	if result != porcupine.Illegal {
		return
	}
	_, info := porcupine.CheckOperationsVerbose(registers, h.ops, checkLimit)
	f, err := os.CreateTemp("", "linear-*.html")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := porcupine.Visualize(registers, info, f); err != nil {
		t.Error(err)
	}
	t.Errorf("not linearizable: see %s", f.Name())
}

// checkLimit is how long an order may be looked for.
const checkLimit = time.Minute

// TestModel: the model finds what the heads must not do.
func TestModel(t *testing.T) {
	op := func(call, end int64, verb, value string, a outcome) porcupine.Operation {
		return porcupine.Operation{Input: request{verb, "k", value}, Call: call, Return: end, Output: a}
	}
	none, was, lost := outcome{known: true}, outcome{known: true, ok: true}, outcome{}
	saw := func(value string) outcome { return outcome{known: true, ok: value != "", value: value} }
	for name, c := range map[string]struct {
		legal bool
		ops   []porcupine.Operation
	}{
		"in order":             {true, []porcupine.Operation{op(0, 1, putKey, "a", none), op(2, 3, putKey, "b", was), op(4, 5, getKey, "", saw("b"))}},
		"a stale read":         {false, []porcupine.Operation{op(0, 1, putKey, "a", none), op(2, 3, putKey, "b", was), op(4, 5, getKey, "", saw("a"))}},
		"at the same time":     {true, []porcupine.Operation{op(0, 1, putKey, "a", none), op(2, 5, putKey, "b", was), op(4, 6, getKey, "", saw("a"))}},
		"back in time":         {false, []porcupine.Operation{op(0, 9, putKey, "a", none), op(1, 2, getKey, "", saw("a")), op(3, 4, getKey, "", saw(""))}},
		"lost, and happened":   {true, []porcupine.Operation{op(0, 9, putKey, "a", lost), op(2, 3, getKey, "", saw("a"))}},
		"lost, and not yet":    {true, []porcupine.Operation{op(0, 9, putKey, "a", lost), op(2, 3, getKey, "", saw(""))}},
		"lost, and twice":      {false, []porcupine.Operation{op(0, 9, putKey, "a", lost), op(2, 3, getKey, "", saw("a")), op(4, 5, deleteKey, "", was), op(6, 7, getKey, "", saw("a"))}},
		"a lost write":         {false, []porcupine.Operation{op(0, 1, putKey, "a", none), op(2, 3, getKey, "", saw(""))}},
		"kept twice":           {false, []porcupine.Operation{op(0, 5, keepKey, "a", none), op(0, 5, keepKey, "b", none)}},
		"kept once":            {true, []porcupine.Operation{op(0, 5, keepKey, "a", was), op(0, 5, keepKey, "b", none)}},
		"removed twice":        {false, []porcupine.Operation{op(0, 1, putKey, "a", none), op(2, 9, deleteKey, "", was), op(2, 9, deleteKey, "", was)}},
		"a name given twice":   {false, []porcupine.Operation{op(0, 5, createActor, "1", was), op(0, 5, createActor, "2", was)}},
		"a name that was free": {false, []porcupine.Operation{op(0, 5, createActor, "1", none)}},
		"a name given again":   {true, []porcupine.Operation{op(0, 1, createActor, "1", was), op(2, 3, killActor, "1", none), op(4, 5, createActor, "2", was)}},
		"obtained":             {true, []porcupine.Operation{op(0, 1, createActor, "1", was), op(2, 3, obtainActor, "2", none), op(4, 5, findActor, "", saw("1"))}},
		"obtained wrongly":     {false, []porcupine.Operation{op(0, 1, createActor, "1", was), op(2, 3, obtainActor, "2", none), op(4, 5, findActor, "", saw("2"))}},
		"killed, and there":    {false, []porcupine.Operation{op(0, 1, createActor, "1", was), op(2, 3, killActor, "1", none), op(4, 5, findActor, "", saw("1"))}},
		"killed another":       {true, []porcupine.Operation{op(0, 1, createActor, "2", was), op(2, 3, killActor, "1", none), op(4, 5, findActor, "", saw("2"))}},
	} {
		if legal := porcupine.CheckOperations(registers, c.ops); legal != c.legal {
			t.Errorf("%s: legal: %t", name, legal)
		}
	}
}
