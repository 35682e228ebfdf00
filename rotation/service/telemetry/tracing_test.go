package telemetry

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"cvvrotation/sim/must"
)

// api returns a handler with a route that names a card, and that reads the store.
func (w *world) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/cards/{cardId}/cvv/rotate", func(rw http.ResponseWriter, r *http.Request) {
		if _, err := w.store.Card(r.Context(), r.PathValue("cardId")); err != nil {
			rw.WriteHeader(http.StatusNotFound)
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(rw, r.URL.Path, "?", r.URL.RawQuery, " ", r.Header.Get("Authorization"), " ", string(body))
	})
	h, err := w.metrics.Handler(mux)
	if err != nil {
		panic(err)
	}
	return h
}

const secret = "4000000000000002"

func request(path string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader("cvv="+secret))
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("User-Agent", secret)
	r.Header.Set("X-Forwarded-For", secret)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.Host = secret
	return r
}

// TestHandler_SpansContainNothingThatCallersSent: the wrapped handler still sees the
// whole request.
func TestHandler_SpansContainNothingThatCallersSent(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	w := newWorld(t, Options{Tracer: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))})
	w.use(t)
	spans.Reset()
	api := w.api()
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, request("/v1/cards/"+secretCard+"/cvv/rotate?pan="+secret))
	if got, want := answer.Body.String(), "/v1/cards/"+secretCard+"/cvv/rotate?pan="+secret+" Bearer "+secret+" cvv="+secret; got != want {
		t.Errorf("the handler saw %q, want %q", got, want)
	}
	api.ServeHTTP(httptest.NewRecorder(), request("/v1/cards/"+secret+"/cvv/rotate"))
	api.ServeHTTP(httptest.NewRecorder(), request("/"+secret))
	odd := request("/" + secret)
	odd.Method = "M" + secret
	api.ServeHTTP(httptest.NewRecorder(), odd)

	var names []string
	for _, s := range spans.GetSpans() {
		names = append(names, s.Name)
		if all := fmt.Sprintf("%+v", s); strings.Contains(all, secret) || strings.Contains(all, secretCard) {
			t.Errorf("the span %s contains a secret: %s", s.Name, all)
		}
		if got := s.SpanContext.TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("the span %s is in the trace %s, not the caller's", s.Name, got)
		}
		if s.Name == "store.card" && !slices.ContainsFunc(s.Attributes, func(a attribute.KeyValue) bool { return a.Key == "cvv.outcome" }) {
			t.Errorf("no outcome in %v", s.Attributes)
		}
	}
	route := "POST /v1/cards/{cardId}/cvv/rotate"
	if want := []string{"store.card", route, "store.card", route, "other", "other"}; !slices.Equal(names, want) {
		t.Errorf("spans %q, want %q", names, want)
	}
	text := exposition(t, w.registry)
	for _, line := range []string{
		`cvv_http_requests_total{route="POST /v1/cards/{cardId}/cvv/rotate",status="200"} 1`,
		`cvv_http_requests_total{route="POST /v1/cards/{cardId}/cvv/rotate",status="404"} 1`,
		`cvv_http_requests_total{route="other",status="404"} 2`,
		`cvv_http_duration_seconds_count{route="other"} 2`,
		`cvv_http_in_flight_requests 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if strings.Contains(text, secret) {
		t.Error("the metrics contain a secret")
	}
}

func TestNewTracerProvider_ExportsToOTLPReceiver(t *testing.T) {
	var mu sync.Mutex
	var names []string
	var service string
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Token") != "t" {
			t.Errorf("%v, %s, %v", err, r.URL, r.Header)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range sent.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					names = append(names, s.Name)
				}
			}
		}
		if strings.Contains(string(body), secret) || strings.Contains(string(body), secretCard) {
			t.Error("the export contains a secret")
		}
		rw.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer receiver.Close()
	ctx := context.Background()
	provider := must.Get(NewTracerProvider(ctx, receiver.URL+"/v1/traces", TracingOptions{Headers: map[string]string{"X-Token": "t"}}))(t)
	w := newWorld(t, Options{Tracer: provider})
	w.api().ServeHTTP(httptest.NewRecorder(), request("/v1/cards/"+secretCard+"/cvv/rotate?pan="+secret))
	must.Do(t, provider.Shutdown(ctx))
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"store.card", "POST /v1/cards/{cardId}/cvv/rotate"}; !slices.Equal(names, want) || service != "cvvd" {
		t.Errorf("%q received %q, want %q", service, names, want)
	}
}

func TestNewTracerProvider_RefusesBadArguments(t *testing.T) {
	for name, bad := range map[string]struct {
		endpoint string
		ratio    float64
	}{
		"no endpoint":    {"", 0},
		"no scheme":      {"localhost:4318", 0},
		"ftp":            {"ftp://x", 0},
		"ratio over 1":   {"http://x", 2},
		"negative ratio": {"http://x", -1},
		"ratio NaN":      {"http://x", math.NaN()},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := NewTracerProvider(context.Background(), bad.endpoint, TracingOptions{SamplingRatio: bad.ratio}); err == nil {
				p.Shutdown(context.Background())
				t.Error("accepted")
			}
		})
	}
}
