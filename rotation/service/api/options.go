package api

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"golang.org/x/time/rate"
)

// Options configure the endpoint. The zero value uses the defaults.
type Options struct {
	// Clock measures durations and rates. Defaults to the system clock.
	Clock clock.Clock
	// Logger receives a record for each request, and errors. Defaults to none.
	Logger *slog.Logger
	// Audit receives an audit.Record for each attempt to change a card or to reveal
	// its CVV, whatever its level. Defaults to Logger.
	Audit *slog.Logger
	// Timeout is the maximum duration of a request, which then ends with 503.
	// Defaults to 10s.
	Timeout time.Duration
	// PerCard limits the requests for one card by one account. Defaults to no limit.
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

// maxLimited is the maximum number of keys in each of a limiter's two generations,
// at about 200 bytes a key.
const maxLimited = 50_000

// limiter is a token bucket for each key, in bounded memory. Keys live in a young and
// an old generation. The young one becomes the old one when it is full, or after the
// time in which an empty bucket fills up. So a key is dropped when its bucket would be
// full again, or when there are too many others.
type limiter struct {
	rate Rate

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
	turned     time.Time
}

func newLimiter(r Rate) *limiter {
	return &limiter{rate: r, young: make(map[string]*rate.Limiter)}
}

// take removes a token from the key's bucket and returns 0. If there is none, it
// returns how long to wait.
func (l *limiter) take(key string, now time.Time) time.Duration {
	if l.rate == (Rate{}) {
		return 0
	}
	r := l.bucket(key, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) bucket(key string, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.young) >= maxLimited || now.Sub(l.turned).Seconds() > float64(l.rate.Burst)/l.rate.PerSecond {
		l.old, l.young, l.turned = l.young, make(map[string]*rate.Limiter), now
	}
	b, ok := l.young[key]
	if !ok {
		if b, ok = l.old[key]; !ok {
			b = rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)
		}
		l.young[key] = b
	}
	return b
}

// seconds formats a duration for Retry-After: whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}
