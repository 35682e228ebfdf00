package rotation

import "fmt"

// Decision says what an event leads to. Decisions are comparable and hold no
// secret. The next slot is [State.Next] of the state that Decide returns with the
// decision.
type Decision struct {
	Rule     Rule  // the rule that decided; the rest follows from it
	Scenario int   // 1, 2 or 3 if the guard held the schedule and R21 names the pair of kinds, else 0
	Missed   int64 // slots skipped by a late automatic rotation (R17)
}

// Rotate reports whether the caller must draw a new CVV now.
func (d Decision) Rotate() bool { return d.Rule.Rotates() }

// Reschedule reports whether a new scheduling took place.
func (d Decision) Reschedule() bool { return d.Rule.Reschedules() }

// Reason returns the reason of the rule that decided.
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

// Rule numbers the row of the rules' table (docs/rules.md) that decides an event.
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
	R9                  // the interval in force is set again
	R10                 // rotation turned off
	R11                 // automatic, its slot ahead
	R12                 // automatic, its slot served already
	R13                 // automatic, its slot not the next one, not held
	R14                 // automatic, its slot not the next one, held: as R6
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

// Reason says in one word why a decision was made. The zero value is no reason.
type Reason uint8

const (
	// ReasonScheduled means: rotated, and a new scheduling took place (R3, R5, R7).
	ReasonScheduled Reason = iota + 1
	// ReasonGuard means: rotated, and the guard kept the schedule (R2, R6, R14).
	ReasonGuard
	// ReasonRotationOff means: automatic rotation was off (R1, R4) or is now (R10).
	ReasonRotationOff
	// ReasonIntervalSet means: a new interval and a new schedule (R8).
	ReasonIntervalSet
	// ReasonUnchanged means: the interval was already in force (R9).
	ReasonUnchanged
	// ReasonNotDue means: the slot is still ahead, so nothing happened (R11).
	ReasonNotDue
	// ReasonDuplicate means: the slot was already served, so nothing happened (R12).
	ReasonDuplicate
	// ReasonSuperseded means: the schedule has changed, so nothing happened (R13).
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
