package engine

import (
	"context"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// MaxSlots is the maximum number of slots that Show previews.
const MaxSlots = 1000

// Schedule is a card's schedule, and what a forced call would do to it.
type Schedule struct {
	Card        string
	Account     string
	At          time.Time        // when this was so
	Interval    time.Duration    // 0: automatic rotation is off
	Next        time.Time        // zero: none
	Slots       []time.Time      // the next slots, Next first, if nothing else happens
	Version     int64            // of the current CVV
	ServiceCode servicecode.Code // of the current CVV
	Rotated     time.Time        // when the current CVV was made
	Locked      time.Time        // when too many failed attempts locked the card; zero: it is not locked
	Tries       int              // failed attempts in a row
	DailyTries  int              // failed attempts within 24 hours
	// ThrottledUntil is when CVVs will be compared again after too many failed attempts
	// within 24 hours; zero: they are.
	ThrottledUntil time.Time
	Failures       int     // of automatic rotation, in a row
	Failure        string  // the last of them
	Forced         Preview // what a forced call at At would do
	Effect         Effect  // of the operation; zero for Show, which has none
}

// Preview is what a forced call would do to the schedule. It rotates in any case.
type Preview struct {
	Rescheduled bool
	Reason      rotation.Reason
	Scenario    int
	Next        time.Time // zero: none
}

// Show returns the card's schedule with its next slots, up to MaxSlots of them.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Show(ctx context.Context, ref Ref, slots int) (Schedule, error) {
	if slots < 0 || slots > MaxSlots {
		return Schedule{}, &FieldError{"slots", "must be 0 to 1000"}
	}
	c, err := e.read(ctx, ref)
	if err != nil {
		return Schedule{}, err
	}
	now, err := e.store.Now(ctx)
	if err != nil {
		return Schedule{}, err
	}
	return e.schedule(&c, now, slots)
}

func (e *Engine) schedule(c *store.Card, now time.Time, slots int) (Schedule, error) {
	state, err := decodeState(c)
	if err != nil {
		return Schedule{}, err
	}
	after, forced, err := e.rules.Decide(state, rotation.Forced(now))
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{
		Card: c.ID, Account: c.Account, At: now,
		Interval: c.Interval, Next: c.Next,
		Version: c.Version, ServiceCode: c.ServiceCode, Rotated: c.Rotated,
		Locked: c.Locked, Tries: c.Tries, Failures: c.Failures, Failure: c.Failure,
		Forced: Preview{Rescheduled: forced.Reschedule(), Reason: forced.Reason(), Scenario: forced.Scenario},
	}
	tries, _ := dailyTries(c, now)
	s.DailyTries, s.ThrottledUntil = len(tries), throttledUntil(tries, e.options.MaxDailyTries)
	s.Forced.Next, _ = after.Next()
	for slot := range state.Slots(slots) {
		s.Slots = append(s.Slots, slot)
	}
	return s, nil
}
