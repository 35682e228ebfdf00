package audit

import (
	"context"
	"errors"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
)

// Outcome is how an operation ended: Done, or the name of its error. The endpoint's
// problem types (RFC 9457) are urn:cvvrotation:problem: followed by such a name.
type Outcome string

// The outcomes.
const (
	Done                 Outcome = "done"
	InvalidRequest       Outcome = "invalid-request"
	Unauthenticated      Outcome = "unauthenticated"
	ScopeMissing         Outcome = "scope-missing"
	OtherAccount         Outcome = "other-account"
	NoSuchCard           Outcome = "no-such-card"
	NoSuchResource       Outcome = "no-such-resource"
	MethodNotAllowed     Outcome = "method-not-allowed"
	IdempotencyKeyReused Outcome = "idempotency-key-reused"
	RegisteredOtherwise  Outcome = "registered-otherwise"
	BodyTooLarge         Outcome = "body-too-large"
	UnsupportedType      Outcome = "unsupported-content-type"
	TooManyRequests      Outcome = "too-many-requests"
	InternalError        Outcome = "internal-error"
	Unavailable          Outcome = "unavailable"
)

// OutcomeOf returns the outcome of an operation of the engine or the store that
// returned err: Done for nil, InternalError for an error without a name of its own.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Done
	}
	if _, ok := errors.AsType[*rotation.EventError](err); ok {
		return InvalidRequest
	}
	for _, e := range []struct {
		err     error
		outcome Outcome
	}{
		{engine.ErrInvalid, InvalidRequest},
		{store.ErrNotFound, NoSuchCard},
		{engine.ErrForbidden, OtherAccount},
		{engine.ErrKeyReused, IdempotencyKeyReused},
		{engine.ErrRegistered, RegisteredOtherwise},
		{store.ErrClosed, Unavailable},
		{store.ErrUnavailable, Unavailable},
		{context.DeadlineExceeded, Unavailable},
		{context.Canceled, Unavailable},
	} {
		if errors.Is(err, e.err) {
			return e.outcome
		}
	}
	return InternalError
}
