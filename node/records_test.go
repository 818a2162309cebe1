package node

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/internal/recorder"
	"github.com/gray-runtime/gray/proto"
)

// recorded makes a process that has a ring and answers nobody.
func recordsOf(t testing.TB, n *Node, job uint32, capacity int) *process {
	t.Helper()
	f, err := recorder.New(capacity)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ring, err := recorder.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	j, err := n.jobLocked(&proto.JobSpec{Id: job, Origin: uint32(n.id)}, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.newProcessLocked(j, true)
	if err != nil {
		t.Fatal(err)
	}
	p.records, p.state = ring, idle
	close(p.readDone)
	p.functions = map[uint64]string{1: "main.one", 2: "main.two", 3: "main.Three.Call"}
	t.Cleanup(func() { n.retireRecords(p) })
	n.refs.ProcessStarted(p.id)
	return p
}

// madeUp is an attempt as a process might record it.
func madeUp(rng *rand.Rand, number uint64, worker ids.ProcessID) recorder.Record {
	r := recorder.Record{
		Number: number, Function: 1 + rng.Uint64N(3), Worker: worker, Submitted: 1e18 + rng.Int64N(1e9), Ready: 0,
		Pushed: time.Duration(rng.IntN(1000)), Began: time.Duration(1000 + rng.IntN(1e6)), Outcome: recorder.Outcome(rng.IntN(4)),
		InBytes: rng.Int64N(1000), Attempt: uint16(rng.IntN(2)),
	}
	r.Ended = r.Began + time.Duration(rng.IntN(1e6))
	r.Done = r.Ended + 5
	if r.Function == 3 {
		r.Kind, r.Actor, r.ActorOwner = recorder.ActorCall, 77, worker
	}
	switch r.Outcome {
	case recorder.Failed:
		r.Error = proto.Error_TASK
	case recorder.Crashed:
		r.Error = proto.Error_WORKER_CRASHED
	case recorder.Cancelled:
		r.Error = proto.Error_CANCELLED
	}
	return r
}

// TestListsOfRecords holds lists of random records, of living and ended processes, against
// what a naive reading gives.
func TestListsOfRecords(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	n := lonely(t)
	var all []*proto.TaskInfo
	for i := range 4 {
		p := recordsOf(t, n, uint32(1+i%2), 1024)
		for number := range uint64(200) {
			r := madeUp(rng, number+1, ids.ProcessID{Node: 1, Number: uint32(1 + rng.IntN(3))})
			p.records.Add(&r)
			a := ended(n.cluster, p.id, uint32(p.job.id), p.functions[r.Function], &r)
			all = append(all, a.info())
		}
		if i >= 2 {
			n.ended(p)
		}
	}
	s := &service{n: n}
	columnsOf := map[string]func(*proto.TaskInfo) string{
		"name": func(t *proto.TaskInfo) string { return t.Function }, "state": func(t *proto.TaskInfo) string { return t.State },
		"worker_id": func(t *proto.TaskInfo) string { return fmt.Sprintf("n%d.p%d", t.Node, t.Worker) },
		"owner":     func(t *proto.TaskInfo) string { return fmt.Sprintf("n%d.p%d", t.OwnerNode, t.OwnerProcess) },
		"type":      func(t *proto.TaskInfo) string { return t.Type }, "error_type": func(t *proto.TaskInfo) string { return t.ErrorType },
		"actor_id": func(t *proto.TaskInfo) string { return t.Actor }, "task_id": func(t *proto.TaskInfo) string { return t.Id },
		"attempt_number": func(t *proto.TaskInfo) string { return fmt.Sprint(t.Attempt) },
	}
	keys := map[string]func(*proto.TaskInfo) int64{
		"": func(t *proto.TaskInfo) int64 { return t.SubmittedUnixNs }, "run_ms": func(t *proto.TaskInfo) int64 { return t.RunNs },
		"wait_ms": func(t *proto.TaskInfo) int64 { return t.WaitNs }, "input_bytes": func(t *proto.TaskInfo) int64 { return t.InputBytes },
	}
	pick := func(names []string) string { slices.Sort(names); return names[rng.IntN(len(names))] }
	for range 300 {
		r := &proto.ListRequest{Limit: uint32(1 + rng.IntN(300)), Offset: uint32(rng.IntN(200)), Ascending: rng.IntN(2) == 0}
		r.Sort = pick(keysOf(keys))
		r.Job = uint32(rng.IntN(3))
		want := slices.Clone(all)
		if r.Job != 0 {
			want = slices.DeleteFunc(want, func(t *proto.TaskInfo) bool { return t.Job != r.Job })
		}
		total := len(want)
		for range rng.IntN(3) {
			f := &proto.RowFilter{Column: pick(keysOf(columnsOf)), Differs: rng.IntN(2) == 0}
			f.Value = columnsOf[f.Column](all[rng.IntN(len(all))])
			r.Filters = append(r.Filters, f)
			want = slices.DeleteFunc(want, func(t *proto.TaskInfo) bool { return (columnsOf[f.Column](t) == f.Value) == f.Differs })
		}
		if rng.IntN(4) == 0 {
			r.Search = "TWO"
			want = slices.DeleteFunc(want, func(t *proto.TaskInfo) bool { return !strings.Contains(t.Function, "two") })
		}
		key := keys[r.Sort]
		slices.SortFunc(want, func(a, b *proto.TaskInfo) int {
			c := cmp.Compare(key(a), key(b))
			if !r.Ascending {
				c = -c
			}
			return cmp.Or(c, -cmp.Compare(a.SubmittedUnixNs, b.SubmittedUnixNs))
		})
		got, err := s.ListTasks(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if int(got.Filtered) != len(want) || int(got.Total) != total || got.Dropped != 0 {
			t.Fatalf("%v: %d of %d fit, %d dropped; want %d of %d", r, got.Filtered, got.Total, got.Dropped, len(want), total)
		}
		want = want[min(len(want), int(r.Offset)):]
		want = want[:min(len(want), int(r.Limit))]
		if len(got.Tasks) != len(want) {
			t.Fatalf("%v: %d rows, want %d", r, len(got.Tasks), len(want))
		}
		for i := range want {
			if key(got.Tasks[i]) != key(want[i]) || got.Tasks[i].SubmittedUnixNs != want[i].SubmittedUnixNs {
				t.Fatalf("%v: row %d is %v, want %v", r, i, got.Tasks[i], want[i])
			}
		}
	}
}

func keysOf[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	return list
}

// TestLivingOnly: whoever asks for tasks that haven't ended isn't told of records.
func TestLivingOnly(t *testing.T) {
	n := lonely(t)
	p := recordsOf(t, n, 1, 64)
	r := recorder.Record{Number: 1, Function: 1}
	p.records.Add(&r)
	for living, want := range map[bool]int{false: 1, true: 0} {
		l, err := (&service{n: n}).ListTasks(t.Context(), &proto.ListRequest{Living: living})
		if err != nil || len(l.Tasks) != want || int(l.Total) != want || l.Dropped != 0 {
			t.Errorf("living %v: %v, %v", living, l, err)
		}
	}
}

// TestRanking holds pages of random attempts, many of them alike, against a sort of all.
func TestRanking(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 30 {
		most := rng.IntN(1000)
		k := ranking{most: most, ascending: rng.IntN(2) == 0}
		var all []*ranked
		for range rng.IntN(6000) {
			x := &ranked{key: rng.Int64N(1 + rng.Int64N(100)), text: strings.Repeat("x", rng.IntN(2))}
			x.Number, x.Submitted = rng.Uint64N(10_000), rng.Int64N(3)
			all = append(all, x)
			k.add(x)
		}
		slices.SortFunc(all, k.compare)
		offset := rng.IntN(most + 1)
		want := all[min(offset, len(all)):min(most, len(all))]
		same := func(a, b *ranked) bool { return k.compare(a, b) == 0 }
		if got := k.page(offset); !slices.EqualFunc(got, want, same) {
			t.Fatalf("%d attempts, the first %d but for %d: %d of them, want %d, or in another order", len(all), most, offset, len(got), len(want))
		}
	}
}

func TestUnknownColumns(t *testing.T) {
	s := &service{n: lonely(t)}
	for _, r := range []*proto.ListRequest{{Sort: "no"}, {Filters: []*proto.RowFilter{{Column: "no"}}}} {
		if _, err := s.ListTasks(t.Context(), r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", r, err)
		}
	}
}

// TestWhatIsDroppedIsCounted: counts are exact though records are replaced, while a process
// lives and after its end.
func TestWhatIsDroppedIsCounted(t *testing.T) {
	n := lonely(t)
	s := &service{n: n}
	p := recordsOf(t, n, 1, 64)
	for i := range uint64(1000) {
		r := recorder.Record{Number: i + 1, Function: 1 + i%2, Submitted: int64(i), Began: 1, Ended: 3, Done: 4}
		p.records.Add(&r)
	}
	check := func(when string) {
		t.Helper()
		l, err := s.ListTasks(t.Context(), &proto.ListRequest{Limit: 10})
		if err != nil || l.Total != 64 || l.Dropped != 1000-64 || len(l.Tasks) != 10 || l.Tasks[0].SubmittedUnixNs != 999 {
			t.Errorf("%s: %d known, %d dropped, %v", when, l.GetTotal(), l.GetDropped(), err)
		}
		c, err := s.CountTasks(t.Context(), &proto.ListRequest{Job: 1})
		if err != nil || len(c.Functions) != 2 {
			t.Fatalf("%s: %v, %v", when, c, err)
		}
		for _, f := range c.Functions {
			if f.Ended[recorder.Finished] != 500 || f.RunNs != 1000 || f.WaitNs != 500 || !strings.HasPrefix(f.Function, "main.") || f.Kind != "TASK" {
				t.Errorf("%s: %v", when, f)
			}
		}
		one, err := s.ListTasks(t.Context(), &proto.ListRequest{Task: l.Tasks[3].Id})
		if err != nil || len(one.Tasks) != 1 || one.Tasks[0].Id != l.Tasks[3].Id || !one.Tasks[0].Ended {
			t.Errorf("%s: one task: %v, %v", when, one, err)
		}
	}
	check("while it lives")
	n.ended(p)
	check("after its end")
	if l, err := s.ListTasks(t.Context(), &proto.ListRequest{Job: 2}); err != nil || l.Total != 0 || l.Dropped != 0 {
		t.Errorf("another job: %v, %v", l, err)
	}
}

// TestArchiveIsBounded, whatever ends.
func TestArchiveIsBounded(t *testing.T) {
	a := newArchive()
	const functions = 20
	for job := range uint32(maxCountedJobs + 5) {
		var counts []recorder.Counts
		for f := range uint64(functions) {
			c := recorder.Counts{Function: f + 1}
			c.Ended[recorder.Finished] = 2
			counts = append(counts, c)
		}
		a.count(job+1, counts)
	}
	if len(a.jobs) != maxCountedJobs || len(a.order) != maxCountedJobs || a.gone != 5 || a.counted > maxCounted {
		t.Errorf("%d jobs, %d forgotten, %d counts", len(a.jobs), a.gone, a.counted)
	}
	functionsIn, ended := 0, uint64(0)
	for _, of := range a.jobs {
		functionsIn += len(of)
		for _, c := range of {
			ended += c.Total()
		}
	}
	if functionsIn != a.counted || ended != maxCountedJobs*functions*2 || a.ended != (maxCountedJobs+5)*functions*2 {
		t.Errorf("%d functions, not %d; %d ended, %d with those of forgotten jobs", functionsIn, a.counted, ended, a.ended)
	}
	for i := range uint64(maxFailures + 10) {
		a.fail(failureKey{number: i}, failure{1, &proto.Error{Message: fmt.Sprint(i)}})
	}
	if len(a.failures) != maxFailures || a.failuresOf(1) != maxFailures || a.failuresOf(2) != 0 || a.failure(failureKey{number: 3}) != nil || a.failure(failureKey{number: maxFailures}) == nil {
		t.Errorf("%d failures", len(a.failures))
	}
	for i := range uint64(maxNames + 10) {
		a.names.add(i+1, "f")
	}
	if a.names.of(maxNames+5) == "f" || a.names.of(5) != "f" {
		t.Error("names")
	}
}

// BenchmarkLoad is what each second costs a node with as many counts as it keeps, and the
// processes of 100 actors.
func BenchmarkLoad(b *testing.B) {
	n := lonely(b)
	for job := range uint32(maxCounted / 512) {
		counts := make([]recorder.Counts, 512)
		for f := range counts {
			counts[f] = recorder.Counts{Function: uint64(job)<<9 + uint64(f) + 1, Ended: [recorder.Outcomes]uint64{1}}
		}
		n.archive.count(job+1, counts)
	}
	for i := range uint64(100) {
		r := recorder.Record{Number: i, Function: i + 1}
		recordsOf(b, n, 1, recorder.WorkerRecords).records.Add(&r)
	}
	if ended := n.load().TasksEnded; ended != maxCounted+100 {
		b.Fatalf("%d ended", ended)
	}
	b.ReportAllocs()
	for b.Loop() {
		n.load()
	}
}

// BenchmarkListTasks lists a page of as many records as a node has of ended processes.
func BenchmarkListTasks(b *testing.B) {
	n := lonely(b)
	s := &service{n: n}
	p := recordsOf(b, n, 1, recorder.DriverRecords)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range uint64(recorder.DriverRecords) {
		r := madeUp(rng, i, p.id)
		p.records.Add(&r)
	}
	n.ended(p)
	for name, r := range map[string]*proto.ListRequest{
		"newest": {Limit: 100}, "deep": {Limit: 100, Offset: 50_000}, "name": {Limit: 100, Filters: []*proto.RowFilter{{Column: "name", Value: "main.two"}}},
		"byName": {Limit: 100, Sort: "name"}, "byRun": {Limit: 100, Sort: "run_ms"}, "search": {Limit: 100, Search: "p3"},
		"task": {Task: ids.ObjectID{Cluster: n.cluster, Owner: p.id, Number: 5}.String()},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.ListTasks(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
