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
	Interval time.Duration // longer than the guard, up to rotation.MaxInterval
	First    time.Time     // the first slot, within one interval; zero: one interval from now
	// Spread derives the first slot from a hash of the card's id, so that cards
	// registered together do not rotate together. A card's phase does not
	// depend on when it is registered. Not together with First.
	Spread bool
}

// SetInterval sets the card's interval (R8, R9). A request equal to the last one that
// was accepted leaves the schedule as it is, whatever was forced since, even if its
// First has passed; it only ends the back-off of a card whose automatic rotation failed.
// Disable forgets that request.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid, or is a
// *rotation.EventError that says what is wrong with interval or first.
func (e *Engine) SetInterval(ctx context.Context, ref Ref, req IntervalRequest) (Schedule, error) {
	return e.reschedule(ctx, ref, func(change *store.Change) (outcome, error) {
		return e.setInterval(ctx, change, req, false)
	})
}

// Disable turns automatic rotation off (R10). It is no error if it is off already.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Disable(ctx context.Context, ref Ref) (Schedule, error) {
	return e.reschedule(ctx, ref, func(change *store.Change) (outcome, error) {
		out, err := e.apply(ctx, change, input{event: rotation.Disable(change.Now)})
		if err == nil {
			accept(change, IntervalRequest{})
		}
		return out, err
	})
}

func (e *Engine) reschedule(ctx context.Context, ref Ref, fn func(*store.Change) (outcome, error)) (Schedule, error) {
	var result Schedule
	var out outcome
	effect, err := e.update(ctx, ref, "", func(change *store.Change) (err error) {
		if out, err = fn(change); err != nil {
			return err
		}
		result, err = e.schedule(&change.Card, change.Now, 1)
		return err
	})
	if err != nil {
		return Schedule{}, err
	}
	result.Effect = effect
	e.committed(out)
	return result, nil
}

// setInterval applies a request to set the interval. With keep it changes nothing, and
// returns ErrScheduleKept if the request would change the schedule.
func (e *Engine) setInterval(ctx context.Context, change *store.Change, req IntervalRequest, keep bool) (outcome, error) {
	event, err := req.event(change.Card.ID, change.Now)
	if err != nil {
		return outcome{}, err
	}
	state, damaged := decodeState(&change.Card)
	if damaged == nil && req.accepted(&change.Card, state) {
		event = rotation.SetInterval(change.Now, req.Interval) // R9
	}
	if !keep {
		out, err := e.apply(ctx, change, input{event: event})
		if err == nil {
			accept(change, req)
		}
		return out, err
	}
	if damaged != nil {
		return outcome{}, damaged
	}
	_, decision, err := e.rules.Decide(state, event)
	if err == nil && decision.Rule != rotation.R9 {
		err = ErrScheduleKept
	}
	if err != nil {
		return outcome{}, err
	}
	return outcome{Observation: Observation{Kind: event.Kind(), Decision: decision}, due: change.Card.Due}, nil
}

// accepted reports whether r is the request that the card's schedule was last set by.
func (r IntervalRequest) accepted(c *store.Card, s rotation.State) bool {
	return s.Interval() != 0 && r.Interval == s.Interval() && r.First.Equal(c.First) && r.Spread == c.Spread
}

// accept keeps an accepted request in the card, whose state has its interval.
func accept(change *store.Change, r IntervalRequest) {
	c := &change.Card
	if r.First.Equal(c.First) && r.Spread == c.Spread {
		return
	}
	c.First, c.Spread, change.Write = r.First, r.Spread, true
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
	into := now.UnixNano() % int64(interval) // not negative: the rules refuse instants before 1970
	wait := phase - into
	if wait <= 0 {
		wait += int64(interval)
	}
	return now.Add(time.Duration(wait))
}

// mix spreads the differences of similar hashes over all bits (the finalizer of
// SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
