package model_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/sim/model"
	"cvvrotation/sim/must"
)

var threePM = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// The documentation's own example: called at 3 PM with a 24-hour interval, the
// next rotation is at 3 PM the next day, and at 3 PM on every day after.
func TestCard_RotatesAtThreePMEveryDay(t *testing.T) {
	card := newCard(t)
	step(t, &card, model.Event{Kind: model.SetInterval, At: threePM.Add(-7 * time.Hour), Interval: 24 * time.Hour})
	step(t, &card, model.Event{Kind: model.Forced, At: threePM})
	for day := 1; day <= 7; day++ {
		slot := threePM.AddDate(0, 0, day)
		if got := card.State().Next; got != model.At(slot) {
			t.Fatalf("next = %v, want %v", got, slot)
		}
		out := step(t, &card, model.Event{Kind: model.Auto, At: slot.Add(time.Second), Slot: model.At(slot)})
		if out.Rule != "R5" || !out.Rotate || !out.Reschedule || out.Missed != 0 {
			t.Fatalf("day %d: %+v", day, out)
		}
	}
}

// Two centuries of slots two minutes apart are passed at once and counted
// exactly.
func TestCard_CountsSlotsOfTwoCenturies(t *testing.T) {
	const interval = 2*time.Minute + time.Nanosecond
	start := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	at := time.Date(2200, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	card := newCard(t)
	step(t, &card, model.Event{Kind: model.SetInterval, At: start, Interval: interval})
	out := step(t, &card, model.Event{Kind: model.Auto, At: at})
	slots := int64(at.Sub(start) / interval)
	if want := start.Add(time.Duration(slots+1) * interval); out.Missed != slots-1 || out.Next != model.At(want) {
		t.Errorf("missed %d, next %v; want %d, %v", out.Missed, out.Next, slots-1, want)
	}
}

func TestCard_RefusesWrongEvents(t *testing.T) {
	for _, test := range []struct {
		event    model.Event
		category string
	}{
		{model.Event{At: threePM}, model.BadKind},
		{model.Event{Kind: model.Forced}, model.BadInstant},
		{model.Event{Kind: model.SetInterval, At: threePM, Interval: 2 * time.Minute}, model.BadInterval},
		{model.Event{Kind: model.SetInterval, At: threePM, Interval: time.Hour, First: model.At(threePM)}, model.BadFirst},
	} {
		t.Run(test.category, func(t *testing.T) {
			card := newCard(t)
			_, err := card.Step(test.event)
			var refused *model.Error
			if !errors.As(err, &refused) || refused.Category != test.category {
				t.Errorf("%v, want category %s", err, test.category)
			}
			if card != newCard(t) {
				t.Error("the card changed")
			}
		})
	}
	if _, err := model.New(model.Rules{Guard: -1}); err == nil {
		t.Error("a negative guard was accepted")
	}
}

func newCard(t *testing.T) model.Card {
	t.Helper()
	return must.Get(model.New(model.Rules{Guard: 2 * time.Minute}))(t)
}

func step(t *testing.T, card *model.Card, e model.Event) model.Outcome {
	t.Helper()
	return must.Get(card.Step(e))(t)
}
