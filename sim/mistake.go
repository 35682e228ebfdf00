package sim

import (
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// Mistake is the usual mistake that a difference looks like: a first guess. The zero
// value is none.
type Mistake uint8

const (
	// MistakeOther is none of the others.
	MistakeOther Mistake = iota + 1
	// MistakeInclusiveGuard: the guard held an event that came when it had just ended.
	MistakeInclusiveGuard
	// MistakeGuard: the guard is shorter or longer than the rules', or none.
	MistakeGuard
	// MistakeDrift: the next slot was counted from when the previous one was served.
	MistakeDrift
	// MistakeServedTwice: a slot that had been served was served again.
	MistakeServedTwice
	// MistakeServedEarly: a slot was served before it had come.
	MistakeServedEarly
	// MistakeLostSlot: a slot was skipped, or the number of skipped ones is wrong.
	MistakeLostSlot
	// MistakeClockStep: time stepped back, or the next slot is too far ahead.
	MistakeClockStep
	// MistakeLostPrecision: the next slot was rounded by a column or a message.
	MistakeLostPrecision
)

var mistakeNames = [...]string{
	"none", "other", "inclusive guard", "another guard", "drift", "served twice", "served early", "lost slot", "clock step", "precision lost in a column",
}

// String returns the mistake in words; an unknown one prints as Mistake(n).
func (m Mistake) String() string {
	if int(m) < len(mistakeNames) {
		return mistakeNames[m]
	}
	return fmt.Sprintf("Mistake(%d)", uint8(m))
}

// MarshalText returns what String does. It never fails.
func (m Mistake) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// mistakeOf returns what the difference between the outcome and the record e looks
// like. The card's previous entry was at the instant previous.
func mistakeOf(rules rotation.Rules, previous time.Time, o outcome, e timeline.Entry) Mistake {
	x, at := e.Expect, e.Event.At()
	says := func(f timeline.Field) bool { return x.Fields&f != 0 }
	next, _ := o.before.Next()
	right, on := o.after.Next()
	interval := o.after.Interval()
	slot, named := e.Event.Slot()
	if !named {
		slot = next
	}
	wrongNext := says(timeline.FieldNext) && on && !x.Next.IsZero() && !x.Next.Equal(right)
	off := x.Next.Sub(right)

	switch rule := o.decision.Rule; {
	case says(timeline.FieldRotate) && x.Rotate && rule == rotation.R12:
		return MistakeServedTwice
	case says(timeline.FieldRotate) && x.Rotate && rule == rotation.R11,
		rule == rotation.R7 && wrongNext && x.Next.Equal(next.Add(interval)):
		return MistakeServedEarly
	case says(timeline.FieldRotate) && x.Rotate && rule == rotation.R13 && slot.After(next) && slot.Sub(next)%interval == 0:
		return MistakeLostSlot
	case wrongGuard(o, e):
		if start, _, ok := o.before.Guard(); ok && at.Sub(start).Abs() == rules.Guard() && o.decision.Reschedule() {
			return MistakeInclusiveGuard
		}
		return MistakeGuard
	case wrongNext && e.Event.Kind() == rotation.KindAuto && at.After(slot) && off == at.Sub(slot)%interval:
		return MistakeDrift
	case wrongNext && off.Abs() < time.Second:
		return MistakeLostPrecision
	case !previous.IsZero() && at.Before(previous), wrongNext && x.Next.After(at.Add(interval)) && off%interval != 0:
		return MistakeClockStep
	case wrongNext && off%interval == 0, says(timeline.FieldMissed) && x.Missed != o.decision.Missed:
		return MistakeLostSlot
	}
	return MistakeOther
}

// wrongGuard reports whether the record says that the guard held and the rules say
// that it did not, or the other way round.
func wrongGuard(o outcome, e timeline.Entry) bool {
	x, d := e.Expect, o.decision
	if !d.Rotate() || d.Reason() == rotation.ReasonRotationOff {
		return false
	}
	held := d.Reason() == rotation.ReasonGuard
	next, _ := o.before.Next()
	switch {
	case x.Fields&timeline.FieldReason != 0:
		return (x.Reason == rotation.ReasonGuard) != held
	case x.Fields&timeline.FieldReschedule != 0:
		return x.Reschedule == held
	case x.Fields&timeline.FieldNext == 0 || e.Event.Kind() != rotation.KindForced:
		return false
	case held:
		return x.Next.Equal(e.Event.At().Add(o.before.Interval()))
	default:
		return x.Next.Equal(next)
	}
}
