package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/auth"
)

// The scopes that operations ask for.
const (
	ScopeRotate     = "cvv:rotate"     // force a rotation
	ScopeSchedule   = "cvv:schedule"   // set or delete the interval
	ScopeRead       = "cvv:read"       // see the schedule
	ScopeReveal     = "cvv:reveal"     // see the CVV
	ScopeVerify     = "cvv:verify"     // have a CVV judged
	ScopeUnlock     = "cvv:unlock"     // lift the lock after too many tries
	ScopeRegister   = "cards:register" // make a card known
	ScopeAnyAccount = "accounts:any"   // do what the other scopes allow, with cards of all accounts
)

// MaxBody is the length of a request's body, in bytes, above which it is refused.
const MaxBody = 4 << 10

// Authenticator says who sent a bearer token. An error that matches
// auth.ErrToken is answered 401, auth.ErrNotReady and an expired context 503.
// *auth.Verifier is one.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (auth.Caller, error)
}

// Options is how requests are handled. Its zero value works.
type Options struct {
	Clock     clock.Clock    // for durations and rates; nil: the real one
	Logger    *slog.Logger   // a record for each request, and errors; nil: none
	Audit     *slog.Logger   // a Record for each attempt to change a card or reveal its CVV, whatever the level; nil: Logger
	Timeout   time.Duration  // for one request, after which it is answered 503; 0: 10s
	PerCard   Rate           // requests for one card by one account; zero: no limit
	PerCaller Rate           // requests by one subject; zero: no limit
	Observe   func(Exchange) // called after each answer, for metrics; must be quick; nil: none
}

// Rate is a limit of requests: Burst at once, and PerSecond in the long run. Both
// are positive, or both are zero, which is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) check(name string) error {
	if r != (Rate{}) && (!(r.PerSecond > 0) || r.Burst < 1) {
		return fmt.Errorf("api: %s: PerSecond and Burst must both be positive, or both 0", name)
	}
	return nil
}

// Exchange is a request and its answer, for metrics: all fields have few values.
type Exchange struct {
	Method string        // OTHER when it is none of the usual ones
	Route  string        // such as /v1/cards/{cardId}/cvv; "": none
	Status int           // of the answer
	Took   time.Duration // by the clock
}

// Server returns a server for the handler with limits that slow and greedy
// clients run into: 5 s for a request's header, 10 s for the whole of it, 15 s
// to take the answer, 2 min between two requests, 16 KiB of header. TLS, if any,
// and the log of connection errors are for the caller to set.
func Server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}
