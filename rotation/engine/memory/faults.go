package memory

import (
	"context"
	"errors"
)

// ErrInjected is an error to inject; no real error matches it.
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
	CallCheckWrites
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
	CallListCardEvents
	CallFingerprints
	CallSealingKey
	CallReportRelay
	CallRelayReport
	CallSetSealingKey
)

// Op is a call that is about to begin.
type Op struct {
	Call Call
	Card string // of Update, Card, ListCardEvents and Fingerprints
	Key  string // of Update
}

// Fault is what fails in a call. The zero value is no fault.
type Fault struct {
	// Stall blocks the call at its start until the channel is closed or the
	// call's context ends, whose error it then returns.
	Stall <-chan struct{}

	// Race runs without a lock, and may call the store: of a Claim, after the
	// cards were found and before they are locked; of an Update, before the
	// card is locked. Other calls ignore it.
	Race func()

	// Again calls the functions of Update and Claim twice, as a database does
	// that retries a transaction. The result of the first call is discarded.
	// In an Update, Race runs between the two.
	Again bool

	// Before is the error with which the call fails before its commit: nothing
	// is stored.
	Before error

	// After is the error that a call returns after its commit: the reply was
	// lost. Its other results are then undefined.
	After error
}

// SetFaults makes the store call f before each call for the fault to inject; nil
// ends that. The store calls f without a lock, in the goroutine of the caller, so
// that a deterministic test stays deterministic.
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
