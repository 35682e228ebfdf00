package outbox

import (
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/backoff"
)

// retry is the state of a card whose next event has failed. Until the event is
// retried, it blocks the later events of its card.
type retry struct {
	at       time.Time // not before
	failures int       // in a row; they determine the delay
	accepted int64     // breaker.accepted at the last failure
	counted  bool      // the last failure was counted against the event
}

// retryLater schedules the next attempt of an event that failed. accepted is
// breaker.accepted when the attempt began. The failure counts as an attempt if the
// sink has accepted another event since the card's previous failure; the event is
// dead-lettered if that was its last attempt.
func (s *session) retryLater(res *result, accepted int64, now time.Time) {
	e := res.Event
	r := s.retries[e.Card]
	if r == nil {
		r = &retry{failures: e.Attempts, accepted: accepted}
		s.retries[e.Card] = r
		s.breaker.suspects++
	} else if r.accepted != s.breaker.accepted {
		s.breaker.suspects++
	}
	r.counted = s.breaker.accepted != r.accepted
	r.accepted = s.breaker.accepted
	r.failures++
	r.at = now.Add(s.o.backoff(r.failures, s.o.MaxBackoff))
	res.record = r.counted
	if r.counted && e.Attempts+1 >= s.o.MaxAttempts {
		res.Status = store.StatusParked // dead-lettered, until an operator requeues it
		delete(s.retries, e.Card)
	}
}

// retryNow makes the events due whose failures were the sink's fault, because the
// sink is up again.
func (s *session) retryNow(now time.Time) {
	for _, r := range s.retries {
		if !r.counted {
			r.at, r.failures = now, 0
		}
	}
}

// backoff returns the delay after the n-th failure in a row, counted from 1. It
// doubles from MinBackoff up to the maximum, and has jitter.
func (o *Options) backoff(n int, maximum time.Duration) time.Duration {
	d := maximum
	if n = max(n, 1); n <= 32 && o.MinBackoff<<(n-1)>>(n-1) == o.MinBackoff {
		d = min(o.MinBackoff<<(n-1), maximum)
	}
	return backoff.Jitter(d)
}
