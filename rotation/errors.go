package rotation

import (
	"errors"
	"fmt"
)

// The errors of this package (R22). Each error wraps one of these; match them with
// [errors.Is].
var (
	// ErrKind is the error for an unknown kind of event; the zero [Event] has one.
	ErrKind = errors.New("unknown event kind: one of forced, auto, set_interval, disable is needed")
	// ErrInstant is the error for an instant outside the years 1970 to 2200; the zero
	// [time.Time] is one.
	ErrInstant = errors.New("outside the years 1970 to 2200")
	// ErrInterval is the error for an interval not longer than the guard, or longer than
	// [MaxInterval].
	ErrInterval = errors.New("out of range")
	// ErrFirst is the error for a first slot outside (t, t + interval].
	ErrFirst = errors.New("outside the first interval")
	// ErrGuard is the error for a negative guard.
	ErrGuard = errors.New("negative guard")
	// ErrGuardFrom is the error for an unknown [GuardFrom].
	ErrGuardFrom = errors.New("unknown start of the guard: request or scheduling is needed")
	// ErrReason is the error for an unknown [Reason].
	ErrReason = errors.New("unknown reason")
	// ErrRule is the error for an unknown [Rule].
	ErrRule = errors.New("unknown rule: one of R1 to R14 is needed")
	// ErrText is the error for text that is not the text form of an [Event] or of [Rules].
	ErrText = errors.New("malformed text form: restore what String or MarshalText wrote")
	// ErrStateVersion is the error for an encoded state of a version that this package
	// does not know, most likely a newer one.
	ErrStateVersion = errors.New("unknown version of an encoded state: read it with the release that wrote it, or a newer one")
	// ErrStateDamaged is the error for an encoded state that is cut short, altered or not
	// one at all.
	ErrStateDamaged = errors.New("damaged encoded state: restore it from a copy")
)

// EventError says why [Rules.Decide] refused an event. It wraps one of
// [ErrKind], [ErrInstant], [ErrInterval] and [ErrFirst].
type EventError struct {
	Kind   Kind   // the event's kind
	Field  string // the field at fault, as timelines spell it: event, at, slot, interval, first
	Detail string // what was given and what would do; may be empty
	Err    error  // which of the Err variables it is
}

// Error returns one line that names the event, the field and what to do.
func (e *EventError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("rotation: %v: %s: %v", e.Kind, e.Field, e.Err)
	}
	return fmt.Sprintf("rotation: %v: %s: %v: %s", e.Kind, e.Field, e.Err, e.Detail)
}

// Unwrap returns Err.
func (e *EventError) Unwrap() error { return e.Err }
