package event_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/internal/eventtest"
	"cvvrotation/sim/must"
)

// newestFirst returns the history in the order of Explain.
func newestFirst(events []event.Changed) []event.Changed {
	events = slices.Clone(events)
	slices.Reverse(events)
	return events
}

// replayed returns the rule and the sentence of each event, oldest first, from a replay
// that has the card's states.
func replayed(t *rapid.T, events []event.Changed) (rules []rotation.Rule, sentences []string) {
	var state rotation.State
	for _, c := range events {
		sentences = append(sentences, c.Rules.Explain(state, c.Event()))
		after, d, err := c.Rules.Decide(state, c.Event())
		if err != nil {
			t.Fatal(err)
		}
		state = after
		rules = append(rules, d.Rule)
	}
	return rules, sentences
}

// The sentence of a recorded event is that of a replay of the whole history: with all
// older events, and with the few that a page has.
func TestExplain_AgreesWithAReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := eventtest.History(t)
		for i := range events {
			events[i].Compromised, events[i].Repaired = false, false
		}
		rules, sentences := replayed(t, events)
		slices.Reverse(rules)
		slices.Reverse(sentences)
		list := newestFirst(events)
		for _, x := range [][]event.Changed{list, list[:max(0, len(list)-1)]} {
			for i, got := range event.Explain(x) {
				whole := len(x) == len(list) || i < len(x)-2 && got.Rules.GuardFrom() == rotation.GuardFromRequest
				if got.Rule != rules[i] && (whole || got.Rule != 0) {
					t.Errorf("event %d: rule %v, want %v", got.Number, got.Rule, rules[i])
				}
				if got.Sentence == sentences[i] {
					continue
				}
				if whole {
					t.Errorf("event %d:\n got %s\nwant %s", got.Number, got.Sentence, sentences[i])
				}
				// Without the older event the sentence says less: the same outcome, and no instant that the other lacks.
				_, outcome, _ := strings.Cut(sentences[i], ": CVV rotated")
				if !strings.HasSuffix(got.Sentence, outcome) || strings.Contains(got.Sentence, " at ") && !strings.Contains(sentences[i], " at ") {
					t.Errorf("event %d, without the first event:\n got %s\n has %s", got.Number, got.Sentence, sentences[i])
				}
			}
		}
	})
}

// One row for each thing that a replay of the rules does not know, or that the page does not.
func TestExplain_SaysWhatIsRecordedAndNoMore(t *testing.T) {
	golden := eventtest.Golden()
	for _, test := range []struct {
		name string
		edit func(*event.Changed)
		rule rotation.Rule
		want string
	}{
		{"held", nil, rotation.R2, "forced within 2m of the forced rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 3); compromised: the previous CVV stopped being accepted immediately"},
		{"held_forced", nil, rotation.R2, "forced within 2m of the automatic rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)"},
		{"held_forced", func(c *event.Changed) { c.Scenario = 0 }, rotation.R2, "forced within 2m of the new interval: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z"},
		{"held_automatic", nil, rotation.R6, "automatic within 2m of the forced rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 2)"},
		{"held_automatic", func(c *event.Changed) { c.Scenario, c.Slot = 0, eventtest.Start }, 0, "automatic at its slot, within 2m of the previous request: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z"},
		{"automatic", nil, 0, "automatic: CVV rotated, rescheduled, 2 slots missed, next 2026-11-22T15:30:00.000000001Z"},
		{"slot", nil, rotation.R5, "automatic 1ns after its slot 14:59:59.999999999: CVV rotated, rescheduled, next 2026-11-23T14:59:59.999999999Z"},
		{"slot", func(c *event.Changed) { c.Slot, c.Missed = eventtest.Start.Add(-75*time.Hour), 3 }, rotation.R5, "automatic 75h after its slot 2026-11-19T12:00:00Z: CVV rotated, rescheduled, 3 slots missed, next 2026-11-23T14:59:59.999999999Z"},
		{"forced_off", nil, rotation.R1, "forced: CVV rotated, automatic rotation is off"},
		{"interval", nil, rotation.R8, "next rotation repaired, it was more than one interval ahead (clock step): new schedule, next 2026-11-22T16:00:00Z"},
		{"microseconds", nil, rotation.R8, "interval set to 2m1.000001s: new schedule, next 2026-11-22T15:02:01Z"},
		{"other_rules", nil, rotation.R2, "forced within 5m of the forced rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 3)"},
		{"disabled", nil, rotation.R10, "automatic rotation turned off: no next rotation"},
	} {
		t.Run(test.want, func(t *testing.T) {
			c := golden[test.name]
			if test.edit != nil {
				test.edit(&c)
			}
			got := event.Explain([]event.Changed{c})[0]
			must.Equal(t, []any{test.want, test.rule}, []any{got.Sentence, got.Rule})
		})
	}
}

// A gap in the numbers, and an event that the rules of today would not have made, end
// what is known of the guard.
func TestExplain_TrustsNoInterruptedHistory(t *testing.T) {
	held, before := eventtest.Golden()["held_forced"], eventtest.Golden()["slot"]
	const whole = "forced 1m after the automatic rotation at 14:59:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)"
	const less = "forced within 2m of the automatic rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)"
	for _, test := range []struct {
		name   string
		ago    time.Duration
		number int64
		want   string
	}{
		{"without a gap", time.Minute, 6, whole},
		{"a number is missing", time.Minute, 5, less},
		{"the guard had ended", 2 * time.Minute, 6, less},
	} {
		t.Run(test.name, func(t *testing.T) {
			before.Number, before.At = test.number, held.At.Add(-test.ago)
			must.Equal(t, test.want, event.Explain([]event.Changed{held, before})[0].Sentence)
		})
	}
}
