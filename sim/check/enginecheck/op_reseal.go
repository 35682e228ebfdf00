package enginecheck

import (
	"context"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
)

// reseal re-encrypts all cards with a replica's key, and then decrypts them with
// that key alone.
func (r *run) reseal(rep *replica, p *plan) {
	p.call = memory.CallUpdate
	key := r.keys[rep.number]
	alone := r.o.generator(keyring(key))
	var before []*expectedCard // cards that the key alone does not decrypt
	for _, l := range r.cards {
		if l.registered && !r.opens(alone, l) {
			before = append(before, l)
		}
	}
	var resealed, failed int
	err := r.call(p, func(ctx context.Context) (err error) {
		resealed, failed, err = rep.engine.Reseal(ctx)
		return err
	})
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

// opens reports whether the generator decrypts everything stored of a card.
func (r *run) opens(g engine.Generator, l *expectedCard) bool {
	c, err := r.base.Card(context.Background(), l.ref.Card)
	if err != nil {
		r.violate(stored, "reading the registered card %s failed: %v", l.ref.Card, err)
		return false
	}
	_, now := g.Current(context.Background(), &c)
	_, before := g.Previous(context.Background(), &c)
	return now == nil && before == nil
}
