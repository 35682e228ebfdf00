package check

import (
	"math/bits"
)

// Invariant is something that must hold in every timeline. The zero value is
// none.
type Invariant uint8

// The invariants, the most telling first: of several that an event breaks, the
// first names the failure.
const (
	durable Invariant = iota + 1
	persisted
	zeroHarmless
	refused
	s1
	s2
	s3
	forcedRotates
	guardHolds
	guardEnds
	heals
	neverEarly
	neverTwice
	superseded
	inFlight
	dueRotates
	offIsOff
	newSchedule
	setInterval
	unchanged
	nextAhead
	nextWithin
	oneCatchUp
	phaseKept
	noDrift
	missed
	idle
	guardStart
	served
	scenario
	answer
	reference
	replays
	alive

	numInvariants
)

// descriptions holds each invariant's name, rule and sentence.
var descriptions = [numInvariants]struct{ name, rule, sentence string }{
	durable:       {"durable", "duty 3", "A card goes on from the state that its last answered event left, whatever crashed."},
	persisted:     {"persisted", "duty 3", "What is stored of a card, encoded and decoded, is all there is to it."},
	zeroHarmless:  {"zero-harmless", "R1, R4", "A card that nothing has happened to has no schedule; a timer does nothing to it, a forced call rotates it and schedules nothing."},
	refused:       {"refused", "R22", "An event is refused if and only if R22 refuses it, and a refused event changes nothing."},
	s1:            {"s1", "S1", "Forced less than the guard after an automatic rotation: the CVV is rotated, no new scheduling."},
	s2:            {"s2", "S2", "Automatic less than the guard after a forced rotation: the CVV is rotated, no new scheduling."},
	s3:            {"s3", "S3", "Several forced calls in less than the guard: the CVV is rotated each time, new scheduling only for the first."},
	forcedRotates: {"forced-rotates", "R15", "A forced event always rotates."},
	guardHolds:    {"guard-holds", "R2, R6, R20", "No rotation less than the guard before or after the previous request gets a new scheduling, and a forced one leaves the schedule untouched."},
	guardEnds:     {"guard-ends", "R3, R5, R7", "A rotation exactly the guard or more after the previous request, or before it, with rotation on, gets a new scheduling."},
	heals:         {"heals", "R20", "After a clock stepped back by the guard or more, the next rotation schedules for the new time: after it, by at most an interval."},
	neverEarly:    {"never-early", "R11", "An automatic event before the slot that it names does not rotate."},
	neverTwice:    {"never-twice", "R12", "No slot rotates twice, unless a schedule set anew names it again."},
	superseded:    {"superseded", "R13", "A timer for a slot that the schedule has left does not rotate once the guard has ended."},
	inFlight:      {"in-flight", "R14", "A timer for a slot that the schedule has left, not served yet, rotates within the guard without a new scheduling."},
	dueRotates:    {"due-rotates", "R5, R6, R7", "An automatic event rotates when it names the next slot and that slot has come, and when it names none."},
	offIsOff:      {"off-is-off", "R1, R4, R10", "While rotation is off no automatic event rotates and nothing is scheduled; disable turns it off at once."},
	newSchedule:   {"new-schedule", "R3, R7", "A new scheduling by a forced call, or by the host's own timer ahead of the slot, is one interval after the event: forced at 3 PM, next at 3 PM."},
	setInterval:   {"set-interval", "R8", "A new interval sets next to one interval after the event, or to the first slot where one is given."},
	unchanged:     {"unchanged", "R9", "Setting the interval in force changes nothing, the guard included."},
	nextAhead:     {"next-ahead", "R18", "After an automatic rotation, and after any new scheduling, next is after the event."},
	nextWithin:    {"next-within", "R18", "While a card's instants do not step back, next is at most one interval after the event."},
	oneCatchUp:    {"one-catch-up", "R17", "Slots that a late rotation passed are not made up: there is at most one catch-up."},
	phaseKept:     {"phase-kept", "R5, R6, R17", "An automatic rotation that is due moves next along its phase to the first slot after the event; one that the guard held before its slot leaves next alone."},
	noDrift:       {"no-drift", "R17", "Over any number of automatic rotations next stays on the phase of the last scheduling that set one."},
	missed:        {"missed", "R17", "missed counts the slots skipped, whatever the guard."},
	idle:          {"idle", "R4, R11, R12, R13", "An automatic event that does not rotate changes nothing."},
	guardStart:    {"guard-start", "R16", "The guard starts at every rotation and at every new interval, and nothing else moves it."},
	served:        {"served", "R19", "The newest slot served is the largest of itself, the slot of an automatic rotation, and for a due one the last slot that has come."},
	scenario:      {"scenario", "R21", "The scenario is 1, 2 or 3 when the guard held and the kinds are auto then forced, forced then auto, forced then forced; else 0."},
	answer:        {"answer", "duty 3", "The next slot that the caller is told is the one that is stored."},
	reference:     {"reference", "all", "Rule, reason, scenario, missed, refusal and state are those of the independent reference model (sim/model)."},
	replays:       {"replays", "duty 1", "Replaying a card's events from the beginning, without the host, gives the same decisions."},
	alive:         {"alive", "R17, duty 4", "When the faults have ended, every card with rotation on rotates within its interval, and so on."},
}

// String returns the invariant's name.
func (i Invariant) String() string { return descriptions[i].name }

// Rule returns the rule that the invariant comes from.
func (i Invariant) Rule() string { return descriptions[i].rule }

// Sentence returns what must hold.
func (i Invariant) Sentence() string { return descriptions[i].sentence }

// Invariants returns all of them, the most telling first.
func Invariants() []Invariant {
	all := make([]Invariant, 0, numInvariants-1)
	for i := Invariant(1); i < numInvariants; i++ {
		all = append(all, i)
	}
	return all
}

// broken is a set of invariants.
type broken uint64

func (b *broken) unless(holds bool, i Invariant) {
	if !holds {
		*b |= 1 << i
	}
}

// first returns the most telling one, 0 when the set is empty.
func (b broken) first() Invariant {
	if b == 0 {
		return 0
	}
	return Invariant(bits.TrailingZeros64(uint64(b)))
}

func (b broken) list() (all []Invariant) {
	for ; b != 0; b &= b - 1 {
		all = append(all, b.first())
	}
	return all
}
