package engine

import (
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
)

// operation returns the operation that an event reports for a decision, given the
// interval before it; "" if neither the CVV nor the schedule changed, which is not
// reported.
func operation(before time.Duration, after rotation.State, d rotation.Decision) event.Operation {
	switch {
	case d.Rotate():
		return event.OperationRotate
	case d.Reschedule():
		return event.OperationChangeInterval
	case before != 0 && after.Interval() == 0:
		return event.OperationDeleteInterval
	}
	return ""
}

// payload returns the event of the card, as the card now is, for the outbox.
func (e *Engine) payload(c *store.Card, now time.Time, op event.Operation, in input, d rotation.Decision) *store.Event {
	changed := event.Changed{
		Source: e.options.Source, Card: c.ID, Account: c.Account,
		Number: c.Events, Version: c.Version, At: now,
		Operation:   op,
		Automatic:   in.event.Kind() == rotation.KindAuto,
		Rescheduled: d.Reschedule(),
		Reason:      d.Reason(),
		Scenario:    d.Scenario,
		Missed:      d.Missed,
		Compromised: in.compromised,
		Repaired:    in.repaired,
		Rules:       e.rules,
		Next:        c.Next,
		Interval:    c.Interval,
	}
	if slot, named := in.event.Slot(); named {
		changed.Slot = slot
	}
	return &store.Event{Card: c.ID, Number: c.Events, At: now, Payload: changed.AppendJSON(make([]byte, 0, 640))}
}
