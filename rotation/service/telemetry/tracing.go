package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Tracing is where traces go.
type Tracing struct {
	Endpoint string            // URL of an OTLP/HTTP receiver, such as http://localhost:4318/v1/traces; required
	Headers  map[string]string // sent along, such as a token; may be nil
	TLS      *tls.Config       // nil: the system's authorities
	Share    float64           // of the traces that begin here which are kept, over 0 and up to 1; those of callers are kept as they ask
	Service  string            // service.name; "": "cvvd"
	Version  string            // service.version; may be empty
}

// NewTracerProvider returns a provider that sends spans in batches in the
// background. Its Shutdown sends what is left. A receiver that cannot be
// reached loses spans, and nothing else.
func NewTracerProvider(ctx context.Context, t Tracing) (*sdktrace.TracerProvider, error) {
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("tracing: the endpoint is no http or https URL: such as http://localhost:4318/v1/traces is needed")
	}
	if t.Share == 0 {
		t.Share = 1
	}
	if t.Share < 0 || t.Share > 1 {
		return nil, fmt.Errorf("tracing: the share %g is not over 0 and up to 1", t.Share)
	}
	if t.Service == "" {
		t.Service = "cvvd"
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(t.Endpoint), otlptracehttp.WithHeaders(t.Headers)}
	if t.TLS != nil {
		options = append(options, otlptracehttp.WithTLSClientConfig(t.TLS))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(t.Share))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", t.Service),
			attribute.String("service.version", t.Version),
		)),
	), nil
}
