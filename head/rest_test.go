package head

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/gray-runtime/gray/internal/api"
	"github.com/gray-runtime/gray/internal/pki"
	"github.com/gray-runtime/gray/proto"
)

// rest makes a request on the plain port and returns status and body.
func rest(t testing.TB, h *Head, method, path, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.HTTPAddress()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.Token().String())
	if change != nil {
		change(r)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRESTNeedsTheToken(t *testing.T) {
	h := startHead(t, t.TempDir())
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			if name != "" {
				r.Header.Set(name, value)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   int
		text   string
	}{
		"none":    {header("", ""), 401, "Unauthorized: Missing authentication token\n"},
		"basic":   {header("Authorization", "Basic abc"), 401, "Unauthorized: Missing"},
		"wrong":   {header("Authorization", "Bearer "+h.ca.NewToken().String()), 403, "Forbidden: Invalid authentication token"},
		"right":   {nil, 200, `"version":"4"`},
		"ray":     {header("X-Ray-Authorization", "Bearer "+h.Token().String()), 200, rayVersion},
		"rebound": {func(r *http.Request) { r.Host = "evil.example:8265" }, 403, "localhost only"},
		"page":    {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403, "other sites"},
		"own":     {func(r *http.Request) { r.Header.Set("Origin", "http://"+r.Host) }, 200, "gray_version"},
	} {
		if code, text := rest(t, h, "GET", "/api/version", "", c.change); code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s: got %d %q", name, code, text)
		}
	}
	c, err := api.NewClient(h.Address(), h.ca.NewToken())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Version(t.Context()); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("a wrong token on the control port: %v", err)
	}
	other, err := pki.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := api.NewClient(h.Address(), other.NewToken())
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if _, err := foreign.Version(t.Context()); !errors.Is(err, pki.ErrWrongCluster) {
		t.Errorf("another cluster's token: %v", err)
	}
}

func TestClientOnBothPorts(t *testing.T) {
	h := startHead(t, t.TempDir())
	for _, address := range []string{h.Address(), "http://" + h.HTTPAddress()} {
		c, err := api.NewClient(address, h.Token())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if v, err := c.Version(t.Context()); err != nil || v.ClusterID != h.ClusterID().String() || v.GrayVersion != "test" {
			t.Errorf("%s: %+v, %v", address, v, err)
		}
	}
	for _, bad := range []string{"", "host", "host:", ":1", "ftp://x:1"} {
		if _, err := api.NewClient(bad, h.Token()); !errors.Is(err, api.ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPackages(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	c := client(t, h)
	data := bytes.Repeat([]byte("binary"), 100_000)
	sum := sha256.Sum256(data)
	name := "gray_" + hex.EncodeToString(sum[:])
	if has, err := c.HasPackage(t.Context(), name); has || err != nil {
		t.Fatalf("before: %v, %v", has, err)
	}
	if err := c.PutPackage(t.Context(), name, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if has, err := c.HasPackage(t.Context(), name); !has || err != nil {
		t.Fatalf("after: %v, %v", has, err)
	}
	stream, err := n.control.FetchPackage(t.Context(), &proto.FetchPackageRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, chunk.Data...)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("fetched %d bytes of %d", len(got), len(data))
	}
	if err := c.PutPackage(t.Context(), name, strings.NewReader("other"), 5); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("another content: %v", err)
	}
	for _, bad := range []string{"..", ".hidden", "a%2Fb", "x%00"} {
		if code, _ := rest(t, h, "PUT", "/api/packages/gcs/"+bad, "x", nil); code == 200 {
			t.Errorf("name %q was accepted", bad)
		}
	}
	if code, text := rest(t, h, "GET", "/api/packages/gcs/no.zip", "", nil); code != 404 || text != "Package gcs://no.zip does not exist" {
		t.Errorf("%d %q", code, text)
	}
}

func TestJobsByREST(t *testing.T) {
	h := startHead(t, t.TempDir())
	body := `{"entrypoint":"python main.py","submission_id":"one","metadata":{"k":"v"},"entrypoint_num_cpus":1,
		"runtime_env":{"env_vars":{"FOO":"bar"},"pip":["x"]}}`
	if code, text := rest(t, h, "POST", "/api/jobs/", body, nil); code != 200 || text != `{"job_id":"one","submission_id":"one"}` {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := rest(t, h, "POST", "/api/jobs/", body, nil); code != 400 ||
		text != "Job with submission_id one already exists. Please use a different submission_id." {
		t.Errorf("again: %d %s", code, text)
	}
	c := client(t, h)
	if j, err := c.Job(t.Context(), "one"); err != nil || j.Status != api.StatusPending || !strings.Contains(j.Text(), "not started yet") {
		t.Fatalf("%+v, %v", j, err)
	}
	n := newNode(t, h, 2)
	n.logs = "hello\nbad \xff\xfe\nbye\n"
	n.connect(nil)
	spec := n.startDriver()
	if spec.Env["FOO"] != "bar" || spec.DriverResources.Quantity["CPU"] != unit || spec.Entrypoint != "python main.py" {
		t.Errorf("spec %v", spec)
	}
	n.driverIs(&proto.DriverReport{Job: spec.Id, State: proto.DriverReport_RUNNING, Pid: 5})
	j, err := c.Job(t.Context(), "j1")
	if err != nil || j.Status != api.StatusRunning || j.DriverInfo == nil || j.DriverInfo.PID != "5" || *j.DriverNodeID != "n1" ||
		!strings.Contains(string(j.RuntimeEnv), "pip") || j.Metadata["k"] != "v" {
		t.Errorf("%+v, %v", j, err)
	}
	tailed := make(chan string, 1)
	go func() {
		var out bytes.Buffer
		if err := c.TailLogs(t.Context(), "one", &out, nil); err != nil {
			t.Error(err)
		}
		tailed <- out.String()
	}()
	n.driverIs(&proto.DriverReport{Job: spec.Id, State: proto.DriverReport_EXITED, ExitCode: 3, Message: "boom\n"})
	if got := <-tailed; got != n.logs {
		t.Errorf("tailed %q", got)
	}
	j, err = c.Job(t.Context(), "one")
	if err != nil || j.Status != api.StatusFailed || *j.DriverExitCode != 3 || *j.ErrorType != "JOB_ENTRYPOINT_COMMAND_ERROR" || j.EndTime == nil ||
		j.Text() != "Job entrypoint command failed with exit code 3, last available logs (truncated to 20,000 chars):\nboom\n" {
		t.Errorf("%+v, %v", j, err)
	}
	if logs, err := c.Logs(t.Context(), "one"); err != nil || !strings.HasPrefix(logs, "hello\nbad \uFFFD") {
		t.Errorf("logs %q, %v", logs, err)
	}
	if stopped, err := c.Stop(t.Context(), "one"); stopped || err != nil {
		t.Errorf("stop of what is over: %v, %v", stopped, err)
	}
	if err := c.Delete(t.Context(), "one"); err != nil {
		t.Error(err)
	}
	if _, err := c.Job(t.Context(), "one"); !errors.Is(err, api.ErrNotFound) || err.Error() != "Job one does not exist" {
		t.Errorf("after delete: %v", err)
	}
}

// TestTailAsRay speaks like Ray's tool: text frames, then 1000.
func TestTailAsRay(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.logs = "grüße\n" + strings.Repeat("ä", frameSize) + "\xff"
	n.connect(nil)
	job := submit(t, h, "one", n)
	n.driverIs(&proto.DriverReport{Job: job, State: proto.DriverReport_EXITED})
	conn, _, err := websocket.Dial(t.Context(), "ws://"+h.HTTPAddress()+"/api/jobs/one/logs/tail", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + h.Token().String()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	var got strings.Builder
	for {
		kind, b, err := conn.Read(t.Context())
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			break
		}
		if err != nil || kind != websocket.MessageText {
			t.Fatalf("frame of kind %v, %v", kind, err)
		}
		got.Write(b)
	}
	if want := strings.ToValidUTF8(n.logs, "\uFFFD"); got.String() != want {
		t.Errorf("got %d bytes, want %d", got.Len(), len(want))
	}
}

func TestStopByREST(t *testing.T) {
	h := startHead(t, t.TempDir())
	n := newNode(t, h, 1)
	n.connect(nil)
	job := submit(t, h, "one", n)
	c := client(t, h)
	if stopped, err := c.Stop(t.Context(), "one"); !stopped || err != nil {
		t.Fatalf("%v, %v", stopped, err)
	}
	n.await("the order", func(o *proto.NodeOrder) bool { return o.GetStopDriver().GetJob() == job })
	n.driverIs(&proto.DriverReport{Job: job, State: proto.DriverReport_EXITED, ExitCode: -1, Stopped: true})
	n.await("the end", func(o *proto.NodeOrder) bool { return o.GetJobEnded().GetJob() == job })
	if j, err := c.Job(t.Context(), "one"); err != nil || j.Status != api.StatusStopped {
		t.Errorf("%+v, %v", j, err)
	}
}

// TestSubmitAgain: the answer got lost, and the request comes again.
func TestSubmitAgain(t *testing.T) {
	h := startHead(t, t.TempDir())
	as := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(api.RequestHeader, name) }
	}
	code, first := rest(t, h, "POST", "/api/jobs/", `{"entrypoint":"x"}`, as("a"))
	again, second := rest(t, h, "POST", "/api/jobs/", `{"entrypoint":"x"}`, as("a"))
	if code != 200 || again != 200 || first != second {
		t.Errorf("%d %s, then %d %s", code, first, again, second)
	}
	if jobs, err := client(t, h).Jobs(t.Context()); err != nil || len(jobs) != 1 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
}

func TestBadSubmissions(t *testing.T) {
	h := startHead(t, t.TempDir())
	for body, want := range map[string]string{
		`{`:                "isn't JSON",
		`{}`:               "entrypoint",
		`{"entrypoint":1}`: "submission",
		`{"entrypoint":"x","submission_id":"a/b"}`:                        "submission_id",
		`{"entrypoint":"x","submission_id":"j1"}`:                         "gives to jobs itself",
		`{"entrypoint":"x","entrypoint_num_cpus":-1}`:                     "isn't an amount",
		`{"entrypoint":"x","runtime_env":{"working_dir":"/tmp"}}`:         "working_dir",
		`{"entrypoint":"x","runtime_env":{"working_dir":"gcs://no.zip"}}`: "no package no.zip",
		`{"entrypoint":"x","runtime_env":{"gray":{"binaries":[{"platform":"linux/amd64","package":"gray_no","sha256":"","size":1}]}}}`: "upload it first",
	} {
		if code, text := rest(t, h, "POST", "/api/jobs/", body, nil); code != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %q", body, code, text)
		}
	}
	if code, _ := rest(t, h, "POST", "/api/jobs/", `{"entrypoint":"`+strings.Repeat("x", maxBody)+`"}`, nil); code < 400 {
		t.Errorf("a huge body: %d", code)
	}
	for _, path := range []string{"/api/jobs/no", "/api/jobs/no/logs", "/api/jobs/no/logs/tail"} {
		if code, text := rest(t, h, "GET", path, "", nil); code != 404 || text != "Job no does not exist" {
			t.Errorf("%s: %d %q", path, code, text)
		}
	}
	if code, text := rest(t, h, "POST", "/api/jobs/no/stop", "", nil); code != 404 || text != "Job no does not exist" {
		t.Errorf("stop: %d %q", code, text)
	}
}

func TestStateAPI(t *testing.T) {
	h := startHead(t, t.TempDir())
	a, b := newNode(t, h, 1), newNode(t, h, 1)
	a.connect(nil)
	b.connect(nil)
	job := driverJob(t, a)
	create(t, a, &proto.ActorSpec{Id: actorID(1), Job: job, Class: "main.Counter", Name: "c", Namespace: "n"})
	c := client(t, h)
	nodes, err := c.Nodes(t.Context(), api.ListOptions{Filters: []api.Filter{{Key: "node_id", Op: "=", Value: "n2"}}})
	if err != nil || nodes.Total != 2 || nodes.NumFiltered != 1 || nodes.Result[0].Address != b.info.Address {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	actors, err := c.Actors(t.Context(), api.ListOptions{})
	if err != nil || len(actors.Result) != 1 || actors.Result[0].State != "PENDING_CREATION" || actors.Result[0].RayNamespace != "n" {
		t.Errorf("actors %+v, %v", actors, err)
	}
	tasks, err := c.Tasks(t.Context(), api.ListOptions{Limit: 1})
	if err != nil || tasks.Total != 2 || len(tasks.Result) != 1 || tasks.Result[0].Name != "main.square" || tasks.PartialFailureWarning != "" {
		t.Errorf("tasks %+v, %v", tasks, err)
	}
	workers, err := c.Workers(t.Context(), api.ListOptions{})
	if err != nil || len(workers.Result) != 2 || workers.Result[0].IP != "127.0.0.1" {
		t.Errorf("workers %+v, %v", workers, err)
	}
	b.server.Stop() // alive, for its session holds, but it answers nobody
	b.mux.Close()
	objects, err := c.Objects(t.Context(), api.ListOptions{})
	if err != nil || len(objects.Result) != 1 || !strings.Contains(objects.PartialFailureWarning, "n2") {
		t.Errorf("objects %+v, %v", objects, err)
	}
	for _, q := range []string{"filter_keys=x", "filter_keys=no&filter_predicates=%3D&filter_values=1", "filter_keys=state&filter_predicates=~&filter_values=1"} {
		code, text := rest(t, h, "GET", "/api/v0/nodes?"+q, "", nil)
		var got api.ListResponse[api.NodeRow]
		if err := json.Unmarshal([]byte(text), &got); err != nil || code != 400 || got.Result || got.Msg == "" || got.Data.Result != nil {
			t.Errorf("%s: %d %s", q, code, text)
		}
	}
	jobs, err := c.Jobs(t.Context())
	if err != nil || len(jobs) != 1 || jobs[0].Type != api.TypeDriver || jobs[0].SubmissionID != nil || jobs[0].ID() != "j1" {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
}

func TestWholeCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"abc": "abc", "a\xc3": "a", "\xe2\x82": "", "a\xff": "a\xff", "": "", "ä": "ä", "\x80\x80\x80\x80\x80": "\x80\x80\x80\x80\x80",
	} {
		if whole, rest := wholeCharacters([]byte(in)); string(whole) != want || string(whole)+string(rest) != in {
			t.Errorf("%q: %q, %q", in, whole, rest)
		}
	}
}
