package telemetry

import (
	"errors"
	"math/rand/v2"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"cvvrotation/rotation/internal/arguments"
	"cvvrotation/rotation/service/auth"
)

// authenticated is the attribute of the spans of requests whose caller is known.
const authenticated = attribute.Key("cvv.authenticated")

// RequestAuthenticator identifies the caller of a request.
type RequestAuthenticator interface {
	AuthenticateRequest(*http.Request) (auth.Caller, error)
}

// Authenticator returns next, and marks the spans of requests whose caller it
// identifies. Only such a request makes NewTracerProvider follow the sampling decision
// in its header traceparent. Authenticator returns an error if next is nil.
func Authenticator(next RequestAuthenticator) (RequestAuthenticator, error) {
	if arguments.Missing(next) {
		return nil, errors.New("telemetry: an authenticator is required")
	}
	return marking{next}, nil
}

type marking struct{ next RequestAuthenticator }

// AuthenticateRequest implements RequestAuthenticator.
func (m marking) AuthenticateRequest(r *http.Request) (auth.Caller, error) {
	caller, err := m.next.AuthenticateRequest(r)
	if err == nil {
		trace.SpanFromContext(r.Context()).SetAttributes(authenticated.Bool(true))
	}
	return caller, err
}

// unauthenticatedSampler drops spans of unauthenticated requests that continue a trace,
// except for a ratio: any client could force sampling otherwise. The choice is random,
// and not by the trace's id, which the client chooses.
type unauthenticatedSampler struct {
	sdktrace.SpanProcessor
	ratio float64
}

// OnEnd implements sdktrace.SpanProcessor.
func (p unauthenticatedSampler) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.Parent().IsRemote() && !isMarked(s) && rand.Float64() >= p.ratio {
		return
	}
	p.SpanProcessor.OnEnd(s)
}

func isMarked(s sdktrace.ReadOnlySpan) bool {
	for _, a := range s.Attributes() {
		if a.Key == authenticated {
			return a.Value.AsBool()
		}
	}
	return false
}
