package outbox

import (
	"context"
	"errors"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Sink delivers events to subscribers. The relay calls it from several
// goroutines, never with one card's events in two calls at the same time.
type Sink interface {
	// Deliver delivers a batch and returns an error for each event: nil if
	// the subscriber has accepted it durably. It delivers a card's events in
	// the order of the batch. After one that failed, it returns ErrNotTried
	// for the later events of that card.
	//
	// Deliver returns soon after ctx has ended. Its errors are logged and
	// stored, so they hold no secret.
	Deliver(ctx context.Context, events []store.Queued) []error

	// Close releases the sink's resources, after the last Deliver.
	Close() error
}

var (
	// ErrUnavailable is returned by a sink that accepts no event at the
	// moment, whichever it is. See also [Unavailable].
	ErrUnavailable = errors.New("unavailable")
	// ErrNotTried is returned for an event that was not tried, because
	// another event of its batch failed: an earlier one of its card, or one
	// that showed that the sink is unavailable.
	ErrNotTried = errors.New("not tried: another event of the batch failed")
)

// Unavailable is an error that matches ErrUnavailable and carries details.
type Unavailable struct {
	Err   error         // the cause; holds no secret
	After time.Duration // the delay that the sink asked for; 0: none
}

// Error returns Err's text.
func (u *Unavailable) Error() string { return u.Err.Error() }

// Unwrap returns Err.
func (u *Unavailable) Unwrap() error { return u.Err }

// Is reports whether target is ErrUnavailable.
func (u *Unavailable) Is(target error) bool { return target == ErrUnavailable }
