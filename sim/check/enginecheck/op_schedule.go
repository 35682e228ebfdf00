package enginecheck

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

func (r *run) register(s *splitmix.Stream, l *expectedCard, rep *replica, p *plan) {
	p.call = memory.CallUpdate
	reg := engine.RegisterRequest{}
	if r.o.derived {
		reg.Particulars = particulars(slices.Index(r.cards, l))
	}
	if s.OneIn(2) {
		reg.Schedule = r.drawInterval(s, l)
		reg.KeepSchedule = s.OneIn(3)
	}
	twin := false // another card is registered with these particulars
	if r.o.derived && !l.registered && p.kind == noFault && s.OneIn(3) {
		if i := int(s.Below(int64(len(r.cards)))); r.cards[i].registered {
			reg.Particulars, twin = particulars(i), true
		}
	}
	ref := l.ref
	var got engine.Schedule
	var created bool
	err := r.call(p, func(ctx context.Context) (err error) {
		got, created, err = rep.engine.Register(ctx, ref, reg)
		return err
	})
	after, t := *l, r.settings(l)
	isNew := !l.registered
	var want error
	var o *outcome
	var events []event.Changed
	if isNew {
		after.registered, after.version, after.created, after.rotated = true, 1, t.now, t.now
		if t.fails {
			want = errDraw
		}
	}
	if want == nil && reg.Schedule != (engine.IntervalRequest{}) {
		var done outcome
		r.checkSentAgain(&after, reg.Schedule)
		done, events, want = after.interval(t, reg.Schedule, reg.KeepSchedule && !isNew)
		o = &done
	}
	if want == nil && twin {
		want = store.ErrFingerprint
		r.coverage[goalTwin]++
	}
	r.note("replica %d registers %s with %s: %s", rep.number+1, ref.Card, describeInterval(reg.Schedule), describeError(err))
	done, replied := r.checkAnswer(p, "registering "+ref.Card, err, want)
	if !done {
		return
	}
	r.commit(l, after, o, events, replied)
	if replied && created != isNew {
		r.violate(answersRight, "registering %s reported a new card: %v", ref.Card, created)
	}
	if replied && !got.Next.Equal(after.state.Next.Time) {
		r.violate(answersRight, "registering %s returned the next slot %s, want %s", ref.Card, describe(got.Next), describe(after.state.Next.Time))
	}
}

func (r *run) drawInterval(s *splitmix.Stream, l *expectedCard) engine.IntervalRequest {
	req := engine.IntervalRequest{Interval: r.o.intervals[s.Below(int64(len(r.o.intervals)))]}
	switch s.Below(10) {
	case 0, 1:
		req.First = r.at().Add(time.Duration(splitmix.Pick(s, 1, 1+s.Below(int64(req.Interval)), int64(req.Interval), int64(req.Interval)+1)))
	case 2:
		req.Interval = splitmix.Pick(s, r.o.rules.Guard(), r.o.shortest(), -1)
	case 3:
		if l.state.Interval != 0 {
			req.Interval = l.state.Interval
		}
	case 4:
		req.Spread = true
	case 5, 6:
		if l.accepted.Interval != 0 {
			return l.accepted
		}
	}
	return req
}

func describeInterval(req engine.IntervalRequest) string {
	switch {
	case req == engine.IntervalRequest{}:
		return "no interval"
	case req.Spread:
		return "the interval " + rotation.FormatDuration(req.Interval) + " with spread"
	case req.First.IsZero():
		return "the interval " + rotation.FormatDuration(req.Interval)
	}
	return "the interval " + rotation.FormatDuration(req.Interval) + " from " + req.First.Format(time.RFC3339Nano) + " on"
}

func (r *run) setInterval(s *splitmix.Stream, l *expectedCard, rep *replica, p *plan) {
	ref, req := refOf(s, l), r.drawInterval(s, l)
	r.reschedule(l, p, fmt.Sprintf("replica %d sets %s of %s", rep.number+1, describeInterval(req), ref.Card), ref,
		func(ctx context.Context) (engine.Schedule, error) { return rep.engine.SetInterval(ctx, ref, req) },
		func(after *expectedCard, t settings) (outcome, []event.Changed, error) {
			r.checkSentAgain(after, req)
			return after.interval(t, req, false)
		})
}

// checkSentAgain compares the stored card with the expected one after a request to set
// the interval, if that is the request that was accepted last. Only an end of its
// back-off may have changed the card.
func (r *run) checkSentAgain(l *expectedCard, req engine.IntervalRequest) {
	if !l.registered || !l.sentAgain(req) {
		return
	}
	r.coverage.sentAgain(l, r.at())
	c, err := r.base.Card(r.ctx, l.ref.Card)
	if err != nil || !c.Next.Equal(l.state.Next.Time) || c.Interval != l.state.Interval || c.Events != l.events {
		r.violate(settingsAgain, "%s of %s were sent again, and the next slot moved from %s to %s, with %d new events",
			describeInterval(req), l.ref.Card, describe(l.state.Next.Time), describe(c.Next), c.Events-l.events)
	}
}

func (r *run) disable(l *expectedCard, rep *replica, p *plan) {
	r.reschedule(l, p, fmt.Sprintf("replica %d turns rotation of %s off", rep.number+1, l.ref.Card), l.ref,
		func(ctx context.Context) (engine.Schedule, error) { return rep.engine.Disable(ctx, l.ref) },
		func(after *expectedCard, t settings) (outcome, []event.Changed, error) {
			after.accepted, after.forced = engine.IntervalRequest{}, false
			return after.apply(t, model.Event{Kind: model.Disable}, false, false)
		})
}

func (r *run) reschedule(l *expectedCard, p *plan, what string, ref engine.Ref,
	call func(context.Context) (engine.Schedule, error), apply func(*expectedCard, settings) (outcome, []event.Changed, error)) {
	r.note("%s", what)
	if got, _, answered := change(r, l, p, what, ref, call, apply); answered {
		r.compareSchedule(what, got, l, 1)
	}
}

func (r *run) compareSchedule(what string, got engine.Schedule, l *expectedCard, slots int) {
	want, _ := l.shown(r.at(), slots, r.o.daily)
	got.Failure, got.Effect = "", engine.Effect{}
	if difference := describeDifference(got, want); difference != "" {
		r.violate(answersRight, "the answer to %s: %s", what, difference)
	}
}
