package enginecheck

import (
	"context"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

func (r *run) sweep(s *splitmix.Stream, rep *replica, p *plan) {
	p.call, p.skip = splitmix.Pick(s, memory.CallIDsTooFarAhead, memory.CallUpdate, memory.CallDeleteExpired), int(s.Below(2))
	if p.kind != faultBefore && p.kind != faultAfter && p.kind != faultAgain {
		p.kind = noFault
	}
	skipped := p.skip
	err := r.call(p, func(ctx context.Context) error { return rep.engine.Sweep(ctx) })
	r.note("replica %d sweeps: %s", rep.number+1, describeError(err))
	kind := p.kind
	if !p.fired {
		kind = noFault
	}
	fails := kind == faultBefore || kind == faultAfter
	if fails && p.call != memory.CallUpdate && err == nil {
		r.violate(answersRight, "a failed sweep returned no error")
	}
	for _, l := range r.cards {
		first, ahead := l.ahead(r.at())
		if !ahead || fails && p.call == memory.CallIDsTooFarAhead && skipped == 0 || kind == faultBefore && p.call == memory.CallUpdate && p.card == l.ref.Card {
			continue
		}
		after := *l
		o, events, err := after.apply(r.settings(l), model.Event{Kind: model.SetInterval, Interval: l.state.Interval, First: model.At(first)}, false, true)
		if err != nil {
			continue
		}
		r.note("  repaired %s: next %v", l.ref.Card, after.due)
		r.coverage[goalRepaired]++
		r.commit(l, after, &o, events, !(kind == faultAfter && p.call == memory.CallUpdate && p.card == l.ref.Card))
	}
	if kind == faultBefore && p.call == memory.CallDeleteExpired && skipped == 0 {
		return
	}
	for _, l := range r.cards {
		for key, a := range l.answers {
			if !a.expires.After(r.at()) {
				delete(l.answers, key)
				r.coverage[goalPruned]++
			}
		}
	}
}
