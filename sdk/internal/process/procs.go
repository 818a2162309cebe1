package process

import (
	"os"
	"runtime"
)

// unit is one CPU, in the units of resources.
const unit = 10_000

// procs fits GOMAXPROCS of a worker to the CPUs that its task or actor holds:
// rounded up, one at least. More would take turns with other workers all the
// same, and a runtime that wakes threads for goroutines which are about to run
// anyway doubles the time of a small task. What the environment or the user's
// code sets stays.
type procs struct {
	set   int // by us
	fixed bool
}

func newProcs() procs {
	p := procs{set: runtime.GOMAXPROCS(0), fixed: os.Getenv("GOMAXPROCS") != ""}
	p.fit(0)
	return p
}

// fit takes CPUs in units of 1/10,000.
func (p *procs) fit(cpus int64) {
	n := max(1, int((cpus+unit-1)/unit))
	if p.fixed || n == p.set {
		return
	}
	if runtime.GOMAXPROCS(0) != p.set {
		p.fixed = true
		return
	}
	runtime.GOMAXPROCS(n)
	p.set = n
}
