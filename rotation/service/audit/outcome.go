package audit

import (
	"context"
	"errors"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
)

// Outcome is how an operation ended: OutcomeDone, or the name of its error. The
// endpoint's problem types (RFC 9457) are urn:cvvrotation:problem: followed by such a name.
type Outcome string

// The outcomes.
const (
	OutcomeDone                 Outcome = "done"
	OutcomeInvalidRequest       Outcome = "invalid-request"
	OutcomeUnauthenticated      Outcome = "unauthenticated"
	OutcomeScopeMissing         Outcome = "scope-missing"
	OutcomeOtherAccount         Outcome = "other-account"
	OutcomeNoSuchCard           Outcome = "no-such-card"
	OutcomeNoSuchResource       Outcome = "no-such-resource"
	OutcomeMethodNotAllowed     Outcome = "method-not-allowed"
	OutcomeIdempotencyKeyReused Outcome = "idempotency-key-reused"
	OutcomeRegisteredOtherwise  Outcome = "registered-otherwise"
	OutcomeBodyTooLarge         Outcome = "body-too-large"
	OutcomeUnsupportedType      Outcome = "unsupported-content-type"
	OutcomeTooManyRequests      Outcome = "too-many-requests"
	OutcomeInternalError        Outcome = "internal-error"
	OutcomeUnavailable          Outcome = "unavailable"
)

// OutcomeOf returns the outcome of an operation of the engine or the store that
// returned err: OutcomeDone for nil, OutcomeInternalError for an error without a
// name of its own.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return OutcomeDone
	}
	if _, ok := errors.AsType[*rotation.EventError](err); ok {
		return OutcomeInvalidRequest
	}
	for _, e := range []struct {
		err     error
		outcome Outcome
	}{
		{engine.ErrInvalid, OutcomeInvalidRequest},
		{store.ErrNotFound, OutcomeNoSuchCard},
		{engine.ErrForbidden, OutcomeOtherAccount},
		{engine.ErrKeyReused, OutcomeIdempotencyKeyReused},
		{engine.ErrRegistered, OutcomeRegisteredOtherwise},
		{store.ErrFingerprint, OutcomeRegisteredOtherwise},
		{store.ErrClosed, OutcomeUnavailable},
		{store.ErrUnavailable, OutcomeUnavailable},
		{context.DeadlineExceeded, OutcomeUnavailable},
		{context.Canceled, OutcomeUnavailable},
	} {
		if errors.Is(err, e.err) {
			return e.outcome
		}
	}
	return OutcomeInternalError
}
