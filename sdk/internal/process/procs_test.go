package process

import (
	"runtime"
	"testing"
)

func TestProcs(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	t.Setenv("GOMAXPROCS", "")
	p := newProcs()
	for _, c := range []struct {
		cpus int64
		want int
	}{{0, 1}, {unit, 1}, {1, 1}, {unit + 1, 2}, {3 * unit, 3}, {unit / 2, 1}} {
		if p.fit(c.cpus); runtime.GOMAXPROCS(0) != c.want {
			t.Errorf("%d/10,000 CPUs: GOMAXPROCS is %d, want %d", c.cpus, runtime.GOMAXPROCS(0), c.want)
		}
	}
	runtime.GOMAXPROCS(5) // by a task
	p.fit(2 * unit)
	p.fit(unit)
	if runtime.GOMAXPROCS(0) != 5 {
		t.Errorf("what a task has set is changed to %d", runtime.GOMAXPROCS(0))
	}
	t.Setenv("GOMAXPROCS", "7")
	q := newProcs()
	q.fit(unit)
	if runtime.GOMAXPROCS(0) != 5 {
		t.Errorf("what the environment has set is changed to %d", runtime.GOMAXPROCS(0))
	}
}
