package engine

import (
	"time"

	"cvvrotation/rotation"
)

// Observer receives what the engine did, for metrics. The engine calls its methods
// after the commit, from many goroutines; they must not block. Embed NoObserver to
// implement only some of them.
type Observer interface {
	// Decided is called for every event that was decided, even if it changed
	// nothing.
	Decided(Observation)
	// Failed is called when an automatic rotation failed and will be retried.
	Failed()
	// Claimed is called after a claim with the number of cards and the
	// duration by the clock.
	Claimed(cards int, took time.Duration)
	// Verified is called for every verdict.
	Verified(Verdict)
	// Unlocked is called when a card was unlocked or its failed attempts in a row were
	// reset, by Unlock.
	Unlocked()
	// Repaired is called for every next slot that was moved back to within
	// one interval.
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

// Unlocked does nothing.
func (NoObserver) Unlocked() {}

// Repaired does nothing.
func (NoObserver) Repaired() {}
