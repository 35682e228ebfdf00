package check

import (
	"time"

	"cvvrotation/rotation"
)

// pollSlack is how long after its slot a poll may overlook a card. A column that
// rounds to seconds is late by up to half of one.
const pollSlack = int64(time.Second)

// apply lets the card decide e. It gives a poll the slot by which the rules judge it:
// the next one, or one still ahead if the pollers may overlook the card.
func apply(card Card, e *Event) (out Outcome, b broken) {
	if e.Pollers == 0 {
		return card.Apply(*e), 0
	}
	before := card.View()
	e.HasSlot, e.Slot = before.Interval != 0, before.Next
	var found []func() (Outcome, bool)
	for range e.Pollers {
		if act := card.(Poller).Poll(e.At); act != nil {
			found = append(found, act)
		}
	}
	acted := false
	for _, act := range found {
		switch o, ok := act(); {
		case !ok:
		case acted:
			b.unless(!o.Rotated, neverTwice)
		default:
			out, acted = o, true
		}
	}
	switch {
	case acted:
	case !e.HasSlot:
		out = Outcome{Rule: rotation.R4, Reason: rotation.ReasonRotationOff}
	default:
		if e.At-before.Next < pollSlack {
			e.Slot = max(before.Next, e.At+1)
		}
		out = Outcome{Rule: rotation.R11, Reason: rotation.ReasonNotDue, Next: card.View().Next}
	}
	return out, b
}

// polls reports whether the cards of the system are Pollers.
func polls(s System) bool {
	_, ok := s.NewCard().(Poller)
	return ok
}
