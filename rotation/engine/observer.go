package engine

import (
	"strconv"
	"time"

	"cvvrotation/rotation"
)

// Observer is told what the engine has done, for metrics. Its methods are called
// after the commit, from many goroutines, and must be quick. Embed NoObserver to
// implement a few of them.
type Observer interface {
	// Decided is called for every event that was decided, also those that
	// did nothing.
	Decided(Observation)
	// Failed is called when an automatic rotation failed; it is tried again.
	Failed()
	// Claimed is called after a claim with how many cards it took and how
	// long, by the clock.
	Claimed(cards int, took time.Duration)
	// Verified is called for every verdict.
	Verified(Verdict)
	// Repaired is called for every slot that a wrong clock had set.
	Repaired()
}

// Observation is a decision that was stored.
type Observation struct {
	Kind     rotation.Kind
	Decision rotation.Decision
	Lateness time.Duration // of an automatic rotation: how long after its slot
}

// NoObserver does nothing.
type NoObserver struct{}

// Decided does nothing.
func (NoObserver) Decided(Observation) {}

// Failed does nothing.
func (NoObserver) Failed() {}

// Claimed does nothing.
func (NoObserver) Claimed(int, time.Duration) {}

// Verified does nothing.
func (NoObserver) Verified(Verdict) {}

// Repaired does nothing.
func (NoObserver) Repaired() {}

// Verdict is what verifying a CVV comes to. The zero value is no verdict.
type Verdict uint8

// The verdicts.
const (
	Current  Verdict = iota + 1 // the card's CVV
	Previous                    // the CVV before, within its grace
	Expired                     // the CVV before, its grace over
	Wrong                       // none of these
	Locked                      // not looked at: too many tries were wrong
)

// String returns the verdict in lower case; an unknown one as Verdict(n).
func (v Verdict) String() string {
	switch v {
	case Current:
		return "current"
	case Previous:
		return "previous"
	case Expired:
		return "expired"
	case Wrong:
		return "wrong"
	case Locked:
		return "locked"
	}
	return "Verdict(" + strconv.Itoa(int(v)) + ")"
}

// Good reports whether a payment with such a CVV may go on: Current or Previous.
func (v Verdict) Good() bool { return v == Current || v == Previous }
