package check

import (
	"math/bits"
)

// Invariant is a statement that must hold in every timeline. The zero value is no
// invariant.
type Invariant uint8

// The invariants, the most specific first: if an event breaks several, the first
// names the failure.
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
	durable:       {"durable", "duty 3", "A decision starts from the state that the last answered event left, even after a crash."},
	persisted:     {"persisted", "duty 3", "Storing a card and restoring it loses nothing."},
	zeroHarmless:  {"zero-harmless", "R1, R4", "A new card has no schedule: a timer does nothing, a forced call rotates and schedules nothing."},
	refused:       {"refused", "R22", "Exactly the events that R22 names are refused, and a refused event changes nothing."},
	s1:            {"s1", "S1", "Forced less than the guard after an automatic rotation: the CVV is rotated, no new scheduling. With guard_from scheduling, that holds after a rotation that scheduled."},
	s2:            {"s2", "S2", "Automatic less than the guard after a forced rotation: the CVV is rotated, no new scheduling. With guard_from scheduling, that holds after a rotation that scheduled."},
	s3:            {"s3", "S3", "Several forced calls in less than the guard: the CVV is rotated each time, new scheduling only for the first."},
	forcedRotates: {"forced-rotates", "R15", "A forced event always rotates."},
	guardHolds:    {"guard-holds", "R2, R6, R20", "A rotation within the guard, before or after its start, gets no new scheduling; a forced one leaves the schedule unchanged."},
	guardEnds:     {"guard-ends", "R3, R5, R7", "With rotation on, a rotation exactly the guard or more after the guard's start, or before it, gets a new scheduling."},
	heals:         {"heals", "R20", "After a clock stepped back by the guard or more, the next rotation schedules up to one interval after the new time."},
	neverEarly:    {"never-early", "R11", "An automatic event before the slot that it names does not rotate."},
	neverTwice:    {"never-twice", "R12", "No slot rotates twice, unless a new scheduling names it again."},
	superseded:    {"superseded", "R13", "A timer for a slot that is no longer next does not rotate after the guard has ended."},
	inFlight:      {"in-flight", "R14", "A timer for an unserved slot that is no longer next rotates within the guard, without a new scheduling."},
	dueRotates:    {"due-rotates", "R5, R6, R7", "An automatic event rotates when it names the next slot and that slot has come, or when it names no slot."},
	offIsOff:      {"off-is-off", "R1, R4, R10", "While rotation is off, no automatic event rotates and nothing is scheduled; disable turns rotation off immediately."},
	newSchedule:   {"new-schedule", "R3, R7", "A new scheduling by a forced call, or by the host's own timer ahead of the slot, is one interval after the event: forced at 3 PM, next at 3 PM."},
	setInterval:   {"set-interval", "R8", "A new interval sets the next slot to one interval after the event, or to the first slot if one is given."},
	unchanged:     {"unchanged", "R9", "Setting the interval in force changes nothing, not even the guard."},
	nextAhead:     {"next-ahead", "R18", "After an automatic rotation, and after any new scheduling, the next slot is after the event."},
	nextWithin:    {"next-within", "R18", "While a card's instants do not step back, the next slot is up to one interval after the event."},
	oneCatchUp:    {"one-catch-up", "R17", "Slots that a late rotation passed are not caught up: one rotation replaces all of them."},
	phaseKept:     {"phase-kept", "R5, R6, R17", "A due automatic rotation moves the next slot along its phase to the first slot after the event; within the guard and ahead of its slot it leaves the next slot unchanged."},
	noDrift:       {"no-drift", "R17", "Over any number of automatic rotations, the next slot stays on the phase of the last scheduling that set one."},
	missed:        {"missed", "R17", "missed counts the skipped slots, within the guard too."},
	idle:          {"idle", "R4, R11, R12, R13", "An automatic event that does not rotate changes nothing."},
	guardStart:    {"guard-start", "R16", "Every rotation and every new interval starts the guard, and nothing else moves its start. With guard_from scheduling, every new scheduling does, and nothing else."},
	served:        {"served", "R19", "The newest slot served is the largest of itself, the slot of an automatic rotation and, if that was due, the last slot that has come."},
	scenario:      {"scenario", "R21", "Within the guard, the scenario is 1 for auto then forced, 2 for forced then auto, 3 for forced then forced; otherwise it is 0."},
	answer:        {"answer", "duty 3", "The next slot in the answer is the stored one."},
	reference:     {"reference", "all", "Rule, reason, scenario, missed, refusal and state equal those of the independent reference model (sim/model)."},
	replays:       {"replays", "duty 1", "Replaying a card's events from the start, without the host, gives the same decisions."},
	alive:         {"alive", "R17, duty 4", "After the faults have ended, every card with rotation on rotates once in each interval."},
}

// String returns the invariant's name.
func (i Invariant) String() string { return descriptions[i].name }

// Rule returns the rule that the invariant comes from.
func (i Invariant) Rule() string { return descriptions[i].rule }

// Sentence returns what must hold.
func (i Invariant) Sentence() string { return descriptions[i].sentence }

// Invariants returns all invariants, the most specific first.
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

// first returns the most specific one, 0 when the set is empty.
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
