package outbox

import (
	"context"
	"errors"
)

// deadLetterNow reports whether an event that failed with err is dead-lettered
// without a retry: the sink rejects it, and has either accepted another event
// since the batch began or rejects its first event since it last accepted one.
// Otherwise the sink may reject everything, as with a wrong secret.
func (s *session) deadLetterNow(err error, acceptedNothing bool) bool {
	return errors.Is(err, ErrRejected) && (!acceptedNothing || s.breaker.rejected == 0)
}

// deadLetterAfter reports whether a counted failure was the event's last attempt.
func (s *session) deadLetterAfter(r *result) bool {
	return r.Event.Attempts+1 >= s.o.MaxAttempts || errors.Is(r.Err, ErrRejected)
}

func (s *session) logDeadLetter(ctx context.Context, o Outcome) {
	s.o.Logger.ErrorContext(ctx, "event dead-lettered; it stays parked until it is requeued", "event", o.Event.ID(),
		"position", o.Event.Position, "attempts", o.Event.Attempts+1, "error", reason(o.Err))
}
