package api

import (
	"net/http"
	"net/netip"
	"time"
)

// Operation is an operation for tests.
type Operation struct{ Method, Route, Scope string }

// Operations returns all operations.
func Operations() (list []Operation) {
	for _, op := range operations {
		list = append(list, Operation{op.method, op.route, op.scope})
	}
	return list
}

// ProblemTypes returns the status and title of each problem type.
func ProblemTypes() map[string][2]any {
	m := make(map[string][2]any)
	for name, p := range problemTypes {
		m[problemURI+string(name)] = [2]any{p.status, p.title}
	}
	return m
}

// Limiter is a limiter for tests.
type Limiter struct{ l *limiter }

// NewLimiter returns a limiter.
func NewLimiter(r Rate) Limiter { return Limiter{newLimiter(r)} }

// Take calls take.
func (l Limiter) Take(key string, now time.Time) time.Duration { return l.l.take(key, now) }

// Len returns the number of keys.
func (l Limiter) Len() int { return len(l.l.young) + len(l.l.old) }

// MaxLimited is the maximum number of keys in a generation.
const MaxLimited = maxLimited

// OriginOf returns the addresses of a request's origin as text.
func OriginOf(r *http.Request, trusted []netip.Prefix) (from, proxy string) {
	o := originOf(r, trusted)
	return text(o.from), text(o.proxy)
}

// Refusals are the limits of refused authentications.
type Refusals struct{ r *refusals }

// NewRefusals returns the limits.
func NewRefusals() Refusals { return Refusals{newRefusals()} }

// Admit calls admit.
func (r Refusals) Admit(from netip.Addr, now time.Time) (int, bool) { return r.r.admit(from, now) }

// Len returns the number of addresses.
func (r Refusals) Len() int { return Limiter{r.r.perAddress}.Len() }
