package api

import "time"

// Operation is an operation, for tests.
type Operation struct{ Method, Route, Scope string }

// Operations returns all operations.
func Operations() (list []Operation) {
	for _, op := range operations {
		list = append(list, Operation{op.method, op.route, op.scope})
	}
	return list
}

// ProblemTypes returns the types of problems with their statuses and titles.
func ProblemTypes() map[string][2]any {
	m := make(map[string][2]any)
	for _, k := range []kind{
		kindInvalid, kindToken, kindScope, kindForbidden, kindNoCard, kindNoRoute, kindMethod, kindKeyReused,
		kindRegistered, kindTooLarge, kindContentType, kindTooMany, kindInternal, kindUnavailable,
	} {
		m[problemURI+k.name] = [2]any{k.status, k.title}
	}
	return m
}

// Limiter is a limiter, for tests.
type Limiter struct{ l *limiter }

// NewLimiter returns one.
func NewLimiter(r Rate) Limiter { return Limiter{newLimiter(r)} }

// Take is take.
func (l Limiter) Take(key string, now time.Time) time.Duration { return l.l.take(key, now) }

// Len returns how many keys are remembered.
func (l Limiter) Len() int { return len(l.l.young) + len(l.l.old) }

// MaxLimited is how many keys a generation of a limiter has.
const MaxLimited = maxLimited
