package enginecheck

import "time"

// Invariant is a statement about the engine that must hold in every run.
type Invariant uint8

// The invariants.
const (
	answersRight Invariant = iota + 1
	once
	stored
	oneEvent
	fresh
	spent
	sealed
	verdictsRight
	observed
	delivered
	alive
	history
	settingsAgain
	dailyLimit

	numInvariants
)

var invariants = [numInvariants]struct{ name, sentence string }{
	answersRight:  {"answers", "A call returns what the reference model decides at the store's time. It returns an error if nothing was done or the reply was lost."},
	once:          {"once", "The same idempotency key gives the same answer and rotates once, on every replica."},
	stored:        {"stored", "The store holds what was answered and nothing of what failed; a failing card waits for its back-off."},
	oneEvent:      {"one-event", "Every rotation and every change of an interval has exactly one event, which reports the decision; there are no other events."},
	fresh:         {"fresh", "The CVV changes with every version and only then, differs from the previous CVV, and that is stored as the previous one."},
	spent:         {"spent", "A CVV that was rotated as compromised, or was the accepted previous one then, never becomes current again; no service code brings it back."},
	sealed:        {"sealed", "Everything stored can be decrypted with the replicas' keys; after re-encryption, with the new key alone."},
	verdictsRight: {"verdicts", "The verdict on a presented CVV follows from its version, the grace period, the failed attempts across rotations and the lock."},
	observed:      {"observed", "The observer gets every decision that was stored and answered, exactly once."},
	delivered:     {"delivered", "Every event is delivered at least once, and the first deliveries of a card's events are in order."},
	alive:         {"alive", "A claim leaves out no card that is due. After the faults have ended, every card with rotation on rotates at its slots."},
	settingsAgain: {"settings-again", "A card keeps the settings that were accepted last. Sent again they change nothing, whatever was forced since: no event, and the same next slot."},
	dailyLimit:    {"daily-limit", "Within any 24 hours a card compares no more wrong CVVs than the limit, whatever unlocks it, is presented or rotates in between."},
	history:       {"history", "Events and answers alone are consistent: numbers have no gap, each rotation is one version, and the reference model replays them."},
}

// String returns the invariant's name.
func (i Invariant) String() string { return invariants[i].name }

// Rule returns where the invariant comes from.
func (Invariant) Rule() string { return "the engine" }

// Sentence returns what must hold.
func (i Invariant) Sentence() string { return invariants[i].sentence }

// Invariants returns all of them.
func Invariants() []Invariant {
	all := make([]Invariant, 0, numInvariants-1)
	for i := Invariant(1); i < numInvariants; i++ {
		all = append(all, i)
	}
	return all
}

// settle ends the faults and checks that the replicas finish all open work.
func (r *run) settle() {
	r.note("the faults end")
	r.o.jumps = false
	clear(r.poisoned)
	rep := r.replicas[0]
	calm := func() *plan { return &plan{} }
	for len(r.pending) > 0 && r.failure == nil {
		r.retry(rep, calm())
		r.compare()
	}
	none := newStream(r.seed, 1<<61)
	r.sweep(&none, rep, calm())
	r.compare()
	for range 3 {
		for _, l := range r.cards {
			l.lastAutomatic = l.automatic
			for _, at := range []time.Time{l.due, l.state.Next.Time} { // a retry may be due before the slot
				if !at.IsZero() {
					r.now = max(r.now, at.UnixNano())
				}
			}
		}
		for i := 0; len(r.dueCards()) > 0 && r.failure == nil; i++ {
			if i > 100 {
				r.violate(alive, "cards stay due after 100 claims")
			}
			r.tick(r.replicas[i%len(r.replicas)], calm())
			r.compare()
		}
		for _, l := range r.cards {
			if l.state.Interval != 0 && l.automatic == l.lastAutomatic {
				r.violate(alive, "%s did not rotate after the faults had ended, although its slot had passed", l.ref.Card)
			}
		}
	}
	if r.failure != nil {
		return
	}
	r.drain()
	r.audit()
}
