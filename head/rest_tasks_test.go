package head

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/ids"
	"github.com/gray-runtime/gray/proto"
)

// TestTasksAreMerged: pages of all nodes' tasks together, however many of each.
func TestTasksAreMerged(t *testing.T) {
	h := startHead(t, t.TempDir())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var all []int64
	for i := range 3 {
		n := newNode(t, h, 1)
		times := make([]int64, i*3000)
		for j := range times {
			times[j] = 1e15 + rng.Int64N(1e12)
		}
		all = append(all, times...)
		slices.SortFunc(times, func(a, b int64) int { return cmp.Compare(b, a) })
		n.listTasks = func(r *proto.ListRequest) (*proto.TaskList, error) {
			l := &proto.TaskList{Total: uint64(len(times)), Filtered: uint64(len(times)), Dropped: 10}
			from := min(int(r.Offset), len(times))
			for _, at := range times[from:min(from+int(r.Limit), len(times))] {
				if r.Keys {
					l.Keys = append(l.Keys, &proto.TaskKey{Key: at, SubmittedUnixNs: at})
					continue
				}
				l.Tasks = append(l.Tasks, &proto.TaskInfo{Id: fmt.Sprint(at), Key: at, SubmittedUnixNs: at, Job: 1})
			}
			return l, nil
		}
		n.connect(nil)
	}
	slices.SortFunc(all, func(a, b int64) int { return cmp.Compare(b, a) })
	c := client(t, h)
	for _, page := range [][2]int{{0, 100}, {50, 100}, {1990, 30}, {4000, 3000}, {8990, 100}, {20_000, 10}} {
		got, err := c.Tasks(t.Context(), api.ListOptions{Offset: page[0], Limit: page[1]})
		if err != nil {
			t.Fatal(err)
		}
		want := all[min(page[0], len(all)):min(page[0]+page[1], len(all))]
		if len(got.Result) != len(want) || got.Total != len(all)+30 || got.NumFiltered != len(all) || len(got.Warnings) != 3 ||
			!strings.Contains(got.Warnings[0], "n1: ") {
			t.Fatalf("page %v: %d rows, want %d; %d of %d, %v", page, len(got.Result), len(want), got.NumFiltered, got.Total, got.Warnings)
		}
		for i, row := range got.Result {
			if row.TaskID != fmt.Sprint(want[i]) {
				t.Fatalf("page %v: row %d is %s, want %d", page, i, row.TaskID, want[i])
			}
		}
	}
}

func TestTaskQueries(t *testing.T) {
	for query, want := range map[string]string{
		"filter_keys=job_id&filter_predicates=%3D&filter_values=j3": "job:3",
		"filter_keys=state&filter_predicates=!%3D&filter_values=X":  `filters:{column:"state" differs:true value:"X"}`,
		"sort=run_ms":            `sort:"run_ms" ascending:true`,
		"sort=run_ms&order=desc": `sort:"run_ms"`,
		"q=abc":                  `search:"abc"`,
		"filter_keys=run_ms&filter_predicates=%3D&filter_values=1": "!isn't a column that tasks are filtered by",
		"sort=no":         "!isn't a column that tasks are sorted by",
		"offset=10000000": "!at most",
		"filter_keys=x":   "!as many keys",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		r, err := taskQuery(q)
		if bad, isBad := strings.CutPrefix(want, "!"); isBad {
			if err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: %v, %v", query, r, err)
			}
			continue
		}
		if got := strings.ReplaceAll(r.String(), "  ", " "); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", query, got, err, want)
		}
	}
}

func TestSummaries(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, a)
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Class: "main.Counter"})
	c := client(t, h)
	tasks, err := c.SummarizeTasks(t.Context(), api.ListOptions{Filters: []api.Filter{{Key: "job_id", Op: "=", Value: "j1"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := tasks.Result.ByNode.Cluster
	f := got.Summary["main.square"]
	if f.Finished != 10 || f.StateCounts["FAILED"] != 12 || f.StateCounts["RUNNING"] != 8 || f.Run.Count != 16 || f.Run.SumMs != 16 ||
		f.Run.P50Ms != 1.024 || len(f.Run.Buckets) != 1 || got.TotalTasks != 30 || got.TotalActorScheduled != 1 || tasks.Total != 30 || f.JobIDs[0] != "j1" {
		t.Errorf("tasks: %+v", tasks)
	}
	actors, err := c.SummarizeActors(t.Context(), api.ListOptions{})
	if err != nil || actors.Result.ByNode.Cluster.Summary["main.Counter"].StateCounts["PENDING_CREATION"] != 1 {
		t.Errorf("actors: %+v, %v", actors, err)
	}
	objects, err := c.SummarizeObjects(t.Context(), api.ListOptions{})
	if s := objects.Result.ByNode.Cluster; err != nil || s.TotalObjects != 2 || s.Summary["(unknown)"].TotalNumNodes != 2 {
		t.Errorf("objects: %+v, %v", objects, err)
	}
	if code, text := rest(t, h, "GET", "/api/v0/tasks/summarize?filter_keys=name&filter_predicates=%3D&filter_values=x", "", nil); code != 400 {
		t.Errorf("another filter: %d %s", code, text)
	}
}

func TestRates(t *testing.T) {
	var r rates
	start := time.Unix(1000, 0)
	counts := func(n uint64) map[string]uint64 { return map[string]uint64{"f": n} }
	if got := r.of(1, counts(10), start); len(got) != 0 {
		t.Errorf("at first: %v", got)
	}
	if got := r.of(1, counts(30), start.Add(2*time.Second)); got["f"] != 10 {
		t.Errorf("after 2 s: %v", got)
	}
	if got := r.of(1, counts(40), start.Add(2500*time.Millisecond)); got["f"] != 12 {
		t.Errorf("soon after: %v", got)
	}
	if got := r.of(1, counts(40), start.Add(time.Hour)); len(got) != 0 {
		t.Errorf("long after: %v", got)
	}
	for job := range uint32(10 * maxRateJobs) {
		r.of(job, counts(1), start.Add(time.Hour))
	}
	if len(r.then) > maxRateJobs {
		t.Errorf("%d jobs", len(r.then))
	}
}

// TestOneTask: the latest attempt first, what its owner adds, and where it waited.
func TestOneTask(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	id := ids.ObjectID{Cluster: h.ClusterID(), Owner: ids.ProcessID{Node: ids.NodeID(n.id), Number: 1}, Number: 4}.String()
	n.listTasks = func(r *proto.ListRequest) (*proto.TaskList, error) {
		if r.Task != id {
			return &proto.TaskList{}, nil
		}
		info := func(attempt uint32, state string) *proto.TaskInfo {
			return &proto.TaskInfo{
				Id: id, Function: "main.f", State: state, Job: 1, Attempt: attempt, Ended: true, SubmittedUnixNs: 1e15, ReadyUnixNs: 1e15 + 2e6,
				PushedUnixNs: 1e15 + 3e6, BeganUnixNs: 1e15 + 4e6, EndedUnixNs: 1e15 + 6e6, DoneUnixNs: 1e15 + 8e6,
			}
		}
		failed := info(0, "FAILED")
		failed.Cause = &proto.Error{Kind: proto.Error_PANIC, Message: "boom", Stack: "main.f()"}
		return &proto.TaskList{Tasks: []*proto.TaskInfo{info(1, "FINISHED"), failed}}, nil
	}
	n.connect(nil)
	got, err := client(t, h).Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Attempts) != 2 || got.Task.AttemptNumber != 1 || got.Stack != "main.f()" || got.Why.State != "FINISHED" || got.Outputs[0].ObjectID != id {
		t.Errorf("%+v", got)
	}
	want := []api.TaskWait{{Cause: "inputs", Ms: 2}, {Cause: "place", Ms: 1}, {Cause: "line", Ms: 1}, {Cause: "result", Ms: 2}}
	if !slices.Equal(got.Waits, want) {
		t.Errorf("waits %v", got.Waits)
	}
	for _, bad := range []string{"x", strings.Replace(id, "-4", "-5", 1), "00000000-1-1-1"} {
		if code, text := rest(t, h, "GET", "/api/v0/tasks/"+bad, "", nil); code != 404 || !strings.Contains(text, `"result":false`) {
			t.Errorf("%s: %d %s", bad, code, text)
		}
	}
}

// TestRowsOfAnyKind are searched, sorted and paged alike.
func TestRowsOfAnyKind(t *testing.T) {
	pid := 7
	rows := []api.TaskRow{
		{TaskID: "t1", Name: "b", NodeID: text("n10"), RunMs: 3}, {TaskID: "t2", Name: "A", NodeID: text("n9"), RunMs: 2, WorkerPID: &pid},
		{TaskID: "t3", Name: "c", RunMs: 1, ErrorMessage: text("Boom")},
	}
	for query, want := range map[string]string{
		"":                        "t1 t2 t3",
		"sort=node_id":            "t3 t2 t1",
		"sort=node_id&order=desc": "t1 t2 t3",
		"sort=run_ms":             "t3 t2 t1",
		"sort=worker_pid":         "t1 t3 t2",
		"q=boom":                  "t3",
		"q=n1":                    "t1",
		"filter_keys=worker_pid&filter_predicates=%3D&filter_values=7":       "t2",
		"filter_keys=node_id&filter_predicates=!%3D&filter_values=n9":        "t1 t3",
		"filter_keys=run_ms&filter_predicates=%3D&filter_values=2&sort=name": "t2",
		"sort=no": "!columns: ",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := selectRows(rows, q)
		if bad, isBad := strings.CutPrefix(want, "!"); isBad {
			if err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: %v", query, err)
			}
			continue
		}
		var got []string
		for _, r := range kept {
			got = append(got, r.TaskID)
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("%s: %v, %v; want %s", query, got, err, want)
		}
	}
	if rows[0].TaskID != "t1" {
		t.Error("the rows given were sorted")
	}
}

func TestPagesOfLists(t *testing.T) {
	h := startHead(t, t.TempDir())
	for range 5 {
		newNode(t, h, 1)
	}
	_, body := rest(t, h, "GET", "/api/v0/nodes?sort=node_id&order=desc&offset=1&limit=2", "", nil)
	var got api.ListResponse[api.NodeRow]
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if l := got.Data.Result; len(l.Result) != 2 || l.Result[0].NodeID != "n4" || l.Result[1].NodeID != "n3" || l.Total != 5 || l.NumFiltered != 5 {
		t.Errorf("%s", body)
	}
}

// TestStatusIsShort: what waits is listed up to a limit, and counted beyond.
func TestStatusIsShort(t *testing.T) {
	var all []api.Demand
	want := map[bool]int{}
	for i := range 3 * maxDemands {
		d := api.Demand{Count: 1 + i%3, Infeasible: i%2 == 0}
		want[d.Infeasible] += d.Count
		all = append(all, d)
	}
	if got := shorten(all[:maxDemands]); len(got) != maxDemands {
		t.Errorf("%d of as many as may be", len(got))
	}
	short, got := shorten(all), map[bool]int{}
	for _, d := range short {
		got[d.Infeasible] += d.Count
	}
	if len(short) != maxDemands+2 || !maps.Equal(got, want) {
		t.Errorf("%d rows, %v, want %v", len(short), got, want)
	}
}

// TestPagesOfRows: a page is the same whether all rows are made for it or only its own.
func TestPagesOfRows(t *testing.T) {
	numbers := make([]int, 250)
	for i := range numbers {
		numbers[i] = i
	}
	row := func(i int) api.EventRow { return api.EventRow{EventID: fmt.Sprint(i), TimeMs: int64(i)} }
	for query, want := range map[string][2]int{
		"": {0, 100}, "limit=10&offset=245": {245, 250}, "offset=1000": {0, 0}, "sort=time_ms&limit=3&offset=7": {7, 10}, "q=2&limit=1&offset=1": {12, 13},
	} {
		w := httptest.NewRecorder()
		answerOf(w, httptest.NewRequest("GET", "/?"+query, nil), numbers, row, nil)
		var got api.ListResponse[api.EventRow]
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Data.Result == nil {
			t.Fatalf("%s: %s", query, w.Body)
		}
		l := got.Data.Result
		if len(l.Result) != want[1]-want[0] || len(l.Result) > 0 && l.Result[0] != row(want[0]) || l.Total != len(numbers) {
			t.Errorf("%s: %d of %d from %v, want %v", query, len(l.Result), l.Total, l.Result[:min(1, len(l.Result))], want)
		}
	}
}
