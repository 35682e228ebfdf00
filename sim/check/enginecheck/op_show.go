package enginecheck

import (
	"context"
	"fmt"
	"time"

	"cvvrotation/cvvgen"
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

func (r *run) verify(s *splitmix.Stream, l *expectedCard, rep *replica, p *plan) {
	if !l.registered {
		return
	}
	p.call = memory.CallUpdate
	what := splitmix.Pick(s, "the CVV", "the previous CVV", "the previous CVV", "an older CVV", "a wrong CVV", "a wrong CVV", "a wrong CVV")
	guess := s.Below(1000)
	present := func() cvvgen.CVV {
		old := map[string]int{"the CVV": 1, "the previous CVV": 2, "an older CVV": 3}[what]
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
	var got engine.Verification
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = rep.engine.Verify(ctx, l.ref, presented)
		return err
	})
	after := *l
	want := after.verify(r.settings(l), presented)
	answer := describeError(err)
	if err == nil {
		answer = describe(got.Verdict)
	}
	r.note("  => %s; %d failed attempts", answer, after.tries)
	done, replied := r.checkAnswer(p, "verifying", err, nil)
	if !done {
		return
	}
	*l = after
	r.coverage.verified(want, l, r.at())
	if replied && !r.o.jumps && (got.Verdict == engine.VerdictWrong || got.Verdict == engine.VerdictExpired) {
		r.countJudged(l)
	}
	if replied && got.Verdict != want {
		r.violate(verdictsRight, "verifying %s on %s returned %s, want %s", what, l.ref.Card, describe(got.Verdict), want)
	}
	r.events++
}

// countJudged counts the CVVs of the last 24 hours that were reported as wrong.
func (r *run) countJudged(l *expectedCard) {
	l.judged = append(l.judged, r.at())
	n := 0
	for _, at := range l.judged {
		if at.Add(day).After(r.at()) {
			n++
		}
	}
	if n > r.o.daily {
		r.violate(dailyLimit, "%s compared %d wrong CVVs within 24 hours, and the limit is %d", l.ref.Card, n, r.o.daily)
	}
}

func (r *run) unlock(l *expectedCard, rep *replica, p *plan) {
	p.call = memory.CallUpdate
	err := r.call(p, func(ctx context.Context) error {
		_, err := rep.engine.Unlock(ctx, l.ref)
		return err
	})
	r.note("replica %d unlocks %s: %s", rep.number+1, l.ref.Card, describeError(err))
	if done, _ := r.checkAnswer(p, "unlocking", err, l.owned(l.ref)); done {
		l.tries, l.locked = 0, time.Time{}
	}
}
