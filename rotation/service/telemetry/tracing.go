package telemetry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// TracingOptions configure a tracer provider. The zero value uses the defaults.
type TracingOptions struct {
	// Headers are sent with each export, for example an access token.
	Headers map[string]string
	// TLS defaults to the system's certificate authorities.
	TLS *tls.Config
	// SamplingRatio is the ratio of the traces started here that are exported, in
	// (0, 1]. Traces of authenticated callers (see Authenticator) follow the caller's
	// decision; spans in traces of others are exported at this ratio. Defaults to 1.
	SamplingRatio float64
	// Service is the resource attribute service.name. Defaults to cvvd.
	Service string
	// Version is the resource attribute service.version. Defaults to none.
	Version string
}

// NewTracerProvider returns a provider that exports spans to an OTLP/HTTP receiver,
// such as http://localhost:4318/v1/traces, in batches in the background. Shutdown
// exports the remaining spans. If the receiver is unreachable, spans are lost.
func NewTracerProvider(ctx context.Context, endpoint string, o TracingOptions) (*sdktrace.TracerProvider, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("telemetry: the tracing endpoint must be an http or https URL, such as http://localhost:4318/v1/traces")
	}
	o.SamplingRatio = cmp.Or(o.SamplingRatio, 1)
	if !(o.SamplingRatio > 0 && o.SamplingRatio <= 1) {
		return nil, fmt.Errorf("telemetry: the sampling ratio is %g, but must be in (0, 1]", o.SamplingRatio)
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(o.Headers)}
	if o.TLS != nil {
		options = append(options, otlptracehttp.WithTLSClientConfig(o.TLS))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(unauthenticatedSampler{sdktrace.NewBatchSpanProcessor(exporter), o.SamplingRatio}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.SamplingRatio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", cmp.Or(o.Service, "cvvd")),
			attribute.String("service.version", o.Version),
		)),
	), nil
}
