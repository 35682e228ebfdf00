package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

// byHeader accepts the requests with a certain Authorization.
type byHeader struct{}

func (byHeader) AuthenticateRequest(r *http.Request) (auth.Caller, error) {
	if r.Header.Get("Authorization") != "Bearer good" {
		return auth.Caller{}, auth.ErrSignature
	}
	return auth.Caller{Subject: "s"}, nil
}

// TestTracerProvider_FollowsSamplingOfAuthenticatedCallersOnly sends requests whose
// traceparent asks for sampling.
func TestTracerProvider_FollowsSamplingOfAuthenticatedCallersOnly(t *testing.T) {
	for name, test := range map[string]struct {
		token string
		ratio float64
		want  int
	}{
		"a caller":             {"good", 1e-12, 40},
		"a stranger":           {"bad", 1e-12, 0},
		"nobody":               {"", 1e-12, 0},
		"a stranger, all kept": {"bad", 1, 40},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			exported := 0
			receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				var sent collector.ExportTraceServiceRequest
				if err := errors.Join(err, proto.Unmarshal(body, &sent)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, rs := range sent.ResourceSpans {
					for _, ss := range rs.ScopeSpans {
						exported += len(ss.Spans)
					}
				}
			}))
			defer receiver.Close()
			ctx := context.Background()
			provider := must.Get(NewTracerProvider(ctx, receiver.URL, TracingOptions{SamplingRatio: test.ratio}))(t)
			m := must.Get(New(Options{Tracer: provider}))(t)
			authenticator := must.Get(Authenticator(byHeader{}))(t)
			h := must.Get(m.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if _, err := authenticator.AuthenticateRequest(r); err != nil {
					rw.WriteHeader(http.StatusUnauthorized)
				}
			})))(t)
			for i := range 40 {
				r := httptest.NewRequest("GET", "/", nil)
				// A small id is sampled at any ratio of ids.
				r.Header.Set("Traceparent", fmt.Sprintf("00-%032x-b7ad6b7169203331-01", i+1))
				r.Header.Set("Authorization", "Bearer "+test.token)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			must.Do(t, provider.Shutdown(ctx))
			mu.Lock()
			defer mu.Unlock()
			if exported != test.want {
				t.Errorf("%d spans exported, want %d", exported, test.want)
			}
		})
	}
}
