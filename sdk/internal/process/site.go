package process

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/gray-runtime/gray/proto"
)

// sampleSites is how many of a task's first submissions, and thereafter one in how
// many, look up where they're made. Looking takes 300 ns; others go by the last that
// looked. All look once a result of the task has been stored.
const sampleSites = 64

// sites is where in the program submissions of a task are made.
type sites struct {
	calls  atomic.Uint32
	last   atomic.Uintptr
	stores atomic.Bool // results have been stored
}

// here returns the place from which the package gray was called, depth of whose
// functions have led to the one here that asks.
func (s *sites) here(depth int) uintptr {
	if n := s.calls.Add(1); n > sampleSites && n%sampleSites != 0 && !s.stores.Load() {
		return s.last.Load()
	}
	pc := callSite(3 + depth)
	s.last.Store(pc)
	return pc
}

// callSite returns a place in the program, skip callers above this function.
func callSite(skip int) uintptr {
	var pc [1]uintptr
	runtime.Callers(skip+1, pc[:])
	return pc[0]
}

// siteName is a place for people: the source file, with its folder, and the line.
func siteName(pc uintptr) string {
	if pc == 0 {
		return ""
	}
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	if f.File == "" {
		return ""
	}
	dir, file := filepath.Split(f.File)
	return fmt.Sprintf("%s:%d", filepath.Join(filepath.Base(dir), file), f.Line)
}

// listObjects describes this process's own objects that a store or another process
// knows, at most limit of them.
func (p *Process) listObjects(r *proto.ListRequest) *proto.ObjectList {
	list := &proto.ObjectList{}
	names := map[uintptr]string{}
	p.traces.Range(func(_, v any) bool {
		if v.(*trace).id.Actor() {
			return true
		}
		list.Total++
		if len(list.Objects) < int(r.GetLimit()) {
			list.Objects = append(list.Objects, v.(*trace).describe(names))
		}
		return true
	})
	return list
}

func (t *trace) describe(names map[uintptr]string) *proto.ObjectInfo {
	t.mu.Lock()
	i := &proto.ObjectInfo{
		Id: t.id.String(), State: "PENDING", Node: uint32(t.p.self.Node), Released: t.gone, CreatedUnixMs: t.since,
	}
	site, c, l := t.site, t.content, t.lineage
	if t.opts != nil {
		i.Function = t.opts.Name
	}
	t.mu.Unlock()
	if l != nil {
		i.Function, site = l.opts.Name, l.site
	}
	name, known := names[site]
	if !known {
		name = siteName(site)
		names[site] = name
	}
	i.CallSite = name
	switch {
	case c == nil:
	case c.err != nil:
		i.State = "FAILED"
	case c.stored:
		i.State, i.Size = "SEALED", c.size
	default:
		i.State, i.Size = "INLINE", int64(len(c.value))
	}
	return i
}

// putAt notes that o was put at a place, unless it's known better how it came about.
func (o *Object) putAt(pc uintptr) {
	t := o.tracing()
	if t == nil || !o.owned() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.site == 0 && t.lineage == nil {
		t.site = pc
	}
}
