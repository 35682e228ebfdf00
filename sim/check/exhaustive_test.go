package check

import (
	"context"
	"sync"
	"testing"

	"cvvrotation/rotation"
)

// twin is package rotation and the table at once: where they differ it answers
// with no rule at all.
type twin struct{ System }

type twinCard struct {
	Card
	table Card
}

func (s twin) NewCard() Card {
	return &twinCard{s.System.NewCard(), table{terms: terms{guard: g}}.NewCard()}
}

func (c *twinCard) Apply(e Event) Outcome {
	out, other := c.Card.Apply(e), c.table.Apply(e)
	if out != other || c.Card.View() != c.table.View() {
		return Outcome{Rule: 0xff}
	}
	return out
}

func (c *twinCard) Restore(stored []byte) error {
	if err := c.table.Restore(stored); err != nil {
		return err
	}
	return c.Card.Restore(stored)
}

// The table of rules without a bug also agrees with package rotation on each.
func TestSequences_RulesHold(t *testing.T) {
	depth := 4
	if testing.Short() {
		depth = 3
	}
	r := Sequences(context.Background(), twin{theRules}, depth)
	if r.Failure != nil {
		t.Fatal(r.Failure.Paragraph())
	}
	if want := int64(701_097); !r.Done || depth == 4 && r.Sequences != want {
		t.Errorf("%+v, want %d sequences", r, want)
	}
}

// Package rotation and the table of rules agree with the reference model on each
// transition, so they agree with each other.
func TestClosure_EndsAndRulesHold(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	ofTable, _ := closed()
	for _, r := range []ClosureResult{SmallClosure(theRules).Run(context.Background()), ofTable} {
		if r.Failure != nil {
			t.Fatal(r.Failure.Paragraph())
		}
		r.Elapsed = 0
		if want := (ClosureResult{States: 946, Transitions: 4_298_248, Rounds: 17, Closed: true}); r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}
	}
}

func TestClosure_FindsBugs(t *testing.T) {
	for name, want := range map[string]Invariant{
		"guard-inclusive": guardEnds, "drift": phaseKept, "guard-back-forever": guardEnds,
		"served-last-wins": served, "order-in-flight-duplicate": neverTwice, "stored-without-guard": persisted,
	} {
		t.Run(name, func(t *testing.T) {
			bug, _ := FindBug(name)
			r := SmallClosure(bug.System()).Run(context.Background())
			if f := r.Failure; f == nil || f.Invariant != want || !f.FromState || f.Paragraph() == "" || r.Closed {
				t.Errorf("%+v, want %v", r, want)
			}
		})
	}
}

// closed returns the closure of the table.
var closed = sync.OnceValues(func() (ClosureResult, map[relative]bool) {
	return SmallClosure(table{terms: terms{guard: g}}).search(context.Background())
})

// Long random walks, with leaps far beyond what the closure tries, never leave it.
func TestClosure_HoldsEveryReachableState(t *testing.T) {
	c := SmallClosure(table{terms: terms{guard: g}})
	_, states := closed()
	tick := c.tick()
	for seed := range uint64(100) {
		s := newStream(seed, 0, streamCalls)
		card := c.system.NewCard()
		now := int64(closureOrigin)
		for range 2000 {
			v := card.View()
			near := func() int64 {
				anchor := pick(&s, []int64{now, v.Next, v.GuardStart, v.Served, now + (s.Below(4001)-2000)*tick})
				if anchor == 0 {
					anchor = now
				}
				return anchor + (s.Below(41)-20)*tick
			}
			e := Event{Kind: rotation.Kind(1 + s.Below(4)), At: near()}
			switch e.Kind {
			case rotation.KindAuto:
				if e.HasSlot = s.Below(4) > 0; e.HasSlot {
					e.Slot = near()
				}
			case rotation.KindSetInterval:
				e.Interval = c.intervals[s.Below(2)] * tick
				if e.HasFirst = s.Below(2) == 0; e.HasFirst {
					e.First = e.At + (1+s.Below(e.Interval/tick))*tick
				}
			case rotation.KindDisable:
				if s.Below(4) > 0 {
					continue
				}
			}
			card.Apply(e)
			now = e.At
			if got := c.abstract(card.View()); !states[got] {
				t.Fatalf("seed %d: %v at %v led from %v to %v: %+v is not in the closure", seed, e, instant(e.At), v, card.View(), got)
			}
		}
	}
}

func TestClosure_AbstractUndoesConcrete(t *testing.T) {
	c := SmallClosure(table{terms: terms{guard: g}})
	_, states := closed()
	x := newExplorer(c)
	for s := range states {
		for _, v := range x.concrete(s) {
			if got := c.abstract(v); got != s {
				t.Fatalf("%+v came back from %v as %+v", s, v, got)
			}
		}
	}
}

func TestExhaustiveSearches_StopWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if q := Sequences(ctx, theRules, 6); q.Done {
		t.Errorf("the sequences continued: %+v", q)
	}
	if c := SmallClosure(theRules).Run(ctx); c.Closed {
		t.Errorf("the closure continued: %+v", c)
	}
}
