// Package graytrace has a job's tasks and actors traced with OpenTelemetry. It's enough to
// import it:
//
//	import _ "github.com/gray-runtime/gray/sdk/graytrace"
//
// It does nothing unless the driver's environment names a collector, by
// OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_TRACES_EXPORTER=otlp.
// OpenTelemetry's variables are those of all processes of the job; spans go to the
// collector by OTLP over HTTP (port 4318), not gRPC.
//
// A job is one trace: the span "job j3" of the driver (a child of TRACEPARENT, if that's in
// its environment), "submit f" wherever a task is submitted or an actor is called, and
// beneath it "run f" where it runs, once an attempt. The context that a function is given
// carries its span, so spans that it begins itself, by otel.Tracer, are beneath, too, and so
// is what it submits. Errors are in the span of the attempt.
//
// It owns the program's TracerProvider, which it makes when something is traced first, and
// one goroutine in workers, that sends what is left when the node ends them; both are the
// process's to its end. What a process that is killed hasn't sent is lost, half a second's
// at most.
package graytrace
