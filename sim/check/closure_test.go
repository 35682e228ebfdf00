package check

import (
	"context"
	"testing"

	"cvvrotation/rotation"
)

// The closure comes to an end, holds, and its size is known.
func TestClosure(t *testing.T) {
	r := SmallClosure(Rules(rotation.Rules{})).Run(context.Background())
	if r.Failure != nil {
		t.Fatal(r.Failure.Paragraph())
	}
	t.Logf("%+v", r)
}

// Nothing that a card can be brought to on the grid is missing from the
// closure: long walks, with leaps as far as they may be, never leave it.
func TestClosureIsComplete(t *testing.T) {
	c := SmallClosure(Rules(rotation.Rules{}))
	_, states := c.search(context.Background())
	tick := c.tick()
	for seed := range uint64(40) {
		s := newStream(seed, 0, streamCalls)
		card := c.System.NewCard()
		now := int64(closureOrigin)
		for range 2000 {
			v := card.View()
			near := func() int64 {
				anchor := pick(&s, []int64{now, v.Next, v.GuardStart, v.Served, now + 1000*tick})
				if anchor == 0 {
					anchor = now
				}
				return anchor + (s.below(41)-20)*tick
			}
			e := Event{Kind: rotation.Kind(1 + s.below(4)), At: near()}
			switch e.Kind {
			case rotation.KindAuto:
				if e.HasSlot = s.below(4) > 0; e.HasSlot {
					e.Slot = near()
				}
			case rotation.KindSetInterval:
				e.Interval = c.Intervals[s.below(2)] * tick
				if e.HasFirst = s.below(2) == 0; e.HasFirst {
					e.First = e.At + (1+s.below(e.Interval/tick))*tick
				}
			case rotation.KindDisable:
				if s.below(4) > 0 {
					continue
				}
			}
			card.Apply(e)
			now = e.At
			if got := c.abstract(card.View()); !states[got] {
				t.Fatalf("seed %d: %v led from %v to %v: %+v is not in the closure", seed, e, v, card.View(), got)
			}
		}
	}
}
