package gray

import (
	"context"
	"fmt"
	"hash/fnv"
	"path"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"github.com/gray-runtime/gray/objectstore/codec"
	"github.com/gray-runtime/gray/proto"
	"github.com/gray-runtime/gray/sdk/internal/process"
)

// functions is what this binary registered: the same, under the same hashes,
// in every process of a job, since package initialisation is the same.
var functions = struct {
	sync.Mutex
	byHash map[uint64]*process.Function
	names  map[string]int
}{byHash: map[uint64]*process.Function{}, names: map[string]int{}}

func hashOf(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// register files a function under its symbol name. Functions that share one, as
// instances of a generic function do, are told apart by their order.
func register(what string, fn any, run func(name string) func(context.Context, *process.Invocation) error) (string, uint64) {
	name := symbol(fn)
	if !initialising() {
		panic(fmt.Sprintf("gray: %s(%s) is called at %s, when the program already runs: workers would not know it; make it a package-level variable",
			what, name, callSite()))
	}
	functions.Lock()
	defer functions.Unlock()
	functions.names[name]++
	if n := functions.names[name]; n > 1 {
		name = fmt.Sprintf("%s#%d", name, n)
	}
	hash := hashOf(name)
	if other, ok := functions.byHash[hash]; ok {
		panic(fmt.Sprintf("gray: the names %s and %s have the same hash; rename one", other.Name, name))
	}
	functions.byHash[hash] = &process.Function{Name: name, Run: run(name)}
	return name, hash
}

func lookup(hash uint64) (*process.Function, bool) {
	functions.Lock()
	defer functions.Unlock()
	f, ok := functions.byHash[hash]
	return f, ok
}

// registered lists the functions for the node, which names them to people.
func registered() []*proto.Function {
	functions.Lock()
	defer functions.Unlock()
	list := make([]*proto.Function, 0, len(functions.byHash))
	for hash, f := range functions.byHash {
		list = append(list, &proto.Function{Hash: hash, Name: f.Name})
	}
	return list
}

// symbol returns a function's name as the linker knows it. An anonymous function
// of package level, which the linker knows by a number only, is named by its
// place: main.func@job.go:13.
func symbol(fn any) string {
	v := reflect.ValueOf(fn)
	if v.IsNil() {
		return "nil"
	}
	f := runtime.FuncForPC(v.Pointer())
	name := f.Name()
	dot := strings.LastIndexByte(name, '/') + 1
	dot += strings.IndexByte(name[dot:], '.')
	if in := name[dot+1:]; strings.HasPrefix(in, "init.") || strings.HasPrefix(in, "glob.") {
		file, line := f.FileLine(f.Entry())
		return fmt.Sprintf("%s.func@%s:%d", name[:dot], path.Base(file), line)
	}
	return name
}

// initialising reports whether package variables are being initialised.
func initialising() bool {
	found := false
	eachFrame(func(f runtime.Frame) bool {
		found = strings.HasPrefix(f.Function, "runtime.doInit")
		return !found
	})
	return found
}

// callSite returns where the user's code called this package. Frames are told by
// their files, as an inlined function bears its caller's name.
func callSite() string {
	site := "an unknown place"
	_, here, _, _ := runtime.Caller(0)
	eachFrame(func(f runtime.Frame) bool {
		if path.Dir(f.File) == path.Dir(here) && !strings.HasSuffix(f.File, "_test.go") {
			return true
		}
		site = fmt.Sprintf("%s:%d", f.File, f.Line)
		return false
	})
	return site
}

func eachFrame(f func(runtime.Frame) bool) {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if !f(frame) || !more {
			return
		}
	}
}

// mustCodec returns T's codec, or panics naming what can't travel: a mistake
// in the program that shows at its start, in every process.
func mustCodec[T any](what, name, part string) *codec.Codec[T] {
	c, err := codec.For[T]()
	if err != nil {
		panic(fmt.Sprintf("gray: %s(%s) at %s: its %s can't travel between processes: %v", what, name, callSite(), part, err))
	}
	return c
}

// boxed is a value with its encoding.
type boxed[T any] struct {
	codec *codec.Codec[T]
	v     *T
}

func (b boxed[T]) Size(c *process.Collector) (int, error) { return b.codec.Size(b.v, c) }

func (b boxed[T]) Append(dst []byte, c *process.Collector) ([]byte, error) {
	return b.codec.Append(dst, b.v, c)
}
