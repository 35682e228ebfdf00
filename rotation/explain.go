package rotation

import (
	"fmt"
	"strings"
	"time"
)

// Explain returns one English sentence that says what e does to a card in
// state s, and why, for people and logs:
//
//	forced 1m59s after the automatic rotation at 15:00:00: CVV rotated, schedule
//	kept, next 2026-11-24T15:00:00Z (scenario 1)
//
// It decides e again, which is cheap and, Decide being pure, gives the decision
// that the caller has. An event that Decide refuses is explained by its error.
// The wording may change between releases; no program should read it.
func (r Rules) Explain(s State, e Event) string {
	after, d, err := r.Decide(s, e)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	b.WriteString(subject(s, e, d))
	b.WriteString(": ")
	b.WriteString(outcome(d))
	switch d.Missed {
	case 0:
	case 1:
		b.WriteString(", 1 slot missed")
	default:
		fmt.Fprintf(&b, ", %d slots missed", d.Missed)
	}
	if after.interval() != 0 {
		b.WriteString(", next " + stamp(after.next))
	}
	if d.Scenario != 0 {
		fmt.Fprintf(&b, " (scenario %d)", d.Scenario)
	}
	if gap := lostPrecision(s, e); gap != 0 {
		fmt.Fprintf(&b, "; the slot is %s from the next one: a column or a message has rounded it, use State.Due", FormatDuration(gap.Abs()))
	}
	return b.String()
}

// subject names the event and, where it matters, its distance from its slot
// and from the guard's start.
func subject(s State, e Event, d Decision) string {
	var words string
	switch e.form {
	case formForced:
		return "forced" + sinceGuard(s, e)
	case formSetInterval, formSetIntervalFirst:
		return "interval set to " + FormatDuration(e.Interval())
	case formDisable:
		return "rotation turned off"
	case formAuto:
		words = "automatic"
	case formAutoSlot:
		switch late := time.Duration(e.at - e.extra); {
		case late == 0:
			words = "automatic at its slot"
		case late < 0:
			words = fmt.Sprintf("automatic %s before its slot %s", FormatDuration(-late), clockTime(e.extra, e.at))
		default:
			words = fmt.Sprintf("automatic %s after its slot %s", FormatDuration(late), clockTime(e.extra, e.at))
		}
	}
	if d.Reason() != ReasonGuard {
		return words
	}
	if e.form == formAutoSlot {
		words += ","
	}
	return words + sinceGuard(s, e)
}

// sinceGuard says how long after what the event came: the guard's measure.
func sinceGuard(s State, e Event) string {
	var by string
	switch s.guardKind() {
	case KindForced:
		by = "the forced rotation"
	case KindAuto:
		by = "the automatic rotation"
	case KindSetInterval:
		by = "the interval was set"
	default:
		return ""
	}
	at := clockTime(s.guardStart, e.at)
	switch gap := time.Duration(e.at - s.guardStart); {
	case gap == 0:
		return " at the instant of " + strings.Replace(by, "the interval was set", "the interval's setting", 1)
	case gap < 0:
		return fmt.Sprintf(" %s before %s at %s, the clock having stepped back", FormatDuration(-gap), by, at)
	default:
		return fmt.Sprintf(" %s after %s at %s", FormatDuration(gap), by, at)
	}
}

// outcome says what was done.
func outcome(d Decision) string {
	switch d.Rule {
	case R1:
		return "CVV rotated, automatic rotation is off"
	case R2, R6, R14:
		return "CVV rotated, schedule kept"
	case R3, R5, R7:
		return "CVV rotated, rescheduled"
	case R4:
		return "nothing done, automatic rotation is off"
	case R8:
		return "scheduled anew"
	case R9:
		return "nothing done, in force already"
	case R10:
		return "no automatic rotation from now on"
	case R11:
		return "nothing done, not due"
	case R12:
		return "nothing done, delivered twice"
	default: // R13
		return "nothing done, the schedule has moved on"
	}
}

// lostPrecision returns how far the slot that e names is from the next slot of
// s, if that is less than a second: such a slot was the next one before a column,
// a client or a message rounded it. It returns 0 otherwise, and where slots
// themselves are that close to each other.
func lostPrecision(s State, e Event) time.Duration {
	gap := time.Duration(e.extra - s.next)
	if e.form != formAutoSlot || s.interval() == 0 || gap.Abs() >= min(time.Second, s.Interval()/2) {
		return 0
	}
	return gap
}

// stamp is the instant as RFC 3339, UTC, without needless digits.
func stamp(n int64) string { return fromNanos(n).Format(time.RFC3339Nano) }

// clockTime is the time of day, with the date when it is not that of ref.
func clockTime(n, ref int64) string {
	t, r := fromNanos(n), fromNanos(ref)
	if t.Truncate(24 * time.Hour).Equal(r.Truncate(24 * time.Hour)) {
		return t.Format("15:04:05.999999999")
	}
	return stamp(n)
}
