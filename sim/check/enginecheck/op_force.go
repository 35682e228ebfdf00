package enginecheck

import (
	"context"
	"fmt"
	"slices"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/servicecode"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

func (r *run) force(s *splitmix.Stream, l *expectedCard, rep *replica, p *plan) {
	req := engine.ForceRequest{Compromised: s.OneIn(5)}
	code := splitmix.Pick(s, "", "", "", "", "", "", "201", "101", "221")
	switch {
	case s.OneIn(5):
	case s.OneIn(6) && len(l.answers) > 0:
		names := make([]string, 0, len(l.answers))
		for key := range l.answers {
			names = append(names, key)
		}
		slices.Sort(names)
		req.Key = names[s.Below(int64(len(names)))]
		prior := l.answers[req.Key]
		req.Compromised = prior.compromised != s.OneIn(2) // the same request, or another
		code = prior.code.String()
		if prior.code.IsValid() && r.o.derived && !prior.expires.After(r.at()) {
			code = ""
		}
	default:
		r.keyed++
		req.Key = fmt.Sprintf("key-%d", r.keyed)
	}
	req.ServiceCode, _ = servicecode.Parse(code)
	if _, known := l.answers[req.Key]; r.o.derived && req.ServiceCode.IsValid() && !known {
		req.ServiceCode = r.codeFor(l, req.ServiceCode, p)
	}
	r.callForce(l, refOf(s, l), rep, req, p)
}

// codeFor returns the service code to request with derived CVVs: the current code or that
// of a compromised CVV, which are refused, or another one. It requests none with a fault,
// which may change the current code first.
func (r *run) codeFor(l *expectedCard, code servicecode.Code, p *plan) servicecode.Code {
	switch {
	case p.kind != noFault || !l.registered:
		return servicecode.Code{}
	case code == servicecode.MustParse("221"):
		return l.code
	case code == servicecode.MustParse("101") && l.spentCode.IsValid():
		return l.spentCode
	case r.cvvOf(l, code).Equal(l.current()):
		return servicecode.MustParse("502")
	}
	return code
}

// retry repeats the oldest call that was not answered.
func (r *run) retry(rep *replica, p *plan) {
	if len(r.pending) == 0 {
		return
	}
	c := r.pending[0]
	r.pending = r.pending[1:]
	r.coverage[goalRetried]++
	r.callForce(c.card, c.ref, rep, c.req, p)
}

func (r *run) callForce(l *expectedCard, ref engine.Ref, rep *replica, req engine.ForceRequest, p *plan) {
	p.call = memory.CallUpdate
	what := fmt.Sprintf("forcing %s with the key %q", ref.Card, req.Key)
	r.note("replica %d forces %s, %s", rep.number+1, ref.Card, describeForce(req))
	var got engine.Rotation
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = rep.engine.Force(ctx, ref, req)
		got.Effect = engine.Effect{} // which is for audit logs
		return err
	})
	after, t := *l, r.settings(l)
	want := l.owned(ref)
	prior, known := l.answers[req.Key]
	known = known && prior.expires.After(t.now)
	var o outcome
	var events []event.Changed
	blame := answersRight
	switch {
	case want != nil:
	case known && (prior.code != req.ServiceCode || prior.compromised != req.Compromised):
		want, blame = engine.ErrKeyReused, once
		r.coverage[goalKeyReused]++
	case known:
		r.note("  => repeats an idempotency key: %s", describeError(err))
		r.coverage[goalReplayed]++
		if done, replied := r.checkCall(once, p, what, err, nil); done && replied {
			expect := prior.rotation
			expect.Replayed = true
			if prior.rotation.Version == 0 { // it was never answered
				expect = got
				expect.Replayed, expect.Card = true, l.ref.Card
				prior.rotation = got
				prior.rotation.Replayed = false
				r.answers = append(r.answers, prior.rotation)
				l.answers[req.Key] = prior
			}
			if got != expect {
				r.violate(once, "%s: the answer is not the first one: %s", what, describeDifference(got, expect))
			}
		} else {
			r.pending = append(r.pending, pending{l, ref, req})
		}
		return
	default:
		o, events, want = after.apply(t, model.Event{Kind: model.Forced}, req.Compromised, false)
		if want == nil && r.o.derived && req.ServiceCode.IsValid() {
			cvv := r.cvvOf(l, req.ServiceCode)
			if slices.ContainsFunc(after.spent, cvv.Equal) {
				want, blame = engine.ErrInvalid, spent
				r.coverage[goalSpentRefused]++
			}
			if cvv.Equal(l.current()) {
				want, blame = engine.ErrInvalid, answersRight
			}
		}
		after.chosen = req.ServiceCode
	}
	r.note("  => version %d, %s", after.version, describeDecision(o.rule, err))
	done, replied := r.checkCall(blame, p, what, err, want)
	if !replied && req.Key != "" {
		r.pending = append(r.pending, pending{l, ref, req})
	}
	if !done {
		return
	}
	r.commit(l, after, &o, events, replied)
	expect := l.answer(t.now, o, got)
	if replied && got != expect {
		r.violate(answersRight, "the answer to %s: %s", what, describeDifference(got, expect))
	}
	if replied {
		r.answers = append(r.answers, got)
	} else {
		expect = engine.Rotation{}
	}
	if req.Key != "" {
		l.answers[req.Key] = answered{req.ServiceCode, req.Compromised, t.now.Add(engine.KeyLifetime), expect}
	}
}

// cvvOf returns the CVV that a code gives where CVVs are derived.
func (r *run) cvvOf(l *expectedCard, code servicecode.Code) cvvgen.CVV {
	cvv, _ := deriver.Derive(r.ctx, particulars(slices.Index(r.cards, l)), code) // never fails
	return cvv
}
