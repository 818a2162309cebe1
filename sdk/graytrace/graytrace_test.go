package graytrace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gray-runtime/gray/internal/embed"
	gray "github.com/gray-runtime/gray/sdk"
)

// jobVariable makes the test binary the driver of the job below.
const jobVariable = "GRAYTRACE_TEST_JOB"

func TestMain(m *testing.M) {
	gray.TakeRole()
	if os.Getenv(jobVariable) != "" {
		gray.Main(job)
	}
	os.Exit(m.Run())
}

var (
	inner  = gray.Task(addOne)
	outer  = gray.Task(nest)
	fails  = gray.Task(fail)
	yields = gray.Stream(yield)
	counts = gray.Actor(open)
	light  = gray.Actor(openLight, gray.Lightweight())
)

func addOne(ctx context.Context, n int) (int, error) {
	_, span := otel.Tracer("user").Start(ctx, "own")
	defer span.End()
	return n + 1, nil
}

func nest(ctx context.Context, n int) (int, error) { return gray.Get(ctx, inner.Remote(ctx, n)) }

func fail(context.Context, gray.None) (gray.None, error) {
	return gray.None{}, errors.New("no such \xff thing")
}

func yield(_ context.Context, n int, yield func(int) bool) error {
	for i := range n {
		yield(i)
	}
	return nil
}

func open(context.Context, gray.None) (*counter, error)      { return &counter{}, nil }
func openLight(context.Context, gray.None) (*counter, error) { return &counter{}, nil }

type counter struct{ n int }

// Add calls a task of its own.
func (c *counter) Add(ctx context.Context, n int) (int, error) {
	got, err := gray.Get(ctx, inner.Remote(ctx, n))
	c.n += got
	return c.n, err
}

func job(ctx context.Context) error {
	if n, err := gray.Get(ctx, outer.Remote(ctx, 1)); err != nil || n != 2 {
		return fmt.Errorf("outer: %d, %w", n, err)
	}
	if _, err := gray.Get(ctx, fails.Remote(ctx, gray.None{})); err == nil {
		return errors.New("fails doesn't")
	}
	for _, h := range []gray.Handle[counter]{counts.Remote(ctx, gray.None{}), light.Remote(ctx, gray.None{})} {
		if n, err := gray.Get(ctx, gray.Call(ctx, h, (*counter).Add, 2)); err != nil || n != 3 {
			return fmt.Errorf("add: %d, %w", n, err)
		}
	}
	for _, err := range yields.Remote(ctx, 3) {
		if err != nil {
			return err
		}
	}
	return nil
}

// receiver is a collector.
type receiver struct {
	mu    sync.Mutex
	spans []*otlp.Span
	news  chan struct{}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b, err := io.ReadAll(q.Body)
	m := &collector.ExportTraceServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(b, m)
	}
	if err != nil || q.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range m.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// TestAJobIsOneTrace: a job whose driver alone has OpenTelemetry's variables, on a cluster that
// knows nothing of them: nested tasks, an actor, a lightweight one, a stream and an error.
func TestAJobIsOneTrace(t *testing.T) {
	r := &receiver{news: make(chan struct{}, 1)}
	server := httptest.NewServer(r)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cluster, err := embed.Start(ctx, embed.Options{Nodes: 2, CPUs: 2, StoreBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close(context.WithoutCancel(ctx))
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	driver := exec.CommandContext(ctx, os.Args[0])
	driver.Env = append(os.Environ(), jobVariable+"=1", "GRAY_ADDRESS=unix:"+cluster.Sockets()[0],
		"OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL, "TRACEPARENT="+parent)
	if out, err := driver.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for {
		r.mu.Lock()
		spans := r.spans
		r.mu.Unlock()
		wrong := complaintsAbout(spans, strings.Split(parent, "-"))
		if len(wrong) == 0 {
			break
		}
		select {
		case <-r.news: // the other node's workers end after the driver
		case <-ctx.Done():
			t.Fatalf("of %d spans: %s", len(spans), strings.Join(wrong, "\n"))
		}
	}
}

// complaintsAbout says what is wrong with the spans of the job beneath a TRACEPARENT.
func complaintsAbout(spans []*otlp.Span, parent []string) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	byID := map[string]*otlp.Span{}
	for _, s := range spans {
		byID[string(s.SpanId)] = s
		if id := fmt.Sprintf("%x", s.TraceId); id != parent[1] {
			complain("%s is of trace %s", s.Name, id)
		}
	}
	// path names a span's ancestors, itself last.
	path := func(s *otlp.Span) string {
		var names []string
		for ; s != nil; s = byID[string(s.ParentSpanId)] {
			names = append([]string{strings.ReplaceAll(s.Name, "github.com/gray-runtime/gray/sdk/graytrace.", "")}, names...)
			if strings.HasPrefix(s.Name, "job ") && fmt.Sprintf("%x", s.ParentSpanId) != parent[2] {
				complain("the job isn't beneath TRACEPARENT")
			}
		}
		return strings.Join(names, " > ")
	}
	got := map[string]int{}
	for _, s := range spans {
		got[path(s)]++
	}
	const call = "job j1 > submit (*counter).Add > run graytrace.counter.Add"
	for path, n := range map[string]int{
		"job j1": 1,
		"job j1 > submit nest > run nest > submit addOne > run addOne":       1,
		"job j1 > submit nest > run nest > submit addOne > run addOne > own": 1,
		"job j1 > submit fail > run fail":                                    1,
		"job j1 > submit yield > run yield":                                  1,
		"job j1 > submit open > run open":                                    1,
		"job j1 > submit openLight > run openLight":                          1,
		call + " > submit addOne > run addOne > own":                         2, // of the actor and of the lightweight one
	} {
		if got[path] != n {
			complain("%d spans %q, want %d", got[path], path, n)
		}
	}
	for _, s := range spans {
		if !strings.HasPrefix(s.Name, "run ") || !strings.HasSuffix(s.Name, ".fail") {
			continue
		}
		if s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || !strings.Contains(s.Status.Message, "thing") || len(s.Events) != 1 {
			complain("the span of what failed: %v", s)
		}
		attributes := map[string]string{}
		for _, a := range s.Attributes {
			attributes[a.Key] = a.Value.GetStringValue()
		}
		if attributes["gray.job_id"] != "j1" || attributes["gray.task_id"] == "" || attributes["gray.kind"] != "task" || attributes["gray.node_id"] == "" {
			complain("it says %v", attributes)
		}
	}
	if len(wrong) > 0 {
		for path, n := range got {
			complain("there are %d × %s", n, path)
		}
	}
	return wrong
}

func TestEnabled(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
		{map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
	} {
		if got := enabled(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

// FuzzCarried: what a frame says of a trace never harms.
func FuzzCarried(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\na=b\nuser=7")
	f.Add("\n\n\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		once := carry(carriedBy(t.Context(), s))
		if again := carry(carriedBy(t.Context(), once)); len(again) != len(once) { // baggage has no order
			t.Errorf("%q, then %q", once, again)
		}
	})
}
