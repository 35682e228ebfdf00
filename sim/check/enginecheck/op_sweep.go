package enginecheck

import (
	"bytes"
	"context"
	"slices"

	"cvvrotation/rotation/engine"
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

// reseal re-encrypts all cards with a replica's key, and then decrypts them with
// that key alone.
func (r *run) reseal(rep *replica, p *plan) {
	p.call = memory.CallUpdate
	key := r.keys[rep.number]
	alone := r.newGenerator(key)
	var before []*expectedCard // cards that the key alone does not decrypt
	for _, l := range r.cards {
		if l.registered && !r.opens(alone, l) {
			before = append(before, l)
		}
	}
	var got engine.Resealed
	err := r.call(p, func(ctx context.Context) (err error) {
		got, err = rep.engine.Reseal(ctx)
		return err
	})
	resealed, failed := got.Cards, got.Failed
	r.note("replica %d re-encrypts all cards with key %d: %d done, %d failed, %s", rep.number+1, key, resealed, failed, describeError(err))
	kind := p.kind
	if !p.fired {
		kind = noFault
	}
	if kind == faultStall || kind == faultKill {
		return // the engine skipped the rest
	}
	wantFailed := 0
	if kind == faultBefore || kind == faultAfter {
		wantFailed = 1
	}
	if err != nil || failed != wantFailed || kind != faultRace && resealed+failed != len(before) {
		r.violate(answersRight, "re-encryption reported %d cards, %d failed, %v; %d needed it", resealed, failed, err, len(before))
	}
	r.coverage[goalResealed] += uint64(resealed)
	if resealed > 0 && failed > 0 {
		r.coverage[goalResealFailed]++
	}
	for _, l := range before {
		theCall := p.card == l.ref.Card
		if kind == faultBefore && theCall || kind == faultRace && !theCall { // the winner may have encrypted another card with its own key
			continue
		}
		if !r.opens(alone, l) {
			r.violate(sealed, "%s was re-encrypted, but key %d alone does not decrypt it", l.ref.Card, key)
		}
	}
}

// opens reports whether the generator decrypts everything stored of a card, whose
// fingerprints are those of its keys.
func (r *run) opens(g engine.Generator, l *expectedCard) bool {
	c, err := r.base.Card(context.Background(), l.ref.Card)
	if err != nil {
		r.violate(stored, "reading the registered card %s failed: %v", l.ref.Card, err)
		return false
	}
	_, now := g.Current(context.Background(), &c)
	_, before := g.Previous(context.Background(), &c)
	_, compromised := g.Compromised(&c)
	want, identity := g.Fingerprints(&c)
	prints, err := r.base.Fingerprints(context.Background(), l.ref.Card)
	if err != nil || len(prints) == 0 && len(want) > 0 {
		r.violate(stored, "%s has no fingerprint; reading it: %s", l.ref.Card, describeError(err))
	}
	return now == nil && before == nil && compromised == nil && identity == nil && slices.EqualFunc(prints, want, bytes.Equal)
}
