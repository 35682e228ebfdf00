package main

import (
	"context"
	"math"
	"slices"
	"time"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine/store"
)

// logPage is the maximum number of events that the store returns at once.
const logPage = 500

// eventSource returns the next events in the order of positions; none if there are no
// more at the moment.
type eventSource func(context.Context) ([]store.Queued, error)

// allEvents returns all events after a position.
func allEvents(s store.Store, after int64) eventSource {
	return func(ctx context.Context) ([]store.Queued, error) {
		events, err := s.ListEvents(ctx, after, logPage)
		if len(events) > 0 {
			after = events[len(events)-1].Position
		}
		return events, err
	}
}

// cardEvents is allEvents for one card. The store lists these newest first, so the first
// call collects all that are kept.
func cardEvents(s store.Store, card string, after int64) eventSource {
	return func(ctx context.Context) ([]store.Queued, error) {
		var found []store.Queued
		limit := logPage
		if after > 0 {
			limit = 20 // most often there is nothing new
		}
		for before := int64(math.MaxInt64); ; {
			page, err := s.ListCardEvents(ctx, card, before, limit)
			if err != nil {
				return nil, err
			}
			for _, e := range page {
				if e.Position > after {
					found = append(found, e)
				}
				before = e.Number
			}
			if len(page) < limit || page[len(page)-1].Position <= after {
				break
			}
		}
		slices.Reverse(found)
		if len(found) > 0 {
			after = found[len(found)-1].Position
		}
		return found, nil
	}
}

// only returns the events of the source that keep accepts.
func (next eventSource) only(keep func(store.Queued) bool) eventSource {
	return func(ctx context.Context) ([]store.Queued, error) {
		for {
			events, err := next(ctx)
			if err != nil || len(events) == 0 {
				return nil, err
			}
			events = slices.DeleteFunc(events, func(e store.Queued) bool { return !keep(e) })
			if len(events) > 0 {
				return events, nil
			}
		}
	}
}

// last returns the n last events that the source has at the first call, and those that
// follow.
func (next eventSource) last(n int) eventSource {
	started := false
	return func(ctx context.Context) ([]store.Queued, error) {
		if started {
			return next(ctx)
		}
		started = true
		var kept []store.Queued
		for {
			events, err := next(ctx)
			if err != nil {
				return nil, err
			}
			if len(events) == 0 {
				return kept, nil
			}
			kept = append(kept, events...)
			kept = slices.Delete(kept, 0, max(0, len(kept)-n))
		}
	}
}

// statusNamed returns the status with the name.
func statusNamed(name string) (store.Status, error) {
	for s := store.StatusWaiting; s <= store.StatusParked; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, command.Refuse("use waiting, delivered or parked", "--status %s: unknown status", name)
}

// sinceTime returns the instant that a flag names: an instant, or a duration before now.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, command.Refuse("use a duration, such as 2h, or an instant, such as 2026-11-22T15:00:00Z", "--since %s: is neither a duration nor an instant", text)
	}
	return at, nil
}
