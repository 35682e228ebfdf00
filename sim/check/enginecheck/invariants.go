package enginecheck

// Invariant is something that must hold of an engine in every run.
type Invariant uint8

// The invariants.
const (
	answersRight Invariant = iota + 1
	once
	stored
	oneEvent
	fresh
	sealed
	verdictsRight
	observed
	delivered
	alive
	history

	numInvariants
)

var invariants = [numInvariants]struct{ name, sentence string }{
	answersRight:  {"answers", "A call is answered what the reference model decides of it at the store's time, and is an error where nothing was done or the reply was lost."},
	once:          {"once", "The same idempotency key gives the same answer and rotates once, whichever replica is asked."},
	stored:        {"stored", "What was answered is stored, what failed has left no trace, and a failing card is put off by its back-off."},
	oneEvent:      {"one-event", "Every rotation, and every change of an interval, has exactly one event, which says what was decided; no event is without one."},
	fresh:         {"fresh", "A CVV changes with its version and never otherwise, differs from the one before, and that one is what is kept as such."},
	sealed:        {"sealed", "Whatever the keys of the replicas, all that is stored opens; after sealing anew it opens with the new key alone."},
	verdictsRight: {"verdicts", "A CVV that is presented is judged as its version, the grace, the tries across rotations and the lock have it."},
	observed:      {"observed", "The observer is told of every decision that was stored and answered, once."},
	delivered:     {"delivered", "Every event is delivered at least once, and the first deliveries of a card's events are in order."},
	alive:         {"alive", "When the faults have ended, every card with rotation on rotates at its slots, and none stays due."},
	history:       {"history", "The events and the answers alone tell one story: numbered without a gap, a version more with each rotation, as the reference model replays them."},
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
