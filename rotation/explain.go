package rotation

import (
	"fmt"
	"strings"
	"time"
)

// Explain returns one English sentence for people and logs: what e does to a card
// in state s, and why.
//
//	forced 1m59s after the automatic rotation at 15:00:00: CVV rotated, schedule
//	kept, next 2026-11-24T15:00:00Z (scenario 1)
//
// It decides e again, which is cheap and gives the same decision, since Decide is
// pure. It returns the error's text if Decide refuses e. The wording may change
// between releases; programs must not parse it.
func (r Rules) Explain(s State, e Event) string {
	after, d, err := r.Decide(s, e)
	if err != nil {
		return err.Error()
	}
	x := Record{Event: e, Decision: d}
	x.Next, _ = after.Next()
	x.GuardStart, x.GuardBy, _ = s.Guard()
	text := r.ExplainRecord(x)
	if gap := lostPrecision(s, e); gap != 0 {
		text += fmt.Sprintf("; the slot differs from the next one by %s: a column or message rounded it, use State.Due", FormatDuration(gap.Abs()))
	}
	return text
}

// Record is what a log keeps of an event and of its decision, without the card's state.
type Record struct {
	Event    Event
	Decision Decision
	Next     time.Time // the next slot after the event; zero: automatic rotation is off

	GuardStart time.Time // of the guard before the event; zero: not known, or no guard had started
	GuardBy    Kind      // what started that guard; 0: not known, or none had started

	Repaired bool // the host moved a next slot that was more than one interval ahead (R20)
}

// ExplainRecord returns the sentence of [Rules.Explain] for a decision that was made
// earlier and recorded. It decides nothing. Where the guard held the schedule and its
// start is not known, the sentence names the guard instead of the distance.
func (r Rules) ExplainRecord(x Record) string {
	var b strings.Builder
	b.WriteString(r.subject(x))
	b.WriteString(": ")
	b.WriteString(outcome(x.Decision))
	switch x.Decision.Missed {
	case 0:
	case 1:
		b.WriteString(", 1 slot missed")
	default:
		fmt.Fprintf(&b, ", %d slots missed", x.Decision.Missed)
	}
	if !x.Next.IsZero() {
		b.WriteString(", next " + x.Next.Format(time.RFC3339Nano))
	}
	if x.Decision.Scenario != 0 {
		fmt.Fprintf(&b, " (scenario %d)", x.Decision.Scenario)
	}
	return b.String()
}

// subject returns the event and, where it matters, its distance from its slot and
// from the guard's start.
func (r Rules) subject(x Record) string {
	e := x.Event
	var words string
	switch e.form {
	case formForced:
		return "forced" + r.sinceGuard(x)
	case formSetInterval, formSetIntervalFirst:
		if x.Repaired {
			return "next rotation repaired, it was more than one interval ahead (clock step)"
		}
		return "interval set to " + FormatDuration(e.Interval())
	case formDisable:
		return "automatic rotation turned off"
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
	if x.Decision.Reason() != ReasonGuard {
		return words
	}
	if e.form == formAutoSlot {
		words += ","
	}
	return words + r.sinceGuard(x)
}

// sinceGuard returns the event's distance from the guard's start, and what started
// the guard.
func (r Rules) sinceGuard(x Record) string {
	by := "the previous request"
	if r.GuardFrom() == GuardFromScheduling {
		by = "the last scheduling"
	}
	switch x.GuardBy {
	case KindForced:
		by = "the forced rotation"
	case KindAuto:
		by = "the automatic rotation"
	case KindSetInterval:
		by = "the new interval"
	}
	if x.GuardStart.IsZero() {
		if x.Decision.Reason() != ReasonGuard {
			return ""
		}
		return " within " + FormatDuration(r.Guard()) + " of " + by
	}
	start := toNanos(x.GuardStart)
	at := clockTime(start, x.Event.at)
	switch gap := time.Duration(x.Event.at - start); {
	case gap == 0:
		return " at the same instant as " + by
	case gap < 0:
		return fmt.Sprintf(" %s before %s at %s (the clock stepped back)", FormatDuration(-gap), by, at)
	default:
		return fmt.Sprintf(" %s after %s at %s", FormatDuration(gap), by, at)
	}
}

// outcome returns what was done.
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
		return "new schedule"
	case R9:
		return "nothing done, the interval is unchanged"
	case R10:
		return "no next rotation"
	case R11:
		return "nothing done, not due"
	case R12:
		return "nothing done, delivered twice"
	default: // R13
		return "nothing done, the schedule has changed"
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

// stamp returns the instant as RFC 3339, in UTC, without trailing zeros.
func stamp(n int64) string { return fromNanos(n).Format(time.RFC3339Nano) }

// clockTime returns the time of day, with the date if it is not that of ref.
func clockTime(n, ref int64) string {
	t, r := fromNanos(n), fromNanos(ref)
	if t.Truncate(24 * time.Hour).Equal(r.Truncate(24 * time.Hour)) {
		return t.Format("15:04:05.999999999")
	}
	return stamp(n)
}
