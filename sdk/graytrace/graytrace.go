package graytrace

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gray-runtime/gray/sdk/internal/process"
)

func init() {
	if enabled(os.Getenv) {
		process.SetTracer(&tracer{})
	}
}

// enabled reports whether an environment asks for traces.
func enabled(env func(string) string) bool {
	exporter := env("OTEL_TRACES_EXPORTER")
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || exporter != "" && exporter != "otlp" {
		return false
	}
	return cmp.Or(exporter, env("OTEL_EXPORTER_OTLP_ENDPOINT"), env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) != ""
}

const (
	// batchDelay is how long a span may wait to be sent, unless OTEL_BSP_SCHEDULE_DELAY says so.
	batchDelay = 500 * time.Millisecond
	// lastWords is how long a worker that is to end may take to send what is left: less than
	// its node gives it.
	lastWords = 250 * time.Millisecond
	// complainEvery is how often it's said that traces can't be sent.
	complainEvery = time.Minute
)

// tracer is a process.Tracer.
type tracer struct {
	once     sync.Once
	provider *sdktrace.TracerProvider // nil: it couldn't be made
	spans    trace.Tracer
	worker   sync.Once
}

// start makes the provider, which costs a goroutine.
func (t *tracer) start() trace.Tracer {
	t.once.Do(func() {
		otel.SetErrorHandler(&complaints{})
		t.provider = newProvider()
		if t.provider != nil {
			otel.SetTracerProvider(t.provider)
		}
		otel.SetTextMapPropagator(propagator)
		t.spans = otel.Tracer("github.com/gray-runtime/gray/sdk/graytrace")
	})
	return t.spans
}

func newProvider() *sdktrace.TracerProvider {
	exporter, err := otlptracehttp.New(context.Background())
	if err != nil {
		otel.Handle(fmt.Errorf("make an exporter of traces: %w", err))
		return nil
	}
	var batch []sdktrace.BatchSpanProcessorOption
	if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
		batch = append(batch, sdktrace.WithBatchTimeout(batchDelay))
	}
	host, _ := os.Hostname()
	about := resource.NewSchemaless(
		attribute.String("service.name", "gray"), attribute.String("host.name", host), attribute.Int("process.pid", os.Getpid()))
	if merged, err := resource.Merge(about, resource.Environment()); err == nil { // which wins
		about = merged
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, batch...), sdktrace.WithResource(about))
}

// complaints says now and then what goes wrong.
type complaints struct {
	mu   sync.Mutex
	last time.Time
}

func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) >= complainEvery {
		c.last = time.Now()
		fmt.Fprintf(os.Stderr, "gray: traces: %v\n", err)
	}
}

// Env is OpenTelemetry's variables.
func (t *tracer) Env() map[string]string {
	env := map[string]string{}
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			env[name] = value
		}
	}
	return env
}

func (t *tracer) Job(ctx context.Context, p *process.Process) (context.Context, func(error)) {
	spans := t.start()
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = propagator.Extract(ctx, propagation.MapCarrier{"traceparent": os.Getenv("TRACEPARENT"), "tracestate": os.Getenv("TRACESTATE")})
	}
	ctx, span := spans.Start(ctx, "job "+p.Job().String(), trace.WithAttributes(about(p)...))
	return ctx, ending(span)
}

func (t *tracer) Submit(ctx context.Context, p *process.Process, function string) string {
	ctx, span := t.start().Start(ctx, "submit "+text(function), trace.WithSpanKind(trace.SpanKindProducer))
	if span.IsRecording() {
		span.SetAttributes(about(p)...)
		span.SetAttributes(attribute.String("gray.function", text(function)))
	}
	span.End()
	return carry(ctx)
}

func (t *tracer) Run(ctx context.Context, carried string, p *process.Process, k process.TracedTask) (context.Context, func(error)) {
	spans := t.start()
	t.worker.Do(func() { go t.sendLast() })
	ctx, span := spans.Start(carriedBy(ctx, carried), "run "+text(k.Function), trace.WithSpanKind(trace.SpanKindConsumer))
	if span.IsRecording() {
		span.SetAttributes(about(p)...)
		span.SetAttributes(
			attribute.String("gray.function", text(k.Function)), attribute.String("gray.kind", k.Kind), attribute.Int("gray.attempt", k.Attempt))
		if !k.ID.IsZero() {
			span.SetAttributes(attribute.String("gray.task_id", k.ID.String()), attribute.String("gray.owner_id", k.Owner.String()))
		}
		if !k.Actor.IsZero() {
			span.SetAttributes(attribute.String("gray.actor_id", k.Actor.String()))
		}
	}
	return ctx, ending(span)
}

func (t *tracer) Flush(ctx context.Context) error {
	if t.start(); t.provider == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// sendLast sends what is left when the process is asked to end, and lets it end then.
func (t *tracer) sendLast() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	_ = t.Flush(ctx) // nobody is left to be told
	signal.Stop(asked)
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
}

// about says which process of which job a span is of.
func about(p *process.Process) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("gray.job_id", p.Job().String()), attribute.String("gray.submission_id", p.Welcome().GetSubmissionId()),
		attribute.String("gray.node_id", p.ID().Node.String()), attribute.String("gray.process_id", p.ID().String()),
	}
}

func ending(span trace.Span) func(error) {
	return func(err error) {
		if err != nil {
			message := text(err.Error()) // one that isn't would cost the batch
			span.AddEvent("exception", trace.WithAttributes(
				attribute.String("exception.type", fmt.Sprintf("%T", err)), attribute.String("exception.message", message)))
			span.SetStatus(codes.Error, message)
		}
		span.End()
	}
}

// text is what OTLP can carry.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// propagator is W3C's.
var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// fields are what is carried, a line each.
var fields = [...]string{"traceparent", "tracestate", "baggage"}

// carry is a span as it travels with a task.
func carry(ctx context.Context) string {
	c := propagation.MapCarrier{}
	propagator.Inject(ctx, c)
	var lines [len(fields)]string
	for i, f := range fields {
		lines[i] = c[f]
	}
	return strings.TrimRight(strings.Join(lines[:], "\n"), "\n")
}

// carriedBy is ctx beneath the span that a task came with.
func carriedBy(ctx context.Context, carried string) context.Context {
	c := propagation.MapCarrier{}
	for i, line := range strings.SplitN(carried, "\n", len(fields)) {
		c[fields[i]] = line
	}
	return propagator.Extract(ctx, c)
}
