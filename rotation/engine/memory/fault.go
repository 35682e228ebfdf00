package memory

import (
	"context"
	"errors"
)

// ErrInjected is an error to inject; no real one matches it.
var ErrInjected = errors.New("injected fault")

// Call is a method of the store.
type Call uint8

// The calls: those that change something first.
const (
	CallUpdate Call = iota + 1
	CallClaim
	CallRecordDeliveries
	CallRequeue
	CallDeleteExpired
	CallDeleteUndelivered
	CallAcquireLease
	CallNow
	CallCard
	CallNextDue
	CallIDsTooFarAhead
	CallListCards
	CallListFailingCards
	CallCountDue
	CallStats
	CallListWaiting
	CallListEvents
)

// Op is a call that is about to be made.
type Op struct {
	Call Call
	Card string // of Update and Card
	Key  string // of Update
}

// Fault is what goes wrong with a call. The zero value is nothing.
type Fault struct {
	// Stall holds the call up, before it has done anything, until the channel
	// is closed or the call's context ends; then that is the error.
	Stall <-chan struct{}

	// Race runs without a lock, and may call the store: of a Claim, after the
	// cards were found and before they are locked; of an Update, before the
	// card is locked. Other calls have no use for it.
	Race func()

	// Again calls the functions of Update and Claim once more than what counts,
	// as when a transaction is tried again. What the first try asks for, or
	// its error, is forgotten. In an Update, Race runs between the two.
	Again bool

	// Before is the error with which the call fails before its commit: nothing
	// is stored.
	Before error

	// After is the error that comes back from a call that is done: the reply
	// was lost. What else the call returns means nothing then.
	After error
}

// SetFaults has f asked before each call what is to go wrong with it; nil ends
// that. It is called without a lock, by the goroutine that calls the store, so a
// deterministic test gets deterministic questions.
func (s *Store) SetFaults(f func(Op) Fault) {
	if f == nil {
		s.faults.Store(nil)
		return
	}
	s.faults.Store(&f)
}

func (s *Store) fault(op Op) Fault {
	if f := s.faults.Load(); f != nil {
		return (*f)(op)
	}
	return Fault{}
}

// stall waits for the end of a stall.
func (f *Fault) stall(ctx context.Context) error {
	if f.Stall == nil {
		return nil
	}
	select {
	case <-f.Stall:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
