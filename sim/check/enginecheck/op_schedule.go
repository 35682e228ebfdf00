package enginecheck

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/model"
	"cvvrotation/sim/timeline"
)

func (r *run) register(s *stream, l *ledger, rep *replica, p *plan) {
	p.call = memory.Update
	reg := engine.Registration{}
	if r.o.derived {
		reg.Particulars = particulars(slices.Index(r.cards, l))
	}
	if s.one(2) {
		reg.Schedule = r.drawInterval(s, l)
	}
	ref := l.ref
	var got engine.Schedule
	var created bool
	err := r.call(p, func(ctx context.Context) (err error) {
		got, created, err = rep.engine.Register(ctx, ref, reg)
		return err
	})
	after, t := *l, r.terms(l)
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
		done, events, want = after.interval(t, reg.Schedule)
		o = &done
	}
	r.note("replica %d registers %s with %s: %s", rep.number+1, ref.Card, words(reg.Schedule), ended(err))
	done, replied := r.outcomeOf(p, "registering "+ref.Card, err, want)
	if !done {
		return
	}
	r.commit(l, after, o, events, replied)
	if replied && created != isNew {
		r.violate(answersRight, "registering %s said that it is new: %v", ref.Card, created)
	}
	if replied && !got.Next.Equal(after.state.Next.Time) {
		r.violate(answersRight, "registering %s answered the next slot %v, not %v", ref.Card, got.Next, after.state.Next.Time)
	}
}

// interval is set_interval on the ledger.
func (l *ledger) interval(t terms, req engine.IntervalRequest) (outcome, []event.Changed, error) {
	e := model.Event{Kind: model.SetInterval, Interval: req.Interval}
	if !req.First.IsZero() {
		e.First = model.At(req.First)
	}
	return l.apply(t, e, false, false)
}

func (r *run) drawInterval(s *stream, l *ledger) engine.IntervalRequest {
	req := engine.IntervalRequest{Interval: r.o.intervals[s.below(int64(len(r.o.intervals)))]}
	switch s.below(10) {
	case 0, 1:
		req.First = r.at().Add(time.Duration(pick(s, 1, 1+s.below(int64(req.Interval)), int64(req.Interval), int64(req.Interval)+1)))
	case 2:
		req.Interval = pick(s, guard, guard+1, -1)
	case 3:
		if l.state.Interval != 0 {
			req.Interval = l.state.Interval
		}
	}
	return req
}

func words(req engine.IntervalRequest) string {
	switch {
	case req == engine.IntervalRequest{}:
		return "no interval"
	case req.First.IsZero():
		return "the interval " + timeline.FormatDuration(req.Interval)
	}
	return "the interval " + timeline.FormatDuration(req.Interval) + " from " + req.First.Format(time.RFC3339Nano) + " on"
}

func (r *run) setInterval(s *stream, l *ledger, rep *replica, p *plan) {
	ref, req := refOf(s, l), r.drawInterval(s, l)
	r.reschedule(l, p, fmt.Sprintf("replica %d sets %s of %s", rep.number+1, words(req), ref.Card), ref,
		func(ctx context.Context) (engine.Schedule, error) { return rep.engine.SetInterval(ctx, ref, req) },
		func(after *ledger, t terms) (outcome, []event.Changed, error) { return after.interval(t, req) })
}

func (r *run) disable(l *ledger, rep *replica, p *plan) {
	r.reschedule(l, p, fmt.Sprintf("replica %d turns rotation of %s off", rep.number+1, l.ref.Card), l.ref,
		func(ctx context.Context) (engine.Schedule, error) { return rep.engine.Disable(ctx, l.ref) },
		func(after *ledger, t terms) (outcome, []event.Changed, error) {
			return after.apply(t, model.Event{Kind: model.Disable}, false, false)
		})
}

func (r *run) reschedule(l *ledger, p *plan, what string, ref engine.Ref,
	call func(context.Context) (engine.Schedule, error), apply func(*ledger, terms) (outcome, []event.Changed, error)) {
	p.call = memory.Update
	r.note("%s", what)
	var got engine.Schedule
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = call(ctx)
		return err
	})
	after, t := *l, r.terms(l)
	var o outcome
	var events []event.Changed
	want := l.owned(ref)
	if want == nil {
		o, events, want = apply(&after, t)
	}
	r.note("  => %s, %s", o.rule, ended(err))
	done, replied := r.outcomeOf(p, what, err, want)
	if !done {
		return
	}
	r.commit(l, after, &o, events, replied)
	if replied {
		r.compareSchedule(what, got, l, 1)
	}
}

func (r *run) compareSchedule(what string, got engine.Schedule, l *ledger, slots int) {
	want, _ := l.shown(r.at(), slots)
	got.Failure = ""
	if got.ServiceCode != want.ServiceCode || !cmp.Equal(got, want) {
		r.violate(answersRight, "%s was answered (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

func (r *run) show(s *stream, l *ledger, rep *replica, p *plan) {
	p.call = memory.Card
	if p.kind != faultBefore && p.kind != faultAfter {
		p.kind = noFault
	}
	ref, slots := refOf(s, l), int(s.below(5))
	want := l.owned(ref)
	if s.one(2) {
		var got engine.Revealed
		err := r.call(p, func(ctx context.Context) (err error) {
			got, err = rep.engine.Reveal(ctx, ref)
			return err
		})
		r.note("replica %d reveals %s: %s", rep.number+1, ref.Card, ended(err))
		if err == nil && want == nil && (!got.CVV.Equal(l.current()) || got.Version != l.version || !got.Next.Equal(l.state.Next.Time)) {
			r.violate(answersRight, "revealing %s gave version %d, or a CVV of another version, not %d", ref.Card, got.Version, l.version)
		}
		r.readOutcome(p, "revealing "+ref.Card, err, want)
		return
	}
	var got engine.Schedule
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = rep.engine.Show(ctx, ref, slots)
		return err
	})
	r.note("replica %d shows %s: %s", rep.number+1, ref.Card, ended(err))
	if err == nil && want == nil {
		r.compareSchedule("showing "+ref.Card, got, l, slots)
	}
	r.readOutcome(p, "showing "+ref.Card, err, want)
}

// readOutcome is for calls that change nothing: a fault comes before what they
// would be refused for.
func (r *run) readOutcome(p *plan, what string, err, want error) {
	if p.fired {
		want = memory.ErrInjected
		p.fired = false
	}
	r.outcomeOf(p, what, err, want)
}

func (r *run) verify(s *stream, l *ledger, rep *replica, p *plan) {
	if !l.registered {
		return
	}
	p.call = memory.Update
	what := pick(s, "the CVV", "the CVV before", "the CVV before", "an older CVV", "a wrong CVV", "a wrong CVV", "a wrong CVV")
	guess := s.below(1000)
	present := func() cvvgen.CVV {
		old := map[string]int{"the CVV": 1, "the CVV before": 2, "an older CVV": 3}[what]
		if old > 0 && len(l.cvvs) >= old {
			return l.cvv(old)
		}
		for ; ; guess++ {
			cvv, _ := cvvgen.ParseCVV(fmt.Sprintf("%03d", guess%1000))
			if !cvv.Equal(l.current()) && !cvv.Equal(l.previous()) {
				return cvv
			}
		}
	}
	presented := present()
	r.note("replica %d verifies %s: %s is presented", rep.number+1, l.ref.Card, what)
	var got engine.Verdict
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = rep.engine.Verify(ctx, l.ref, presented)
		return err
	})
	after := *l
	want := after.verify(r.terms(l), presented)
	r.note("  => %v, %s; %d tries", got, ended(err), after.tries)
	done, replied := r.outcomeOf(p, "verifying", err, nil)
	if !done {
		return
	}
	*l = after
	r.places.verified(want, l, r.at())
	if replied && got != want {
		r.violate(verdictsRight, "verifying %s on %s gave %v, not %v", what, l.ref.Card, got, want)
	}
	r.events++ // not in the trace: by chance, an older CVV is the current one again
}

func (r *run) unlock(l *ledger, rep *replica, p *plan) {
	p.call = memory.Update
	err := r.call(p, func(ctx context.Context) error { return rep.engine.Unlock(ctx, l.ref) })
	r.note("replica %d unlocks %s: %s", rep.number+1, l.ref.Card, ended(err))
	if done, _ := r.outcomeOf(p, "unlocking", err, l.owned(l.ref)); done {
		l.tries, l.locked = 0, time.Time{}
	}
}
