package enginecheck

import (
	"context"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/internal/splitmix"
)

func (r *run) show(s *splitmix.Stream, l *expectedCard, rep *replica, p *plan) {
	p.call = memory.CallCard
	if p.kind != faultBefore && p.kind != faultAfter {
		p.kind = noFault
	}
	ref, slots := refOf(s, l), int(s.Below(5))
	want := l.owned(ref)
	if s.OneIn(2) {
		var got engine.Revealed
		err := r.call(p, func(ctx context.Context) (err error) {
			got, err = rep.engine.Reveal(ctx, ref)
			return err
		})
		r.note("replica %d reveals %s: %s", rep.number+1, ref.Card, describeError(err))
		if err == nil && want == nil && (!got.CVV.Equal(l.current()) || got.Version != l.version || !got.Next.Equal(l.state.Next.Time)) {
			r.violate(answersRight, "revealing %s returned version %d or another version's CVV, want version %d", ref.Card, got.Version, l.version)
		}
		r.checkRead(p, "revealing "+ref.Card, err, want)
		return
	}
	var got engine.Schedule
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = rep.engine.Show(ctx, ref, slots)
		return err
	})
	r.note("replica %d shows %s: %s", rep.number+1, ref.Card, describeError(err))
	if err == nil && want == nil {
		r.compareSchedule("showing "+ref.Card, got, l, slots)
	}
	r.checkRead(p, "showing "+ref.Card, err, want)
}

// checkRead checks a call that changes nothing. Its fault takes precedence over
// the error that it would return otherwise.
func (r *run) checkRead(p *plan, what string, err, want error) {
	if p.fired {
		want = memory.ErrInjected
		p.fired = false
	}
	r.checkAnswer(p, what, err, want)
}
