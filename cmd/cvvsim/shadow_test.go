package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"os"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// shadow runs the rules beside a system that still decides.
type shadow struct {
	rules  rotation.Rules
	states map[string]rotation.State // a column of their own, in real life
	log    *timeline.Writer
}

// observe is called where the running system has handled an event of a card, under the
// same lock, with what that system did. It changes nothing there.
func (s *shadow) observe(card string, e rotation.Event, rotated bool, next time.Time) {
	decided := e
	if e.Kind() == rotation.KindAuto && rotated {
		decided = rotation.AutoUnslotted(e.At()) // its slot may have drifted from the state's
	}
	state, _, err := s.rules.Decide(s.states[card], decided)
	if err != nil {
		log.Printf("shadow of card %s: %v", card, err)
		return
	}
	s.states[card] = state // store it: it is the card's state when you switch
	did := timeline.Expect{Fields: timeline.FieldRotate | timeline.FieldNext, Rotate: rotated, Next: next}
	if err := s.log.Write(timeline.Entry{Card: card, Event: e, Expect: did}); err != nil {
		log.Printf("shadow of card %s: %v", card, err)
	}
}

// legacy is a card of the running system, which makes the mistake that its id names.
type legacy struct {
	id            string
	interval      time.Duration
	next, guarded time.Time
	shadow        *shadow
}

// enrol turns rotation on, and begins the shadow with the card's next slot.
func (c *legacy) enrol(at, next time.Time) {
	c.next, c.guarded = next, at
	c.shadow.observe(c.id, rotation.SetIntervalFirst(at, c.interval, next), false, next)
}

func (c *legacy) force(at time.Time) {
	gap := at.Sub(c.guarded)
	held := gap < 2*time.Minute || c.id == "inclusive-guard" && gap == 2*time.Minute
	rotated := !held || c.id != "refuses-within-guard"
	if !held {
		c.next = at.Add(c.interval)
	}
	if rotated {
		c.guarded = at
	}
	c.shadow.observe(c.id, rotation.Forced(at), rotated, c.next)
}

// wake rotates the card if it is due.
func (c *legacy) wake(at time.Time) {
	for slot := c.next; !slot.After(at); slot = c.next {
		c.next, c.guarded = slot.Add(c.interval), at
		switch {
		case c.id == "drifts":
			c.next = at.Add(c.interval)
		case c.id != "catches-up" && !c.next.After(at): // one rotation for all missed slots
			c.next = c.next.Add(at.Sub(slot) / c.interval * c.interval)
		}
		c.shadow.observe(c.id, rotation.AutoSlot(at, slot), true, c.next)
	}
}

// On the day of the switch, no state is behind: it is ahead by what the running system
// drifts.
func TestShadow_StatesFollowTheRunningSystem(t *testing.T) {
	for id, drift := range map[string]time.Duration{"right": 0, "catches-up": 0, "drifts": 30 * 3 * time.Second} {
		t.Run(id, func(t *testing.T) {
			s := &shadow{states: make(map[string]rotation.State), log: timeline.NewWriter(io.Discard, timeline.SpellingJSONL, rotation.Rules{})}
			card := legacy{id: id, interval: 24 * time.Hour, shadow: s}
			threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
			card.enrol(threePM.Add(-time.Hour), threePM)
			for range 30 {
				card.wake(card.next.Add(3 * time.Second)) // the timer is late
			}
			next, on := s.states[id].Next()
			if guard, by, _ := s.states[id].Guard(); !on || !next.Equal(card.next.Add(-drift)) || by != rotation.KindAuto || !guard.Equal(card.guarded) {
				t.Errorf("after 30 days: next %v, guard by %v at %v, the system's next is %v", next, by, guard, card.next)
			}
		})
	}
}

// A system that is to be replaced runs for some days with the rules beside it, and
// cvvsim verify judges its log.
func Example_shadow() {
	var file bytes.Buffer // os.OpenFile("shadow.jsonl", …), in real life
	s := &shadow{states: make(map[string]rotation.State), log: timeline.NewWriter(&file, timeline.SpellingJSONL, rotation.Rules{})}
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for _, id := range []string{"right", "inclusive-guard", "refuses-within-guard", "drifts", "catches-up"} {
		card := legacy{id: id, interval: 24 * time.Hour, shadow: s}
		card.enrol(threePM.Add(-time.Hour), threePM)
		card.wake(threePM)
		card.force(threePM.Add(time.Minute)) // within the guard
		card.force(threePM.Add(3 * time.Minute))
		card.wake(card.next.Add(5 * time.Second)) // a timer that is a little late
		card.wake(card.next.Add(60 * time.Hour))  // an outage
	}
	run(context.Background(), []string{"verify", "-"}, &file, os.Stdout, os.Stderr)
	// Output:
	// <stdin>:10: card inclusive-guard: 2026-11-22T15:03:00Z forced: next: recorded 2026-11-23T15:00:00Z, the rules say 2026-11-23T15:03:00Z
	//     R3: forced 2m after the forced rotation at 15:01:00: CVV rotated, rescheduled, next 2026-11-23T15:03:00Z
	// <stdin>:15: card refuses-within-guard: 2026-11-22T15:01:00Z forced: rotate: recorded false, the rules say true
	//     R2: forced 1m after the automatic rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)
	// <stdin>:23: card drifts: 2026-11-23T15:03:05Z auto: next: recorded 2026-11-24T15:03:05Z, the rules say 2026-11-24T15:03:00Z
	//     R5: automatic 5s after its slot 15:03:00: CVV rotated, rescheduled, next 2026-11-24T15:03:00Z
	// <stdin>:24: card drifts: 2026-11-27T03:03:05Z auto: next: recorded 2026-11-28T03:03:05Z, the rules say 2026-11-27T15:03:05Z
	// <stdin>:30: card catches-up: 2026-11-27T03:03:00Z auto: next: recorded 2026-11-25T15:03:00Z, the rules say 2026-11-27T15:03:00Z
	//     R5: automatic 60h after its slot 2026-11-24T15:03:00Z: CVV rotated, rescheduled, 2 slots missed, next 2026-11-27T15:03:00Z
	// <stdin>:31: card catches-up: 2026-11-27T03:03:00Z auto: next: recorded 2026-11-26T15:03:00Z, the rules say 2026-11-27T15:03:00Z
	//
	// card                  first difference  at                    rule  differing  looks like
	// inclusive-guard       <stdin>:10        2026-11-22T15:03:00Z  R3    1          inclusive guard
	// refuses-within-guard  <stdin>:15        2026-11-22T15:01:00Z  R2    1          other
	// drifts                <stdin>:23        2026-11-23T15:03:05Z  R5    2          drift
	// catches-up            <stdin>:30        2026-11-27T03:03:00Z  R5    2          lost slot
	//
	// 32 events, 32 judged, 6 differing, 0 unknown
}
