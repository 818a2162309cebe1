package node

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gray-runtime/gray/internal/errcode"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

const (
	// maxLiving is how many living tasks are looked at of a process.
	maxLiving = 10_000
	// maxRanked is how many attempts are sorted for a list; what comes after isn't listed.
	maxRanked = 110_000
)

// query is what is asked for of the attempts.
type query struct {
	scope
	tests     []test
	column    column
	byDefault bool // sorted by when they were submitted
	ascending bool
	offset    int
	limit     int
	partly    bool // processes don't know all filters
	living    bool // only what hasn't ended
}

func queryOf(r *proto.ListRequest) (*query, error) {
	q := &query{
		scope: scope{job: r.Job}, ascending: r.Ascending, offset: int(min(r.Offset, maxRanked)), limit: int(limitOf(r)), living: r.Living,
	}
	q.limit = min(q.limit, maxRanked-q.offset)
	sort := cmp.Or(r.Sort, "creation_time_ms")
	q.byDefault = sort == "creation_time_ms" && !q.ascending
	var known bool
	if q.column, known = columns[sort]; !known {
		return nil, errcode.Status(problem(proto.Error_INVALID, "tasks can't be sorted by %q", r.Sort))
	}
	for _, f := range r.Filters {
		t, err := testOf(f)
		if err != nil {
			return nil, err
		}
		q.tests = append(q.tests, t)
		q.partly = q.partly || !knownToOwners(f.Column)
	}
	if r.Search != "" {
		q.tests, q.partly = append(q.tests, testOfSearch(r.Search)), true
	}
	return q, nil
}

// knownToOwners reports whether processes filter by a column themselves.
func knownToOwners(column string) bool {
	return column == "name" || column == "state" || column == "actor_id"
}

func (q *query) fits(a *taskAttempt) bool {
	for _, t := range q.tests {
		if !t(a) {
			return false
		}
	}
	return true
}

// ranked is an attempt with what it's sorted by.
type ranked struct {
	taskAttempt
	key  int64
	text string
}

// ranking is the first attempts in an order, up to most of them, and for a while others.
type ranking struct {
	list      []*ranked
	most      int
	ascending bool
	last      *ranked // of most that are known; nil: there aren't as many
	spare     []*ranked
}

// compare orders by key and text, then the newest first.
func (k *ranking) compare(a, b *ranked) int {
	c := cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.text, b.text))
	if !k.ascending {
		c = -c
	}
	if c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(b.Submitted, a.Submitted), cmp.Compare(a.owner.Number, b.owner.Number),
		cmp.Compare(b.Number, a.Number), cmp.Compare(b.Attempt, a.Attempt))
}

// add takes an attempt in if it may be among the first.
func (k *ranking) add(a *ranked) {
	if k.last != nil && k.compare(a, k.last) >= 0 {
		return
	}
	if len(k.spare) == 0 {
		block := make([]ranked, 256)
		for i := range block {
			k.spare = append(k.spare, &block[i])
		}
	}
	kept := k.spare[len(k.spare)-1]
	k.spare = k.spare[:len(k.spare)-1]
	*kept = *a
	if k.list = append(k.list, kept); len(k.list) >= 2*k.most+1000 {
		k.trim()
	}
}

// trim leaves the first most, in any order.
func (k *ranking) trim() {
	if len(k.list) <= k.most {
		return
	}
	k.gather(k.most)
	k.spare = append(k.spare, k.list[k.most:]...)
	k.list = k.list[:k.most]
	if k.most > 0 {
		k.last = slices.MaxFunc(k.list, k.compare)
	}
}

// gather moves the first n to the front, in any order: that takes less than to sort all.
func (k *ranking) gather(n int) {
	begin, end := 0, len(k.list)
	for begin < n && n < end {
		pivot := k.list[begin+rand.IntN(end-begin)]
		i, j := begin, end-1
		for i <= j {
			for k.compare(k.list[i], pivot) < 0 {
				i++
			}
			for k.compare(k.list[j], pivot) > 0 {
				j--
			}
			if i <= j {
				k.list[i], k.list[j] = k.list[j], k.list[i]
				i, j = i+1, j-1
			}
		}
		switch { // none up to j comes after the pivot, none from i on before it
		case n <= j:
			end = j + 1
		case n > i:
			begin = i
		default:
			return
		}
	}
}

// page is the first most but for offset, in their order.
func (k *ranking) page(offset int) []*ranked {
	k.trim()
	offset = min(offset, len(k.list))
	k.gather(offset)
	slices.SortFunc(k.list[offset:], k.compare)
	return k.list[offset:]
}

// ListTasks lists living tasks, as the processes here that own them say, and ended attempts
// of which there are records.
func (s *service) ListTasks(ctx context.Context, r *proto.ListRequest) (*proto.TaskList, error) {
	if r.Task != "" {
		return s.n.explainTask(ctx, r.Task)
	}
	q, err := queryOf(r)
	if err != nil {
		return nil, err
	}
	return s.n.listTasks(ctx, q, r.Filters, r.Keys), nil
}

// listTasks answers with the tasks of a query, or with only what they are sorted by, and
// those that it leaves out, too.
func (n *Node) listTasks(ctx context.Context, q *query, filters []*proto.RowFilter, keys bool) *proto.TaskList {
	out := &proto.TaskList{}
	order := ranking{most: q.offset + q.limit, ascending: q.ascending}
	living := map[ids.ObjectID]taskAttempt{}
	var x ranked // one, as it's given to functions that the compiler doesn't know
	rank := func() {
		x.key, x.text = 0, ""
		if q.column.number != nil {
			x.key = q.column.number(&x.taskAttempt)
		} else {
			x.text = q.column.text(&x.taskAttempt)
		}
		order.add(&x)
	}
	n.askTasks(ctx, q, filters, func(p *process, l *proto.TaskList) {
		now := time.Now().UnixNano()
		fit := 0
		for _, t := range l.Tasks {
			if x.taskAttempt = alive(n.cluster, p, t, now); q.fits(&x.taskAttempt) {
				fit++
				living[ids.ObjectID{Owner: x.owner, Number: x.Number}] = x.taskAttempt
			}
		}
		out.Counts = append(out.Counts, l.Counts...)
		out.Total += l.Total
		found, more := max(l.Filtered, uint64(fit)), max(l.Filtered, uint64(len(l.Tasks)))-uint64(len(l.Tasks))
		if q.partly {
			found = uint64(fit)
		}
		if q.partly || !q.byDefault || q.offset+q.limit > maxLiving {
			out.Unseen += more
		}
		out.Filtered += found
	})
	records := uint64(0)
	take := func(owner ids.ProcessID, job uint32, name string, r *recorder.Record) {
		records++
		if q.byDefault && len(q.tests) == 0 && len(living) == 0 && order.last != nil && r.Submitted < order.last.key {
			out.Filtered++ // most are like that
			return
		}
		if x.taskAttempt = ended(n.cluster, owner, job, name, r); !q.fits(&x.taskAttempt) {
			return
		}
		if len(living) > 0 {
			id := ids.ObjectID{Owner: owner, Number: r.Number}
			if a, lived := living[id]; lived && a.Attempt == r.Attempt { // it has ended meanwhile
				delete(living, id)
				out.Filtered--
			}
		}
		out.Filtered++
		rank()
	}
	if !q.living {
		n.scan(q.scope, take)
		out.Dropped = n.dropped(q.job, records)
	}
	for _, a := range living {
		x.taskAttempt = a
		rank()
	}
	out.Total += records
	list := order.page(q.offset)
	if keys {
		for _, x := range list {
			out.Keys = append(out.Keys, &proto.TaskKey{Key: x.key, Text: x.text, SubmittedUnixNs: x.Submitted})
		}
		return out
	}
	for _, x := range list {
		t := x.info()
		t.Key, t.KeyText = x.key, x.text
		if x.state == stateFailed && x.living == nil {
			t.Error = n.archive.failure(failureKey{x.owner, x.Number, uint32(x.Attempt)}).GetMessage()
		}
		out.Tasks = append(out.Tasks, t)
	}
	n.addPids(out.Tasks)
	return out
}

// addPids says of workers here which processes they are, or were.
func (n *Node) addPids(tasks []*proto.TaskInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range tasks {
		if t.Pid != 0 || t.Worker == 0 || t.Node != uint32(n.id) {
			continue
		}
		if p := n.processes[t.Worker]; p != nil && p.child != nil {
			t.Pid = int32(p.child.pid)
		} else if w, ok := n.past.get(ids.ProcessID{Node: n.id, Number: t.Worker}); ok {
			t.Pid = w.Pid
		}
	}
}

// askTasks asks the processes here for their newest living tasks.
func (n *Node) askTasks(ctx context.Context, q *query, filters []*proto.RowFilter, take func(*process, *proto.TaskList)) {
	limit := uint32(min(q.offset+q.limit, maxLiving))
	if q.partly || !q.byDefault {
		limit = maxLiving
	}
	question := func() *proto.ToProcess {
		return &proto.ToProcess{Body: &proto.ToProcess_ListTasks{ListTasks: &proto.ListRequest{Job: q.job, Limit: limit, Filters: filters}}}
	}
	n.ask(ctx, q.job, question, func(p *process, m *proto.ToNode) {
		if l := m.GetTaskList(); l != nil { // else it has ended
			take(p, l)
		}
	})
}

// dropped is how many attempts of a job, 0 for all, have ended of which there is no record
// any more, given how many there are.
func (n *Node) dropped(job uint32, records uint64) uint64 {
	return max(n.endedAttempts(job), records) - records
}

// explainTask says all that is known here of a task: first what its owner says, if that
// lives and remembers it, then its ended attempts, the latest first.
func (n *Node) explainTask(ctx context.Context, id string) (*proto.TaskList, error) {
	out := &proto.TaskList{}
	o, err := ids.ParseObjectID(id)
	if unknown := err != nil || o.Cluster != n.cluster; unknown {
		return out, nil
	}
	question := func() *proto.ToProcess {
		return &proto.ToProcess{Body: &proto.ToProcess_ListTasks{ListTasks: &proto.ListRequest{Limit: 1, Task: id}}}
	}
	n.ask(ctx, 0, question, func(p *process, m *proto.ToNode) {
		if p.id == o.Owner {
			for _, t := range m.GetTaskList().GetTasks() {
				a := alive(n.cluster, p, t, time.Now().UnixNano())
				out.Tasks = append(out.Tasks, a.info())
			}
		}
	})
	var attempts []*proto.TaskInfo
	n.scan(scope{owner: o.Owner}, func(owner ids.ProcessID, job uint32, name string, r *recorder.Record) {
		if r.Number == o.Number {
			a := ended(n.cluster, owner, job, name, r)
			attempts = append(attempts, a.info())
		}
	})
	slices.SortStableFunc(attempts, func(a, b *proto.TaskInfo) int { return -cmp.Compare(a.Attempt, b.Attempt) })
	for _, t := range attempts {
		if t.State == stateFailed {
			t.Cause = n.archive.failure(failureKey{o.Owner, o.Number, t.Attempt})
			t.Error = t.Cause.GetMessage()
		}
	}
	out.Tasks = append(out.Tasks, attempts...)
	n.addPids(out.Tasks)
	out.Total = uint64(len(out.Tasks))
	return out, nil
}

// CountTasks counts attempts by job and function.
func (s *service) CountTasks(ctx context.Context, r *proto.ListRequest) (*proto.TaskCounts, error) {
	n := s.n
	type key struct {
		job      uint32
		function string
	}
	byName := map[key]*proto.FunctionCounts{}
	out := &proto.TaskCounts{}
	of := func(job uint32, function string) *proto.FunctionCounts {
		k := key{job, function}
		if byName[k] == nil {
			byName[k] = &proto.FunctionCounts{Job: job, Function: function}
			out.Functions = append(out.Functions, byName[k])
		}
		return byName[k]
	}
	rows, forgotten := n.taskCounts(r.Job)
	if slices.ContainsFunc(rows, func(c jobCounts) bool { return !c.known && c.Function != 0 }) {
		n.learnKinds(r.Job)
		rows, forgotten = n.taskCounts(r.Job)
	}
	out.DroppedJobs = forgotten
	failed := uint64(0)
	for i := range rows {
		c := &rows[i]
		f := of(c.job, c.function)
		f.Ended, f.Wait, f.Run = c.Ended[:], c.Wait[:], c.Run[:]
		failed += c.Ended[recorder.Failed] + c.Ended[recorder.Crashed]
		f.WaitNs, f.RunNs = int64(c.WaitSum), int64(c.RunSum)
		if c.known {
			f.Kind = kindNames[c.kind]
		}
	}
	out.DroppedFailures = failed - min(failed, n.archive.failuresOf(r.Job))
	question := func() *proto.ToProcess {
		return &proto.ToProcess{Body: &proto.ToProcess_ListTasks{ListTasks: &proto.ListRequest{Job: r.Job, Count: true}}}
	}
	n.ask(ctx, r.Job, question, func(p *process, m *proto.ToNode) {
		for _, c := range m.GetTaskList().GetCounts() {
			if c.Function == "" {
				continue
			}
			f := of(uint32(p.job.id), c.Function)
			if f.Living == nil {
				f.Living = map[string]uint64{}
			}
			f.Living[c.State] += c.Count
		}
	})
	return out, nil
}
