package sim_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
)

// explained returns the events of a card that an engine has rotated at random, newest
// first, and the card's state.
func explained(t *testing.T, rules rotation.Rules, seed uint64) ([]event.Explained, rotation.State) {
	t.Helper()
	draw := rand.New(rand.NewPCG(seed, 0))
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	s := memory.New(memory.Options{Clock: clk})
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
	e := must.Get(engine.New(s, engine.Random(nil, keys), engine.Options{Rules: rules, Clock: clk}))(t)
	ref := engine.Ref{Card: "card", Account: "acme"}
	_, _, err := e.Register(t.Context(), ref, engine.RegisterRequest{})
	must.Do(t, err)
	for range 40 {
		clk.Add(time.Duration(draw.IntN(100)) * time.Duration(draw.IntN(100)) * time.Second)
		switch draw.IntN(6) {
		case 0:
			must.Get(e.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Duration(1+draw.IntN(3)) * time.Hour}))(t)
		case 1:
			must.Get(e.Disable(t.Context(), ref))(t)
		case 2, 3:
			must.Get(e.Tick(t.Context()))(t)
		default:
			must.Get(e.Force(t.Context(), ref, engine.ForceRequest{}))(t)
		}
	}
	h := must.Get(e.History(t.Context(), ref, 0, engine.MaxHistory))(t)
	var events []event.Explained
	for _, x := range h.Events {
		events = append(events, x.Explained)
	}
	var state rotation.State
	must.Do(t, state.UnmarshalBinary(must.Get(s.Card(t.Context(), "card"))(t).State))
	return events, state
}

// The steps of a whole history lead to the state that the engine has stored, and repeat
// what it has decided. Those of its newest half repeat the decisions.
func TestHistorySteps_RepeatTheEnginesDecisions(t *testing.T) {
	scheduling := must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling))(t)
	for _, rules := range []rotation.Rules{{}, scheduling} {
		for seed := range uint64(20) {
			events, stored := explained(t, rules, seed)
			for _, page := range [][]event.Explained{events, events[:len(events)/2]} {
				got, steps, err := sim.HistorySteps(page)
				must.Do(t, err)
				if got != rules || len(steps) != len(page) {
					t.Fatal(got, len(steps), len(page))
				}
				for i, s := range steps {
					e := page[len(page)-1-i]
					if differ := s.Entry.Expect.Differences(s.Outcome()); len(differ) > 0 || s.Explain(rules) != e.Sentence || e.Rule != 0 && s.Decision.Rule != e.Rule {
						t.Errorf("seed %d, event %d, %s: %v; %v", seed, e.Number, e.Sentence, s.Decision, differ)
					}
				}
				if last := steps[len(steps)-1].After; len(page) == len(events) && !sameSchedule(last, stored) {
					t.Errorf("seed %d: state %v, stored %v", seed, last, stored)
				}
			}
		}
	}
}

// sameSchedule compares all of two states that the events determine.
func sameSchedule(a, b rotation.State) bool {
	next, on := a.Next()
	other, is := b.Next()
	start, by, _ := a.Guard()
	since, kind, _ := b.Guard()
	return a.Interval() == b.Interval() && on == is && next.Equal(other) && start.Equal(since) && by == kind
}

func TestHistorySteps_EndWhereTheRulesWereOthers(t *testing.T) {
	scheduling := must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling))(t)
	newer, _ := explained(t, rotation.Rules{}, 1)
	older, _ := explained(t, scheduling, 1)
	rules, steps, err := sim.HistorySteps(append(newer[:2:2], older...))
	must.Do(t, err)
	if len(steps) != 2 || rules != (rotation.Rules{}) || steps[1].Entry.Number != newer[0].Number {
		t.Errorf("%d steps under %v", len(steps), rules)
	}
	_, steps, err = sim.HistorySteps(nil)
	must.Do(t, err)
	if len(steps) != 0 {
		t.Error(steps)
	}
}
