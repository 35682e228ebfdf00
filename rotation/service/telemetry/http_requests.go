package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/felixge/httpsnoop"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"cvvrotation/rotation/internal/arguments"
)

// Handler returns next with every request counted, measured and traced by the pattern
// that its ServeMux matched. Metrics and spans contain no other part of the URL,
// because a path names a card, or may contain a PAN sent by mistake.
//
// A request with the header traceparent (W3C) continues the caller's trace; see
// Authenticator for whether it is sampled.
// Handler returns an error if next is nil.
func (m *Metrics) Handler(next http.Handler) (http.Handler, error) {
	if arguments.Missing(next) {
		return nil, errors.New("telemetry: a handler is required")
	}
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		span := trace.SpanFromContext(r.Context())
		asked := r.Context().Value(askedKey{}).(*http.Request).WithContext(r.Context())
		asked.Body = r.Body
		measured := httpsnoop.CaptureMetrics(next, w, asked)
		route := asked.Pattern
		if route == "" {
			route = "other"
		}
		r.Pattern = route // the name of the span
		span.SetName(route)
		m.requests.WithLabelValues(route, strconv.Itoa(measured.Code)).Inc()
		m.httpTime.WithLabelValues(route).Observe(measured.Duration.Seconds())
	})
	traced := otelhttp.NewHandler(counted, "",
		otelhttp.WithTracerProvider(m.traces), otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if r.Pattern == "" {
				return r.Method
			}
			return r.Pattern
		}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		traced.ServeHTTP(w, withoutURL(r))
	}), nil
}

type askedKey struct{}

// withoutURL returns a request for the tracer. It contains nothing that a caller
// chose, except a usual method and the trace context.
func withoutURL(r *http.Request) *http.Request {
	shown := &http.Request{
		Method: "_OTHER", URL: &url.URL{Path: "/"}, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: http.Header{}, Body: r.Body, ContentLength: r.ContentLength,
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		shown.Method = r.Method
	}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if v := r.Header[name]; v != nil {
			shown.Header[name] = v
		}
	}
	return shown.WithContext(context.WithValue(r.Context(), askedKey{}, r))
}
