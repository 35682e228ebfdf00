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
	r.note("  => %v, %s; %d failed attempts", got.Verdict, describeError(err), after.tries)
	done, replied := r.checkAnswer(p, "verifying", err, nil)
	if !done {
		return
	}
	*l = after
	r.coverage.verified(want, l, r.at())
	if replied && got.Verdict != want {
		r.violate(verdictsRight, "verifying %s on %s returned %v, want %v", what, l.ref.Card, got.Verdict, want)
	}
	r.events++ // not in the trace: by chance, an older CVV is the current one again
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
