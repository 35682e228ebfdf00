package engine

import (
	"context"
	"fmt"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
)

// MaxHistory is the maximum number of events that History returns.
const MaxHistory = 500

// lookback is how many older events History reads to explain the oldest one that it
// returns. Under rotation.GuardFromRequest two are enough.
const lookback = 4

// History is a part of a card's events, newest first.
type History struct {
	Card    string
	Account string
	Last    int64 // number of the card's newest event; 0: nothing has happened to it
	Events  []HistoryEvent
	Missing []Range // numbers between those of the events, and of older ones if Older is 0, that are not kept; newest first
	Older   int64   // pass it to History as before, for older events; 0: none is kept
}

// HistoryEvent is an event with its sentence and the state of its delivery.
type HistoryEvent struct {
	event.Explained
	Position int64        // in the outbox
	Status   store.Status // of the delivery
	Attempts int          // that failed
	Failure  string       // the last of them
}

// Range is a range of event numbers, both included.
type Range struct{ First, Last int64 }

// History returns up to limit events of the card with numbers less than before, newest
// first. A before of 0 begins with the newest event, and a limit is 1 to MaxHistory.
//
// The store deletes events after Options.KeepFor. A card's events have the numbers from
// 1 to Last, so Missing names each one that is not kept. Pages are stable: events that
// are written meanwhile have higher numbers.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) History(ctx context.Context, ref Ref, before int64, limit int) (History, error) {
	switch {
	case before < 0:
		return History{}, &FieldError{"before", "must be the number of an event, from 1"}
	case limit < 1 || limit > MaxHistory:
		return History{}, &FieldError{"limit", fmt.Sprintf("must be 1 to %d", MaxHistory)}
	}
	c, err := e.read(ctx, ref)
	if err != nil {
		return History{}, err
	}
	h := History{Card: c.ID, Account: c.Account, Last: c.Events}
	if before == 0 || before > c.Events {
		before = c.Events + 1
	}
	queued, err := e.store.ListCardEvents(ctx, c.ID, before, limit+lookback)
	if err != nil {
		return History{}, err
	}
	changed := make([]event.Changed, len(queued))
	for i, q := range queued {
		if changed[i], err = event.Parse(q.Payload); err != nil {
			return History{}, fmt.Errorf("event %d of card %s: %w", q.Number, c.ID, err)
		}
	}
	for i, x := range event.Explain(changed) {
		if i == limit {
			h.Older = h.Events[limit-1].Number
			break
		}
		q := queued[i]
		h.Events = append(h.Events, HistoryEvent{x, q.Position, q.Status, q.Attempts, q.Failure})
	}
	h.Missing = missing(h.Events, before, h.Older)
	return h, nil
}

// missing returns the numbers below before that no event has, down to older or to 1.
func missing(events []HistoryEvent, before, older int64) (ranges []Range) {
	add := func(first int64) {
		if first < before {
			ranges = append(ranges, Range{first, before - 1})
		}
	}
	for _, e := range events {
		add(e.Number + 1)
		before = e.Number
	}
	if older == 0 {
		add(1)
	}
	return ranges
}
