package sim_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

var start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

func entry(card string, e rotation.Event) timeline.Entry { return timeline.Entry{Card: card, Event: e} }

func TestReplay_KeepsCardsApart(t *testing.T) {
	r := sim.NewReplay(rotation.Rules{})
	for _, e := range []timeline.Entry{
		entry("A", rotation.SetInterval(start, time.Hour)),
		entry("B", rotation.Forced(start)),
	} {
		must.Get(r.Apply(e))(t)
	}
	a := must.Get(r.Apply(entry("A", rotation.Forced(start.Add(3*time.Minute)))))(t)
	b := must.Get(r.Apply(entry("B", rotation.Forced(start.Add(3*time.Minute)))))(t)
	if a.Decision.Rule != rotation.R3 || b.Decision.Rule != rotation.R1 {
		t.Errorf("rules %v and %v, want R3 for the card with a schedule and R1 for the other", a.Decision.Rule, b.Decision.Rule)
	}
}

func TestReplay_ContinuesAfterARefusedEvent(t *testing.T) {
	r := sim.NewReplay(rotation.Rules{})
	must.Get(r.Apply(entry("A", rotation.SetInterval(start, time.Hour))))(t)
	var refused *rotation.EventError
	if _, err := r.Apply(entry("A", rotation.SetInterval(start, time.Minute))); !errors.As(err, &refused) {
		t.Errorf("error %v, want a *rotation.EventError", err)
	}
	step, err := r.Apply(entry("A", rotation.AutoUnslotted(start.Add(time.Hour))))
	if err != nil || step.Decision.Rule != rotation.R5 {
		t.Errorf("%v, %v after a refused event; want R5 as if it had not been", step.Decision, err)
	}
}

func TestLoop_RefusesBadInput(t *testing.T) {
	if _, err := sim.NewLoop(rotation.Rules{}, start, -1); !errors.Is(err, sim.ErrLag) {
		t.Errorf("lag -1ns: error %v", err)
	}
	if _, err := sim.NewLoop(rotation.Rules{}, time.Time{}, 0); !errors.Is(err, rotation.ErrInstant) {
		t.Errorf("until the zero time: error %v", err)
	}
	l := must.Get(sim.NewLoop(rotation.Rules{}, start.Add(24*time.Hour), 0))(t)
	ignore := func(sim.Step) error { return nil }
	must.Do(t, l.Apply(entry("A", rotation.SetInterval(start, time.Hour)), ignore))
	for _, tt := range []struct {
		event rotation.Event
		want  error
	}{
		{rotation.AutoUnslotted(start.Add(2 * time.Hour)), sim.ErrAuto},
		{rotation.Forced(start.Add(-1)), sim.ErrOrder},
		{rotation.SetInterval(start.Add(2*time.Hour), time.Minute), rotation.ErrInterval},
	} {
		fired := 0
		err := l.Apply(entry("A", tt.event), func(sim.Step) error { fired++; return nil })
		if !errors.Is(err, tt.want) || fired != 0 {
			t.Errorf("%v: error %v after %d steps, want %q and none", tt.event.Kind(), err, fired, tt.want)
		}
	}
	full := errors.New("disk full")
	if err := l.Finish(func(sim.Step) error { return full }); !errors.Is(err, full) {
		t.Errorf("error %v, want emit's", err)
	}
}

// TestLoop_DeliversTimersInFlight is S2 as it happens: the slot has passed and its delivery is
// under way when the forced call moves the schedule.
func TestLoop_DeliversTimersInFlight(t *testing.T) {
	l := must.Get(sim.NewLoop(rotation.Rules{}, start.Add(25*time.Hour), 30*time.Second))(t)
	var got []string
	emit := func(s sim.Step) error {
		got = append(got, fmt.Sprintf("%v %v %v", s.Entry.Event.At().Sub(start), s.Entry.Event.Kind(), s.Decision))
		return nil
	}
	for _, e := range []rotation.Event{
		rotation.SetInterval(start, time.Hour),
		rotation.Forced(start.Add(time.Hour)),                // at the slot: in flight
		rotation.Forced(start.Add(2*time.Hour - 1)),          // one nanosecond before it: cancelled
		rotation.Disable(start.Add(3*time.Hour - 1 + 10e9)),  // in flight when rotation ends
		rotation.SetInterval(start.Add(4*time.Hour), 1000e9), // and on again
		rotation.Disable(start.Add(4*time.Hour + 1)),
	} {
		must.Do(t, l.Apply(entry("A", e), emit))
	}
	must.Do(t, l.Finish(emit))
	want := []string{
		"0s set_interval R8 interval_set",
		"1h0m0s forced R3 scheduled",
		"1h0m30s auto R14 guard, scenario 2",
		"1h59m59.999999999s forced R3 scheduled",
		"3h0m9.999999999s disable R10 rotation_off",
		"3h0m29.999999999s auto R4 rotation_off",
		"4h0m0s set_interval R8 interval_set",
		"4h0m0.000000001s disable R10 rotation_off",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLoop_AgreesWithNaiveLoop holds the closed loop against its sentences, for any timeline: what is
// fired is, card by card, each slot that was still the next one when its instant
// came, a lag later; automatic events come first at an instant, by card; and an
// open replay of all the steps decides the same.
func TestLoop_AgreesWithNaiveLoop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lag := rapid.SampledFrom([]time.Duration{0, 1, time.Minute, 2 * time.Minute, time.Hour, 5 * time.Hour}).Draw(t, "lag")
		until := start.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, 10 * time.Hour, 10*time.Hour + lag}).Draw(t, "until"))
		l := must.Get(sim.NewLoop(rotation.Rules{}, until, lag))(t)
		var steps []sim.Step
		emit := func(s sim.Step) error { steps = append(steps, s); return nil }
		now := start
		given := 0
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			now = now.Add(rapid.SampledFrom([]time.Duration{
				0, 1, time.Minute, 2*time.Minute - 1, 2 * time.Minute, time.Hour - 1, time.Hour, time.Hour + 1, 90 * time.Minute,
			}).Draw(t, "gap"))
			card := rapid.SampledFrom([]string{"A", "B"}).Draw(t, "card")
			event := rapid.SampledFrom([]rotation.Event{
				rotation.Forced(now), rotation.SetInterval(now, time.Hour), rotation.SetInterval(now, 3*time.Minute),
				rotation.SetIntervalFirst(now, time.Hour, now.Add(time.Minute)), rotation.Disable(now),
			}).Draw(t, "event")
			must.Do(t, l.Apply(entry(card, event), emit))
			given++
		}
		must.Do(t, l.Finish(emit))

		open := sim.NewReplay(rotation.Rules{})
		fired := 0
		for i, s := range steps {
			again, err := open.Apply(s.Entry)
			if err != nil || again.Decision != s.Decision || again.After != s.After {
				t.Fatalf("step %d: %v, %v in the open replay, %v in the loop", i, again.Decision, err, s.Decision)
			}
			if s.Fired {
				fired++
			}
			if i == 0 {
				continue
			}
			before := steps[i-1]
			a, b := before.Entry.Event.At(), s.Entry.Event.At()
			switch {
			case b.Before(a) && !(s.Fired && a.After(until)):
				t.Fatalf("step %d at %v comes after one at %v", i, b, a)
			case b.Equal(a) && s.Fired && !before.Fired:
				t.Fatalf("step %d: automatic after another event at %v", i, b)
			case b.Equal(a) && s.Fired && s.Entry.Card < before.Entry.Card:
				t.Fatalf("step %d: card %s after card %s at %v", i, s.Entry.Card, before.Entry.Card, b)
			}
		}
		if len(steps)-fired != given {
			t.Fatalf("%d events of the timeline among the steps, want %d", len(steps)-fired, given)
		}

		for _, card := range []string{"A", "B"} {
			var got, want []time.Time
			var next time.Time // of the card, zero for none
			deliver := func(passed bool) {
				if arrival := next.Add(lag); passed && !next.IsZero() && !arrival.After(until) {
					want = append(want, next)
				}
			}
			for _, s := range steps {
				if s.Entry.Card != card {
					continue
				}
				if s.Fired {
					slot, _ := s.Entry.Event.Slot()
					got = append(got, slot)
					if at := s.Entry.Event.At(); !at.Equal(slot.Add(lag)) || at.After(until) {
						t.Fatalf("card %s: slot %v delivered at %v with a lag of %v until %v", card, slot, at, lag, until)
					}
				}
				if after, _ := s.After.Next(); !after.Equal(next) {
					deliver(!next.After(s.Entry.Event.At()))
					next = after
				}
			}
			deliver(true) // nothing moves it any more
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Fatalf("card %s: fired %v, want %v (lag %v, until %v)", card, got, want, lag, until)
			}
		}
	})
}
