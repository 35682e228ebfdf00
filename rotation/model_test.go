package rotation_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
	"cvvrotation/sim/must"

	"pgregory.net/rapid"
)

// pair is one card twice: as the real rules see it, and as the model does.
type pair struct {
	rules rotation.Rules
	state rotation.State
	card  model.Card
}

func newPair(tb testing.TB, rules model.Rules) pair {
	tb.Helper()
	card := must.Get(model.New(rules))(tb)
	return pair{rules: realRules(tb, rules), card: card}
}

// step applies e to both and returns what they disagree on, or nil.
func (p *pair) step(e model.Event) error {
	before, cardBefore := p.state, p.card
	after, d, err := p.rules.Decide(p.state, real(e))
	want, wantErr := p.card.Step(e)
	p.state = after

	if wantErr != nil || err != nil {
		var bad *model.Error
		errors.As(wantErr, &bad)
		switch {
		case wantErr == nil || err == nil || !errors.Is(err, categories[bad.Category]):
			return fmt.Errorf("error %v, the model has %v", err, wantErr)
		case after != before || p.card != cardBefore || d != rotation.Decision{}:
			return fmt.Errorf("error %v came with a change: %v, %v", err, after, d)
		}
		return nil
	}
	got := model.Outcome{
		Rule: d.Rule.String(), Rotate: d.Rotate(), Reschedule: d.Reschedule(),
		Reason: d.Reason().String(), Scenario: d.Scenario, Missed: d.Missed,
	}
	got.Next.Time, got.Next.OK = after.Next()
	if got != want {
		return fmt.Errorf("from %v:\n got %+v\nwant %+v", before, got, want)
	}
	if v := view(after); v != p.card.State() {
		return fmt.Errorf("from %v:\n got %+v\nwant %+v", before, v, p.card.State())
	}
	return nil
}

var categories = map[string]error{
	model.BadKind: rotation.ErrKind, model.BadInstant: rotation.ErrInstant,
	model.BadInterval: rotation.ErrInterval, model.BadFirst: rotation.ErrFirst,
}

// The real rules and the model agree on every step of any timeline.
func TestDecide_AgreesWithModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SampledFrom(someRules).Draw(rt, "rules")
		p, g := newPair(t, rules), newGuesser(rt, rules, anything)
		step := func(draw func(*rapid.T) model.Event) func(*rapid.T) {
			return func(rt *rapid.T) {
				e := draw(rt)
				if err := p.step(e); err != nil {
					rt.Fatalf("%+v %v", e, err)
				}
				_, _, err := p.rules.Decide(p.state, real(e))
				g.saw(e, p.card.State(), err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"forced":       step(g.forced),
			"auto":         step(g.auto),
			"auto slot":    step(g.autoSlot),
			"set interval": step(g.setInterval),
			"set first":    step(g.setFirst),
			"disable":      step(g.disable),
			"wrong":        step(g.wrongEvent),
			"": func(rt *rapid.T) {
				next, on := p.state.Next()
				if on != (p.state.Interval() != 0) || !on && !next.IsZero() {
					rt.Fatalf("next %v and interval %v", next, p.state.Interval())
				}
			},
		})
	})
}

// Every sequence of four events on a small grid: each kind, at each boundary
// that the state then has. The two agree on each of them.
func TestDecide_AgreesWithModelExhaustively(t *testing.T) {
	depth := 4
	if testing.Short() {
		depth = 3
	}
	for _, rules := range []model.Rules{{Guard: G}, {Guard: G, FromScheduling: true}} {
		t.Run(fmt.Sprintf("%+v", rules), func(t *testing.T) {
			steps := 0
			var walk func(p pair, now time.Time, depth int)
			walk = func(p pair, now time.Time, depth int) {
				if depth == 0 || t.Failed() {
					return
				}
				for _, e := range grid(p.card.State(), now) {
					q := p
					if err := q.step(e); err != nil {
						t.Errorf("%+v: %v", e, err)
						return
					}
					steps++
					walk(q, e.At, depth-1)
				}
			}
			fresh := newPair(t, rules)
			walk(fresh, start, 2)
			on := fresh
			must.Do(t, on.step(model.Event{Kind: model.SetInterval, At: start, Interval: gridInterval}))
			walk(on, start, depth)
			t.Logf("%d steps", steps)
		})
	}
}

const gridInterval = 3 * time.Minute // so short that two guards exceed it

// grid returns the events to try in a state.
func grid(s model.State, now time.Time) (events []model.Event) {
	p := now
	if s.GuardStart.OK {
		p = s.GuardStart.Time
	}
	instants := []time.Time{p, p.Add(G - ns), p.Add(G), p.Add(-G)}
	if s.Next.OK {
		instants = append(instants, s.Next.Time.Add(-ns), s.Next.Time, s.Next.Time.Add(s.Interval))
	}
	for _, at := range instants {
		events = append(events,
			model.Event{Kind: model.Forced, At: at},
			model.Event{Kind: model.Auto, At: at},
		)
		if s.Next.OK {
			events = append(events,
				model.Event{Kind: model.Auto, At: at, Slot: s.Next},
				model.Event{Kind: model.Auto, At: at, Slot: model.At(s.Next.Time.Add(-ns))},
			)
		}
		if s.Served.OK {
			events = append(events, model.Event{Kind: model.Auto, At: at, Slot: s.Served})
		}
	}
	return append(events,
		model.Event{Kind: model.SetInterval, At: p.Add(G), Interval: gridInterval},
		model.Event{Kind: model.SetInterval, At: p.Add(ns), Interval: gridInterval, First: model.At(p.Add(2 * ns))},
		model.Event{Kind: model.SetInterval, At: p, Interval: G + ns},
		model.Event{Kind: model.SetInterval, At: p, Interval: G}, // refused
		model.Event{Kind: model.Disable, At: p},
	)
}
