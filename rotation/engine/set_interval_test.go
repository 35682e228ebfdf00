package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/sim/must"
)

// TestSetInterval_SpreadAtItsOwnPhaseWaitsOneInterval: at the very instant of its phase, the first slot is an
// interval away, not now.
func TestSetInterval_SpreadAtItsOwnPhaseWaitsOneInterval(t *testing.T) {
	f := newFixture(t)
	request := engine.IntervalRequest{Interval: 24 * time.Hour, Spread: true}
	ref := f.register(t, "A", 0)
	s := must.Get(f.SetInterval(t.Context(), ref, request))(t)
	slot := s.Next
	f.clock.Set(slot)
	must.Get(f.Disable(t.Context(), ref))(t)
	if s, err := f.SetInterval(t.Context(), ref, request); err != nil || !s.Next.Equal(slot.Add(24*time.Hour)) {
		t.Errorf("next %v, %v", s.Next, err)
	}

	// Ids that differ in their last digit are not neighbours.
	var waits []time.Duration
	for i := range 10 {
		ref := f.register(t, fmt.Sprintf("card-%d", i), 0)
		s := must.Get(f.SetInterval(t.Context(), ref, request))(t)
		waits = append(waits, s.Next.Sub(slot))
	}
	if span := slices.Max(waits) - slices.Min(waits); span < 12*time.Hour {
		t.Errorf("ten cards within %v of a day", span)
	}
}

// TestDisable_ReplacesADamagedSchedule: subscribers are told that rotation is off,
// once, if they were told that it was on; the numbers go on.
func TestDisable_ReplacesADamagedSchedule(t *testing.T) {
	for _, interval := range []time.Duration{0, time.Hour} {
		f := newFixture(t)
		ref := f.register(t, "A", interval)
		f.force(t, ref, engine.ForceRequest{})
		f.clock.Add(time.Minute)
		want := len(f.events(t, "A"))
		c := f.card(t, "A")
		c.State[5] ^= 1
		f.store.Put(c)
		for range 2 {
			if s, err := f.Disable(t.Context(), ref); err != nil || s.Interval != 0 || !s.Next.IsZero() {
				t.Errorf("%+v, %v", s, err)
			}
		}
		events := f.events(t, "A")
		if interval != 0 {
			want++
			last := events[len(events)-1]
			if last.Operation != event.OperationDeleteInterval || last.Version != 2 || !last.At.Equal(f.clock.Now()) || last.Interval != 0 || !last.Next.IsZero() || last.Reason != rotation.ReasonRotationOff {
				t.Errorf("the last event: %+v", last)
			}
		}
		if len(events) != want || f.card(t, "A").Events != int64(want) {
			t.Errorf("interval %v: %d events, the card counts %d, want %d", interval, len(events), f.card(t, "A").Events, want)
		}
		if r := f.force(t, ref, engine.ForceRequest{}); r.Rule != rotation.R1 {
			t.Errorf("forced afterwards: %v", r.Rule)
		}
	}
}

func TestSetInterval_ShowsScheduleAndWritesEvents(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 24*time.Hour)
	f.clock.Add(time.Minute)
	s := must.Get(f.Show(t.Context(), ref, 3))(t)
	want := []time.Time{threePM.Add(24 * time.Hour), threePM.Add(48 * time.Hour), threePM.Add(72 * time.Hour)}
	must.Equal(t, want, s.Slots)
	if s.Forced.Rescheduled || s.Forced.Reason != rotation.ReasonGuard {
		t.Errorf("a forced call a minute after the interval was set: %+v", s.Forced)
	}
	f.clock.Add(time.Minute)
	if s, _ = f.Show(t.Context(), ref, 0); !s.Forced.Rescheduled || !s.Forced.Next.Equal(threePM.Add(24*time.Hour+2*time.Minute)) {
		t.Errorf("two minutes after: %+v", s.Forced)
	}
	for _, n := range []int{-1, engine.MaxSlots + 1} {
		if _, err := f.Show(t.Context(), ref, n); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%d slots: %v", n, err)
		}
	}
	var bad *rotation.EventError
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: 2 * time.Minute}); !errors.As(err, &bad) || bad.Field != "interval" {
		t.Errorf("an interval of the guard: %v", err)
	}
	for range 2 {
		if s, err := f.Disable(t.Context(), ref); err != nil || s.Interval != 0 || !s.Next.IsZero() {
			t.Errorf("Disable: %+v, %v", s, err)
		}
	}
	if _, ok, _ := f.store.NextDue(t.Context()); ok {
		t.Error("a card without a schedule is due")
	}
	var ops []event.Operation
	for _, ev := range f.events(t, "A") {
		ops = append(ops, ev.Operation)
	}
	if diff := cmp.Diff([]event.Operation{event.OperationChangeInterval, event.OperationDeleteInterval}, ops); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestSetInterval_SpreadDistributesFirstSlots: cards that are enrolled together get slots all over the interval,
// and the same ones whenever they are enrolled.
func TestSetInterval_SpreadDistributesFirstSlots(t *testing.T) {
	f := newFixture(t)
	request := engine.IntervalRequest{Interval: time.Hour, Spread: true}
	var perQuarter [4]int
	for i := range 400 {
		ref := f.register(t, fmt.Sprintf("card-%d", i), 0)
		s := must.Get(f.SetInterval(t.Context(), ref, request))(t)
		wait := s.Next.Sub(f.clock.Now())
		if wait <= 0 || wait > time.Hour {
			t.Fatalf("the first slot is %v away", wait)
		}
		perQuarter[(wait-1)/(15*time.Minute)]++
	}
	for q, n := range perQuarter {
		if n < 70 || n > 130 { // 100 expected; the ids are fixed, so this is no matter of chance
			t.Errorf("%d cards in quarter %d", n, q)
		}
	}
	ref := engine.Ref{Card: "card-7", Account: "acme"}
	before, _ := f.Show(t.Context(), ref, 1)
	f.clock.Add(7 * time.Minute)
	after, err := f.SetInterval(t.Context(), ref, request)
	if err != nil || after.Next.Sub(before.Next)%time.Hour != 0 {
		t.Errorf("enrolled again, the phase moved from %v to %v (%v)", before.Next, after.Next, err)
	}
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour, Spread: true, First: threePM.Add(30 * time.Minute)}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("first and spread: %v", err)
	}
}

// TestSetInterval_ReplacesADamagedSchedule: the card fails and is visible; setting its interval gives
// it a new schedule.
func TestSetInterval_ReplacesADamagedSchedule(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	c := f.card(t, "A")
	c.State[5] ^= 1
	f.store.Put(c)
	f.clock.Add(time.Hour)
	f.tick(t)
	if c := f.card(t, "A"); c.Failures != 1 || c.Version != 1 {
		t.Errorf("%d failures, version %d", c.Failures, c.Version)
	}
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{}); !errors.Is(err, rotation.ErrStateDamaged) {
		t.Errorf("Force: %v", err)
	}
	must.Get(f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}))(t)
	if r := f.force(t, ref, engine.ForceRequest{}); !r.Rotated {
		t.Error("not rotated")
	}
}
