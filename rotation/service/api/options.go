package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/benbjohnson/clock"
)

// Options configure the endpoint. The zero value uses the defaults.
type Options struct {
	// Clock measures durations and rates. Defaults to the system clock.
	Clock clock.Clock
	// Logger receives a record for each request, and errors. Requests whose caller is
	// not known have up to 60 records at once and 1 a second; the attribute
	// suppressed counts the others. Defaults to none.
	Logger *slog.Logger
	// Audit receives an audit.Record for each attempt to change a card or to reveal
	// its CVV, whatever its level. Defaults to Logger.
	Audit *slog.Logger
	// TrustedProxies are the addresses of proxies in front of the endpoint. For a
	// request from one of them, logs name the last address in X-Forwarded-For that
	// is not a trusted proxy's. An address with a zone is in no prefix. Defaults to
	// none: logs name the peer of the connection.
	TrustedProxies []netip.Prefix
	// Timeout is the maximum duration of a request, which then ends with 503.
	// Defaults to 10s.
	Timeout time.Duration
	// PerCard limits the requests for one card by one account, and those by all
	// callers with the scope accounts:any together. Defaults to no limit.
	PerCard Rate
	// PerCaller limits the requests of one subject. Defaults to no limit.
	PerCaller Rate
	// Observe is called with the request's context after each response, for
	// metrics. It must return quickly. Defaults to none.
	Observe func(context.Context, Exchange)
}

// Rate limits requests to Burst at once and PerSecond on average. Both are positive,
// or both are zero, which means no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) check(name string) error {
	if r != (Rate{}) && (!(r.PerSecond > 0) || r.Burst < 1) {
		return fmt.Errorf("api: Options.%s: PerSecond and Burst must both be positive, or both be 0", name)
	}
	return nil
}

// Exchange is a request and its response, for metrics. Every field has few values.
type Exchange struct {
	Method string        // OTHER for an unusual method
	Route  string        // such as /v1/cards/{cardId}/cvv; empty if none matched
	Status int           // of the response
	Took   time.Duration // measured with Options.Clock
}
