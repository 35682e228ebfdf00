package engine

import (
	"context"
	"hash/fnv"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

// IntervalRequest turns automatic rotation on, or changes its interval.
type IntervalRequest struct {
	Interval time.Duration // longer than the guard, at most rotation.MaxInterval
	First    time.Time     // the first slot, within one interval; zero: one interval from now
	// Spread picks the first slot by a hash of the card's id, so that cards
	// that are enrolled together do not rotate together. A card's phase is
	// then the same whenever it is enrolled. Not together with First.
	Spread bool
}

// MaxSlots is how many slots Show previews at most.
const MaxSlots = 1000

// Schedule is a card's schedule, and what a forced call would do to it.
type Schedule struct {
	Card        string
	Account     string
	At          time.Time     // when this was so
	Interval    time.Duration // 0: automatic rotation is off
	Next        time.Time     // zero: none
	Slots       []time.Time   // the next slots, Next first, if nothing else happens
	Version     int64         // of the current CVV
	ServiceCode string        // of the current CVV
	Rotated     time.Time     // when the current CVV was made
	Locked      time.Time     // when too many tries locked the card; zero: it is not locked
	Tries       int           // wrong CVVs in a row
	Failures    int           // of automatic rotation, in a row
	Failure     string        // the last of them
	Forced      Preview       // what a forced call at At would do
}

// Preview is what a forced call would do to the schedule. It rotates in any case.
type Preview struct {
	Rescheduled bool
	Reason      rotation.Reason
	Scenario    int
	Next        time.Time // zero: none
}

// SetInterval sets the card's interval (R8, R9).
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid, or is a
// *rotation.EventError that says what is wrong with interval or first.
func (e *Engine) SetInterval(ctx context.Context, ref Ref, req IntervalRequest) (Schedule, error) {
	return e.reschedule(ctx, ref, func(now time.Time) (rotation.Event, error) {
		return req.event(ref.Card, now)
	})
}

// Disable turns automatic rotation off (R10), which is no error when it is off.
//
// The error matches store.ErrNotFound or ErrForbidden.
func (e *Engine) Disable(ctx context.Context, ref Ref) (Schedule, error) {
	return e.reschedule(ctx, ref, func(now time.Time) (rotation.Event, error) {
		return rotation.Disable(now), nil
	})
}

func (e *Engine) reschedule(ctx context.Context, ref Ref, event func(now time.Time) (rotation.Event, error)) (Schedule, error) {
	var result Schedule
	var seen Observation
	var card store.Card
	var wrote bool
	err := e.update(ctx, ref, "", func(tx *store.Change) error {
		ev, err := event(tx.Now)
		if err != nil {
			return err
		}
		decision, err := e.apply(ctx, tx, change{event: ev})
		if err != nil {
			return err
		}
		seen = Observation{Kind: ev.Kind(), Decision: decision}
		card, wrote = tx.Card, tx.Event != nil
		result, err = e.schedule(&tx.Card, tx.Now, 1)
		return err
	})
	if err != nil {
		return Schedule{}, err
	}
	e.done(seen, &card, wrote)
	return result, nil
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

// read returns a card that is there for ref.
func (e *Engine) read(ctx context.Context, ref Ref) (store.Card, error) {
	if err := checkRef(ref); err != nil {
		return store.Card{}, err
	}
	c, err := e.store.Card(ctx, ref.Card)
	if err != nil {
		return store.Card{}, err
	}
	return c, owned(&c, ref)
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
		Version: c.Version, ServiceCode: c.ServiceCode.String(), Rotated: c.Rotated,
		Locked: c.Locked, Tries: c.Tries, Failures: c.Failures, Failure: c.Failure,
		Forced: Preview{Rescheduled: forced.Reschedule(), Reason: forced.Reason(), Scenario: forced.Scenario},
	}
	s.Forced.Next, _ = after.Next()
	for slot := range state.Slots(slots) {
		s.Slots = append(s.Slots, slot)
	}
	return s, nil
}

func (r IntervalRequest) event(card string, now time.Time) (rotation.Event, error) {
	switch {
	case r.Spread && !r.First.IsZero():
		return rotation.Event{}, &FieldError{"first", "must not be given together with spread"}
	case r.Spread && r.Interval > 0:
		return rotation.SetIntervalFirst(now, r.Interval, spread(card, r.Interval, now)), nil
	case !r.First.IsZero():
		return rotation.SetIntervalFirst(now, r.Interval, r.First), nil
	}
	return rotation.SetInterval(now, r.Interval), nil
}

// spread returns the first instant after now on the phase that a hash of the
// card's id gives.
func spread(card string, interval time.Duration, now time.Time) time.Time {
	h := fnv.New64a()
	h.Write([]byte(card))
	phase := int64(mix(h.Sum64()) % uint64(interval))
	into := now.UnixNano() % int64(interval) // not negative: the rules refuse what is before 1970
	wait := phase - into
	if wait <= 0 {
		wait += int64(interval)
	}
	return now.Add(time.Duration(wait))
}

// mix spreads the differences of similar hashes over all bits (SplitMix64's
// finalizer).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
