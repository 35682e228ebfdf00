package rotation

import "fmt"

// Decision is what an event leads to. Decisions are comparable and hold no
// secret. The next slot is not among them: it is [State.Next] of the state
// that came with the decision.
type Decision struct {
	Rule     Rule  // the rule that decided; the rest follows from it
	Scenario int   // 1, 2 or 3 when the guard held the schedule and R21 names the pair, else 0
	Missed   int64 // slots skipped by a late automatic rotation (R17)
}

// Rotate reports whether the caller must draw a new CVV now.
func (d Decision) Rotate() bool { return d.Rule.Rotates() }

// Reschedule reports whether a new scheduling took place.
func (d Decision) Reschedule() bool { return d.Rule.Reschedules() }

// Reason returns why, in one word.
func (d Decision) Reason() Reason { return d.Rule.Reason() }

// String returns the rule, the reason and the numbers that are not 0, such as
// "R2 guard, scenario 1". [Rules.Explain] gives a whole sentence.
func (d Decision) String() string {
	s := fmt.Sprintf("%v %v", d.Rule, d.Reason())
	if d.Scenario != 0 {
		s += fmt.Sprintf(", scenario %d", d.Scenario)
	}
	if d.Missed != 0 {
		s += fmt.Sprintf(", missed %d", d.Missed)
	}
	return s
}

// Rule is the row of the rules' table (docs/rules.md) that decides an event.
// The zero value is no rule.
type Rule uint8

const (
	R1  Rule = iota + 1 // forced, rotation off
	R2                  // forced, held
	R3                  // forced, not held
	R4                  // automatic, rotation off
	R5                  // automatic, not held, due
	R6                  // automatic, held
	R7                  // automatic without a slot, not held, not due
	R8                  // a new interval
	R9                  // the interval in force, set again
	R10                 // rotation turned off
	R11                 // automatic, its slot ahead
	R12                 // automatic, its slot served before
	R13                 // automatic, its slot no longer in the schedule, not held
	R14                 // automatic, its slot no longer in the schedule, held: as R6
)

// rows is the table's right half.
var rows = [256]struct {
	rotates, reschedules bool
	reason               Reason
}{
	R1:  {true, false, ReasonRotationOff},
	R2:  {true, false, ReasonGuard},
	R3:  {true, true, ReasonScheduled},
	R4:  {false, false, ReasonRotationOff},
	R5:  {true, true, ReasonScheduled},
	R6:  {true, false, ReasonGuard},
	R7:  {true, true, ReasonScheduled},
	R8:  {false, true, ReasonIntervalSet},
	R9:  {false, false, ReasonUnchanged},
	R10: {false, false, ReasonRotationOff},
	R11: {false, false, ReasonNotDue},
	R12: {false, false, ReasonDuplicate},
	R13: {false, false, ReasonSuperseded},
	R14: {true, false, ReasonGuard},
}

var ruleNames = []string{
	R1: "R1", R2: "R2", R3: "R3", R4: "R4", R5: "R5", R6: "R6", R7: "R7",
	R8: "R8", R9: "R9", R10: "R10", R11: "R11", R12: "R12", R13: "R13", R14: "R14",
}

// String returns the rule as docs/rules.md numbers it, such as "R5". An
// unknown rule prints as Rule(n).
func (r Rule) String() string { return enumString("Rule", ruleNames, r) }

// GoString returns String in the name of the package, for %#v.
func (r Rule) GoString() string { return "rotation." + r.String() }

// MarshalText returns what String does. It returns an error that wraps
// [ErrRule] if the rule is unknown.
func (r Rule) MarshalText() ([]byte, error) { return enumMarshal(ruleNames, r, ErrRule) }

// UnmarshalText accepts what String returns. It returns an error that wraps
// [ErrRule], and leaves r as it was, if text is anything else.
func (r *Rule) UnmarshalText(text []byte) error { return enumUnmarshal(ruleNames, r, text, ErrRule) }

// Rotates reports whether a decision by this rule rotates the CVV; false for an
// unknown rule.
func (r Rule) Rotates() bool { return rows[r].rotates }

// Reschedules reports whether a decision by this rule is a new scheduling;
// false for an unknown rule.
func (r Rule) Reschedules() bool { return rows[r].reschedules }

// Reason returns the rule's reason; 0 for an unknown rule.
func (r Rule) Reason() Reason { return rows[r].reason }

// Reason is why a decision came out as it did, in one word. The zero value is
// no reason.
type Reason uint8

const (
	// ReasonScheduled: rotated, and a new scheduling took place (R3, R5, R7).
	ReasonScheduled Reason = iota + 1
	// ReasonGuard: rotated; the guard held the scheduling (R2, R6, R14).
	ReasonGuard
	// ReasonRotationOff: automatic rotation is off (R1, R4), or now is (R10).
	ReasonRotationOff
	// ReasonIntervalSet: a new interval, and with it a new schedule (R8).
	ReasonIntervalSet
	// ReasonUnchanged: the interval was in force already (R9).
	ReasonUnchanged
	// ReasonNotDue: the named slot is still ahead; nothing happened (R11).
	ReasonNotDue
	// ReasonDuplicate: the named slot was served before; nothing happened (R12).
	ReasonDuplicate
	// ReasonSuperseded: the schedule has left the named slot; nothing happened (R13).
	ReasonSuperseded
)

var reasonNames = []string{
	ReasonScheduled: "scheduled", ReasonGuard: "guard", ReasonRotationOff: "rotation_off",
	ReasonIntervalSet: "interval_set", ReasonUnchanged: "unchanged",
	ReasonNotDue: "not_due", ReasonDuplicate: "duplicate", ReasonSuperseded: "superseded",
}

// String returns the reason as docs/rules.md spells it. An unknown reason
// prints as Reason(n).
func (r Reason) String() string { return enumString("Reason", reasonNames, r) }

// MarshalText returns what String does; an unknown reason is an error that
// wraps [ErrReason].
func (r Reason) MarshalText() ([]byte, error) { return enumMarshal(reasonNames, r, ErrReason) }

// UnmarshalText accepts what String returns; anything else is an error that
// wraps [ErrReason] and leaves r as it was.
func (r *Reason) UnmarshalText(text []byte) error {
	return enumUnmarshal(reasonNames, r, text, ErrReason)
}
