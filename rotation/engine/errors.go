package engine

import "errors"

var (
	// ErrForbidden is for a card of another account than the given one.
	ErrForbidden = errors.New("the card belongs to another account")
	// ErrKeyReused is for an idempotency key that was used for another request.
	ErrKeyReused = errors.New("the idempotency key was used for another request: use a new key for each request")
	// ErrRegistered is for registering a card that is already registered with
	// other particulars.
	ErrRegistered = errors.New("the card is registered with other particulars")
	// ErrScheduleKept is for registering a card that is already registered with
	// another schedule, by a caller that may not change it.
	ErrScheduleKept = errors.New("the card is registered with another schedule, which this request may not change")
	// ErrKeys is for sealing keys that are not those of the store.
	ErrKeys = errors.New("wrong sealing keys")
	// ErrInvalid is what every [FieldError] matches.
	ErrInvalid = errors.New("invalid value")
)

// FieldError is a value that an operation does not accept. It matches ErrInvalid.
// What the rules refuse is a *rotation.EventError instead.
type FieldError struct {
	Field  string // card, account, service_code, idempotency_key, pan, expiry, cvv, slots, …
	Detail string // what is accepted; never the value
}

// Error returns the field and what is accepted.
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// Unwrap returns ErrInvalid.
func (e *FieldError) Unwrap() error { return ErrInvalid }

// OperationError is the error of an operation that found the card, or found that
// there is none: a refusal, or a failure afterwards. errors.Is and errors.As find
// its cause.
type OperationError struct {
	Effect Effect // what was found; Version and the fields below it are zero
	Err    error
}

// Error returns the cause's text.
func (e *OperationError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *OperationError) Unwrap() error { return e.Err }

// operationError returns err with what the operation found.
func operationError(found Effect, err error) error {
	if found == (Effect{}) {
		return err
	}
	return &OperationError{found, err}
}
