package enginecheck

import (
	"context"
	"slices"
	"strings"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

func (r *run) deliver(s *splitmix.Stream, l *expectedCard, rep *replica, p *plan) {
	slot := l.state.Next
	switch s.Below(5) {
	case 0:
		slot = l.state.Served
	case 1:
		slot = model.At(r.at().Add(-time.Duration(s.Below(int64(2 * guard)))))
	case 2:
		slot = model.Instant{}
	}
	r.note("replica %d gets the timer for the slot %v of %s", rep.number+1, slot.Time, l.ref.Card)
	got, o, answered := change(r, l, p, "a delivery", l.ref,
		func(ctx context.Context) (engine.Rotation, error) { return rep.engine.Deliver(ctx, l.ref, slot.Time) },
		func(after *expectedCard, t settings) (outcome, []event.Changed, error) {
			return after.apply(t, model.Event{Kind: model.Auto, Slot: slot}, false, false)
		})
	got.Effect = engine.Effect{} // for audit logs
	if want := l.answer(r.at(), o, got); answered && got != want {
		r.violate(answersRight, "the answer to the delivery: %s", describeDifference(got, want))
	}
}

// tick runs a claim. A card may have moved between being found and being locked.
func (r *run) tick(rep *replica, p *plan) {
	p.call = memory.CallClaim
	type found struct {
		card *expectedCard
		slot model.Instant
	}
	var all []found
	for _, l := range r.dueCards() {
		if len(all) < r.o.batch {
			all = append(all, found{l, l.state.Next})
		}
	}
	r.note("replica %d claims: %d due", rep.number+1, len(all))
	var n int
	r.claiming = true
	err := r.call(p, func(ctx context.Context) (err error) {
		n, err = rep.engine.Tick(ctx)
		return err
	})
	r.claiming = false
	if len(all) == 0 && p.kind == faultKill {
		p.fired = false // there was nothing to commit
	}
	done, replied := r.checkAnswer(p, "a claim", err, nil)
	if !done {
		return
	}
	if replied && n != len(all) {
		blame := answersRight
		if n < len(all) {
			blame = alive
		}
		r.violate(blame, "a claim rotated %d cards, but %d were due", n, len(all))
	}
	if p.fired && p.kind == faultRace && len(all) > 0 {
		r.coverage[goalRace]++
	}
	for _, f := range all {
		l := f.card
		after, t := *l, r.settings(l)
		o, events, err := after.apply(t, model.Event{Kind: model.Auto, Slot: f.slot}, false, false)
		if err != nil {
			after.fail(t.now)
			r.note("  %s fails, and is due again at %v", l.ref.Card, after.due)
			*l = after
			r.coverage[goalFailed]++
			if l.failures == 35 {
				r.coverage[goalThirtyFiveFailures]++
			}
			if len(all) > 1 {
				r.coverage[goalFailedInBatch]++
			}
			continue
		}
		r.note("  %s: %v, version %d, next %v", l.ref.Card, o.rule, after.version, after.due)
		r.commit(l, after, &o, events, replied)
		if r.plan == nil && p.kind == faultRace && p.fired {
			r.coverage.lostRace(o.rule)
		}
	}
}

// dueCards returns the cards that are due, oldest first.
func (r *run) dueCards() []*expectedCard {
	var due []*expectedCard
	for _, l := range r.cards {
		if l.registered && !l.due.IsZero() && !l.due.After(r.at()) {
			due = append(due, l)
		}
	}
	slices.SortStableFunc(due, func(a, b *expectedCard) int {
		if c := a.due.Compare(b.due); c != 0 {
			return c
		}
		return strings.Compare(a.ref.Card, b.ref.Card)
	})
	return due
}
