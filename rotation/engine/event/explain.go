package event

import (
	"time"

	"cvvrotation/rotation"
)

// Explained is an event with what it says to people.
type Explained struct {
	Changed
	Rule     rotation.Rule // that decided; 0 if that depends on an earlier event that is not there
	Sentence string        // what happened and why; its wording may change between releases
}

// Explain explains events of one card, newest first. An event is explained with the
// help of the older ones: what started the guard that held it, and when. Where these
// are missing, the sentence says less, and never something that is not recorded.
func Explain(events []Changed) []Explained {
	explained := make([]Explained, len(events))
	for i, c := range events {
		explained[i] = explain(c, uninterrupted(events[i:]))
	}
	return explained
}

// uninterrupted returns the events before the first one of the list, up to a gap in
// the numbers.
func uninterrupted(events []Changed) []Changed {
	for i := 1; i < len(events); i++ {
		if events[i].Number != events[i-1].Number-1 {
			return events[1:i]
		}
	}
	return events[1:]
}

func explain(c Changed, before []Changed) Explained {
	rule, certain := c.rule(before)
	x := rotation.Record{
		Event: c.Event(), Next: c.Next, Repaired: c.Repaired,
		Decision: rotation.Decision{Rule: rule, Scenario: c.Scenario, Missed: c.Missed},
	}
	x.GuardStart, x.GuardBy = c.guard(before)
	e := Explained{Changed: c, Sentence: c.Rules.ExplainRecord(x)}
	if certain {
		e.Rule = rule
	}
	if c.Compromised {
		e.Sentence += "; compromised: the previous CVV stopped being accepted immediately"
	}
	return e
}

// Event returns the event of the rules that c reports. That of a repair sets the interval
// that was in force, with the first slot given.
func (c Changed) Event() rotation.Event {
	switch {
	case c.Operation == OperationChangeInterval:
		return rotation.SetIntervalFirst(c.At, c.Interval, c.Next)
	case c.Operation == OperationDeleteInterval:
		return rotation.Disable(c.At)
	case !c.Automatic:
		return rotation.Forced(c.At)
	case c.Slot.IsZero():
		return rotation.AutoUnslotted(c.At)
	}
	return rotation.AutoSlot(c.At, c.Slot)
}

// rule returns the rule that decided, and whether that is certain. If it is not, the
// other rule that is possible has the same outcome and words.
func (c Changed) rule(before []Changed) (rule rotation.Rule, certain bool) {
	switch c.Operation {
	case OperationChangeInterval:
		return rotation.R8, true
	case OperationDeleteInterval:
		return rotation.R10, true
	}
	forced := map[rotation.Reason]rotation.Rule{
		rotation.ReasonRotationOff: rotation.R1, rotation.ReasonGuard: rotation.R2, rotation.ReasonScheduled: rotation.R3,
	}
	switch held := c.Reason == rotation.ReasonGuard; {
	case !c.Automatic:
		return forced[c.Reason], true
	case held && c.Slot.IsZero():
		return rotation.R6, true
	case held && len(before) == 0:
		return rotation.R6, false
	case held && !c.Slot.Equal(before[0].Next):
		return rotation.R14, true
	case held:
		return rotation.R6, true
	case !c.Slot.IsZero():
		return rotation.R5, true
	case len(before) == 0:
		return rotation.R5, false
	case before[0].Next.After(c.At):
		return rotation.R7, true
	}
	return rotation.R5, true
}

// guard returns when the guard before c started and what started it. The start is zero
// where the events do not say, and so is the kind where R21 does not say either.
func (c Changed) guard(before []Changed) (start time.Time, by rotation.Kind) {
	held := c.Reason == rotation.ReasonGuard
	for _, b := range before {
		rotates := b.Operation == OperationRotate
		if !b.Rescheduled && !(rotates && b.Rules.GuardFrom() == rotation.GuardFromRequest) {
			continue
		}
		if within := c.At.Sub(b.At).Abs() < c.Rules.Guard(); within != held && c.Reason != rotation.ReasonRotationOff {
			break // the rules were others, or the card was damaged
		}
		return b.At, b.Event().Kind()
	}
	if !held {
		return time.Time{}, 0
	}
	switch {
	case c.Scenario == 1:
		return time.Time{}, rotation.KindAuto
	case c.Scenario == 2, c.Scenario == 3:
		return time.Time{}, rotation.KindForced
	case !c.Automatic:
		return time.Time{}, rotation.KindSetInterval
	}
	return time.Time{}, 0
}
