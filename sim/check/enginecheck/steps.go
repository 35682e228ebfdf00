package enginecheck

import (
	"context"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/internal/splitmix"
)

// runStep runs one step and compares the result with the expected state.
func (r *run) runStep(st step) {
	r.number, r.draws = st.number, 0
	s := newStream(r.seed, st.number)
	focus := r.cards[s.Below(int64(len(r.cards)))]
	r.passTime(&s, focus)
	p := &plan{}
	if s.Below(256) < r.o.faults && !st.calm {
		p.kind = splitmix.Pick(&s, faultBefore, faultAfter, faultAfter, faultAgain, faultStall, faultRace, faultRace, faultRace, faultKill)
		nested := newStream(r.seed, st.number|1<<62)
		p.race = func() {
			claiming := r.claiming
			defer func() { r.claiming = claiming }()
			r.claiming = false
			r.now += splitmix.Pick(&nested, 0, 1, nested.Below(int64(guard)))
			r.operate(&nested, focus, &plan{}, true)
			r.compare()
			r.now += splitmix.Pick(&nested, 0, 0, 0, int64(r.o.rules.Guard())) // and the winner's guard has ended
		}
	}
	r.operate(&s, focus, p, false)
	r.compare()
}

// passTime advances the clock, often to an edge.
func (r *run) passTime(s *splitmix.Stream, l *expectedCard) {
	next, since := l.due, l.rotated
	switch s.Below(8) {
	case 0:
	case 1:
		r.now += splitmix.Pick(s, 1, int64(time.Second), s.Below(int64(guard)))
	case 2, 3, 4:
		if !next.IsZero() && next.UnixNano() > r.now && next.UnixNano()-r.now < int64(20*day) {
			r.now = next.UnixNano() + splitmix.Pick(s, 0, 0, 0, -1, 1, s.Below(int64(guard)), s.Below(int64(3*day)))
		}
	case 5:
		if edge := l.previousUntil.UnixNano() + splitmix.Pick(s, int64(-1), 0, 0, 1); !l.previousUntil.IsZero() && edge > r.now && s.OneIn(2) {
			r.now = edge
			return
		}
		if edge := since.Add(r.o.rules.Guard()).UnixNano() + splitmix.Pick(s, int64(-1), 0, 1); edge > r.now && edge <= r.now+int64(r.o.rules.Guard()) {
			r.now = edge
		}
	case 6:
		r.now += splitmix.Pick(s, int64(guard), int64(time.Hour), s.Below(int64(day)))
	case 7:
		if r.o.jumps && s.OneIn(3) {
			r.stepClock(s, l)
		}
	}
}

func (r *run) stepClock(s *splitmix.Stream, l *expectedCard) {
	if next := l.state.Next.Time; l.state.Interval != 0 && s.OneIn(3) {
		r.now = next.UnixNano() - int64(l.state.Interval)*splitmix.Pick(s, int64(1), 2, 3)
		r.note("the store's clock steps to whole intervals before the slot of %s", l.ref.Card)
		r.coverage[goalWholeIntervals]++
		r.sweep(s, r.replicas[0], &plan{})
		r.compare()
		return
	}
	if r.jumped != 0 {
		r.note("the store's clock steps back by %v", r.jumped)
		r.now -= int64(r.jumped)
		r.jumped = 0
		r.coverage[goalJumpedBack]++
		return
	}
	if s.OneIn(2) {
		r.now -= s.Below(int64(2 * guard))
		return
	}
	r.jumped = time.Duration(s.Below(int64(3*year))) + day
	r.now += int64(r.jumped)
	r.note("the store's clock steps ahead by %v", r.jumped)
}

// operate draws one operation and runs it. A nested operation is the winner of a
// race.
func (r *run) operate(s *splitmix.Stream, l *expectedCard, p *plan, nested bool) {
	rep := r.replicas[s.Below(int64(len(r.replicas)))]
	switch n := s.Below(100); {
	case !l.registered && n < 80, n < 4:
		r.register(s, l, rep, p)
	case n < 24:
		r.tick(rep, p)
	case n < 46:
		r.force(s, l, rep, p)
	case n < 56:
		r.setInterval(s, l, rep, p)
	case n < 59:
		r.disable(l, rep, p)
	case n < 66:
		r.deliver(s, l, rep, p)
	case n < 79:
		r.verify(s, l, rep, p)
	case n < 81:
		r.unlock(l, rep, p)
	case n < 85:
		r.show(s, l, rep, p)
	case nested:
		r.tick(rep, p)
	case n < 89:
		r.sweep(s, rep, p)
	case n < 93:
		r.relay(s, rep, p)
	case n < 95:
		r.keys[rep.number] = splitmix.Pick[uint32](s, 1, 1, 2)
		r.note("replica %d is killed and restarts; it encrypts with key %d", rep.number+1, r.keys[rep.number])
		r.start(rep.number)
	case n < 96:
		r.note("the store is killed and restarts")
		r.reopen()
	case n < 97:
		r.reseal(rep, p)
	case n < 98:
		if r.o.poison {
			r.poisoned[l.ref.Card] = !r.poisoned[l.ref.Card]
			r.note("the generator fails for %s: %v", l.ref.Card, r.poisoned[l.ref.Card])
			for i := 0; i < 40 && r.poisoned[l.ref.Card] && l.registered && !l.due.IsZero() && r.failure == nil; i++ {
				r.now = max(r.now, l.due.UnixNano())
				r.tick(rep, &plan{})
				r.compare()
			}
		}
	default:
		r.retry(rep, p)
	}
}

func (r *run) commit(l *expectedCard, after expectedCard, o *outcome, events []event.Changed, replied bool) {
	*l = after
	r.written = append(r.written, events...)
	if o != nil && replied {
		r.expected = append(r.expected, engine.Observation{Kind: o.kind, Decision: o.decision(), Lateness: o.lateness})
	}
	r.coverage.decided(o)
	r.events++
}

// change makes a call that changes a card, and applies the same change to the
// expected card. It returns the answer, the expected outcome, and whether the
// change was committed and answered.
func change[A any](r *run, l *expectedCard, p *plan, what string, ref engine.Ref, call func(context.Context) (A, error),
	apply func(*expectedCard, settings) (outcome, []event.Changed, error)) (got A, o outcome, answered bool) {
	p.call = memory.CallUpdate
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = call(ctx)
		return err
	})
	after := *l
	var events []event.Changed
	want := l.owned(ref)
	if want == nil {
		o, events, want = apply(&after, r.settings(l))
	}
	r.note("  => %s", describeDecision(o.rule, err))
	done, replied := r.checkAnswer(p, what, err, want)
	if done {
		r.commit(l, after, &o, events, replied)
	}
	return got, o, done && replied
}

// refOf returns a reference to the card, mostly with the card's own account.
func refOf(s *splitmix.Stream, l *expectedCard) engine.Ref {
	ref := l.ref
	switch s.Below(24) {
	case 0:
		ref.Account = "another"
	case 1, 2:
		return engine.AnyAccount(ref.Card)
	}
	return ref
}

// newStream returns the random numbers of one step. They depend on the seed and
// the step's number alone, so removing a step changes no other one.
func newStream(seed, step uint64) splitmix.Stream {
	return splitmix.New(splitmix.Mix(splitmix.Mix(seed+splitmix.Gamma) ^ splitmix.Mix(step^splitmix.Gamma)))
}
