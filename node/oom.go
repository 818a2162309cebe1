package node

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/machine"
)

const (
	// watchMemoryEvery is how often the memory in use is looked at.
	watchMemoryEvery = 250 * time.Millisecond
	// victimLimit is how long a killed process may take to end.
	victimLimit = 2 * time.Second
	// usageRows is how many processes the table of a kill has.
	usageRows = 10
)

// rank says who is killed first when memory runs out.
type rank int

const (
	retriableTask rank = iota
	otherTask
	restartableActor
	otherActor
	spared // drivers, and what is starting
)

func (r rank) String() string {
	return [...]string{"retriable task", "task that may not be retried", "actor that is restarted", "actor that isn't restarted", "process"}[r]
}

// memoryUser is a process of a job and what it uses.
type memoryUser struct {
	process *process
	pid     int
	job     ids.JobID
	bytes   int64
	rank    rank
	began   uint64 // when its task or actor did, for who is newest
	what    string
}

// victim picks who is to be killed: of the first rank that there is, of the job that uses
// most in all, the newest. Nil if nobody may be.
func victim(users []memoryUser) *memoryUser {
	byJob := map[ids.JobID]int64{}
	for _, u := range users {
		byJob[u.job] += u.bytes
	}
	var best *memoryUser
	for i := range users {
		u := &users[i]
		if u.rank == spared {
			continue
		}
		if best == nil || cmp.Or(
			cmp.Compare(u.rank, best.rank), cmp.Compare(byJob[best.job], byJob[u.job]), cmp.Compare(u.job, best.job),
			cmp.Compare(best.began, u.began), cmp.Compare(best.bytes, u.bytes),
		) < 0 {
			best = u
		}
	}
	return best
}

// watchMemory kills tasks before the kernel kills anybody.
func (n *Node) watchMemory() {
	if n.cfg.MemoryThreshold <= 0 && n.cfg.MemoryLimit <= 0 {
		return
	}
	for n.pause(watchMemoryEvery) {
		why, short := n.shortOfMemory()
		if short {
			n.relieve(why)
		}
	}
}

// shortOfMemory says how much is in use of what, if that's too much.
func (n *Node) shortOfMemory() (why string, short bool) {
	if n.cfg.MemoryThreshold > 0 {
		if u, ok := machine.Use(); ok && float64(u.Used) > n.cfg.MemoryThreshold*float64(u.Limit) {
			return fmt.Sprintf("%s of the %s of %s are in use, over %g%%", mib(u.Used), mib(u.Limit), u.Of, 100*n.cfg.MemoryThreshold), true
		}
	}
	if n.cfg.MemoryLimit > 0 {
		var used int64
		for _, u := range n.memoryUsers() {
			used += u.bytes
		}
		if used > n.cfg.MemoryLimit {
			return fmt.Sprintf("its jobs' processes use %s, over the %s that they may", mib(used), mib(n.cfg.MemoryLimit)), true
		}
	}
	return "", false
}

// memoryUsers are the processes of jobs here, with what they use.
func (n *Node) memoryUsers() []memoryUser {
	n.mu.Lock()
	var users []memoryUser
	for _, p := range n.processes {
		if p.job == nil || p.pid == 0 || p.state == gone {
			continue
		}
		users = append(users, n.memoryUserLocked(p))
	}
	n.mu.Unlock()
	for i := range users {
		users[i].bytes = machine.Resident(users[i].pid)
	}
	return users
}

func (n *Node) memoryUserLocked(p *process) memoryUser {
	began, retriable := n.progress.began(p.slot)
	u := memoryUser{process: p, pid: p.pid, job: p.job.id, rank: spared, began: began}
	switch {
	case !p.worker:
		u.what = "driver"
	case p.killed != "":
		u.what = "ending worker"
	case p.state == hosting:
		u.what, u.rank, u.began = "actor "+p.actor.spec.GetClass(), otherActor, uint64(p.id.Number)
		if p.actor.spec.GetMaxRestarts() != 0 {
			u.rank = restartableActor
		}
	case p.state == leased && n.progress.lastStarted(p.slot) != 0:
		u.what, u.rank = "task "+n.runsLocked(p), otherTask
		if retriable {
			u.rank = retriableTask
		}
	default:
		u.what = "idle worker"
	}
	return u
}

// relieve kills one, and waits until it's gone.
func (n *Node) relieve(why string) {
	users := n.memoryUsers()
	v := victim(users)
	if v == nil {
		n.log.Warn("memory runs out, and no task or actor is here to be killed", "why", why)
		n.pause(victimLimit)
		return
	}
	text := fmt.Sprintf("%s was running out of memory: %s; this was the newest %s of job %s, and it had %s\n%s",
		n.id, why, v.rank, v.job, mib(v.bytes), usageTable(users))
	n.mu.Lock()
	if v.process.killed == "" {
		v.process.killed, v.process.outOfMemory = text, true
	}
	v.process.kill(text)
	n.mu.Unlock()
	n.instruments.oomKills.Add(1)
	n.log.Warn("killed for want of memory", "process", v.process.name(), "pid", v.pid, "what", v.what, "why", why)
	late := time.NewTimer(victimLimit)
	defer late.Stop()
	select {
	case <-v.process.ctx.Done():
	case <-late.C:
	case <-n.ctx.Done():
	}
}

// usageTable shows who uses most.
func usageTable(users []memoryUser) string {
	users = slices.Clone(users)
	slices.SortFunc(users, func(a, b memoryUser) int { return cmp.Or(-cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.pid, b.pid)) })
	var b strings.Builder
	fmt.Fprintf(&b, "%8s %10s  %-6s %s", "PID", "MEMORY", "JOB", "WHAT")
	for _, u := range users[:min(len(users), usageRows)] {
		fmt.Fprintf(&b, "\n%8d %10s  %-6s %s", u.pid, mib(u.bytes), u.job, u.what)
	}
	if rest := len(users) - usageRows; rest > 0 {
		fmt.Fprintf(&b, "\n… and %d more", rest)
	}
	return b.String()
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
