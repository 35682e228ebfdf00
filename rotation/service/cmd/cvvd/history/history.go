// Package history reads what operators see of one card: its schedule, its lock, and its
// events with the sentences that explain them. The command and the status page share it.
// It holds no CVV, no PAN and no service code.
package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/panmask"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
)

// slots is how many next rotations are listed.
const slots = 5

// Engine is what reading needs of a rotation engine. *engine.Engine implements it.
type Engine interface {
	Show(ctx context.Context, ref engine.Ref, slots int) (engine.Schedule, error)
	History(ctx context.Context, ref engine.Ref, before int64, limit int) (engine.History, error)
}

// Card is a card with a part of its history, newest event first.
type Card struct {
	engine.Schedule
	engine.History
}

// Read returns the card with up to limit events whose numbers are less than before; 0
// begins with the newest. The error is the engine's.
func Read(ctx context.Context, e Engine, card string, before int64, limit int) (Card, error) {
	ref := engine.AnyAccount(card)
	var c Card
	for first := true; first || c.Older > 0 && len(c.Events) < limit; first = false {
		page, err := e.History(ctx, ref, before, min(limit-len(c.Events), engine.MaxHistory))
		if err != nil {
			return Card{}, err
		}
		page.Events = append(c.Events, page.Events...)
		page.Missing = append(c.Missing, page.Missing...)
		if !first {
			page.Last = c.Last // of the first page, to which the ranges belong
		}
		c.History, before = page, page.Older
	}
	var err error
	c.Schedule, err = e.Show(ctx, ref, slots)
	return c, err
}

// Time formats an instant for people.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999999 UTC") }

// Facts returns what holds now: the account, the CVV's version, the next rotations, the
// lock, wrong CVVs and failures.
func (c Card) Facts() []draw.Fact {
	s := c.Schedule
	automatic := "off"
	if s.Interval > 0 {
		automatic = "every " + rotation.FormatDuration(s.Interval)
	}
	facts := []draw.Fact{
		{Name: "Account", Value: panmask.Mask(s.Account)},
		{Name: "CVV", Value: fmt.Sprintf("version %d, created %s", s.Version, Time(s.Rotated))},
		{Name: "Automatic", Value: automatic},
	}
	if len(s.Slots) > 0 {
		times := make([]string, len(s.Slots))
		for i, slot := range s.Slots {
			times[i] = Time(slot)
		}
		facts = append(facts, draw.Fact{Name: "Next", Value: strings.Join(times, "\n")})
	}
	lock := "not locked"
	if !s.Locked.IsZero() {
		lock = "locked since " + Time(s.Locked) + ": too many wrong CVVs were presented"
	}
	facts = append(facts, draw.Fact{Name: "Lock", Value: lock})
	if !s.ThrottledUntil.IsZero() {
		facts = append(facts, draw.Fact{Name: "Throttled", Value: "until " + Time(s.ThrottledUntil) + ": too many wrong CVVs within 24 hours"})
	}
	if s.Tries > 0 || s.DailyTries > 0 {
		facts = append(facts, draw.Fact{Name: "Wrong CVVs", Value: fmt.Sprintf("%d in a row, %d within 24 hours", s.Tries, s.DailyTries)})
	}
	if s.Failures > 0 {
		facts = append(facts, draw.Fact{Name: "Rotation failed", Value: fmt.Sprintf("%s in a row, the last time: %s", times(s.Failures), s.Failure)})
	}
	return facts
}

// Notes returns sentences about what is not in the list: that nothing has happened, or
// which events are no longer kept.
func (c Card) Notes() (notes []string) {
	if c.Last == 0 {
		return []string{"The CVV and its schedule have not changed since the card was registered."}
	}
	for _, r := range c.Missing {
		if r.First == r.Last {
			notes = append(notes, fmt.Sprintf("Event %d is no longer kept (engine.keep_events).", r.First))
		} else {
			notes = append(notes, fmt.Sprintf("Events %d to %d are no longer kept (engine.keep_events).", r.First, r.Last))
		}
	}
	return notes
}

// Section returns the events for a drawing. Where older events were decided under other
// rules than the newest, they are not drawn, and the intro says so.
func (c Card) Section() (draw.Section, error) {
	explained := make([]event.Explained, len(c.Events))
	for i, e := range c.Events {
		explained[i] = e.Explained
	}
	rules, steps, err := sim.HistorySteps(explained)
	s := draw.Section{Rules: rules, Steps: steps}
	if left := len(c.Events) - len(steps); left > 0 {
		s.Intro = []string{fmt.Sprintf("The picture leaves out %d older events, which were decided under other rules.", left)}
	}
	return s, err
}

// deliveryTime is how long an event waits before it counts as not delivered.
const deliveryTime = 5 * time.Second

// Delivery returns a note on an event that subscribers have not received, "" otherwise
// and for one of the last 5 s. Without a sink no event is delivered.
func (c Card) Delivery(e engine.HistoryEvent) string {
	switch {
	case e.Status == store.StatusParked:
		return fmt.Sprintf("dead-lettered (parked) at position %d: %s", e.Position, e.Failure)
	case e.Status == store.StatusWaiting && e.Attempts > 0:
		return fmt.Sprintf("not delivered yet, failed %s: %s", times(e.Attempts), e.Failure)
	case e.Status == store.StatusWaiting && c.At.Sub(e.At) > deliveryTime:
		return "not delivered yet"
	}
	return ""
}

func times(n int) string {
	if n == 1 {
		return "1 time"
	}
	return fmt.Sprintf("%d times", n)
}
