package engine_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
)

// TestReseal_KeepsThePreviousCVV: also the value before opens after the old key is
// gone.
func TestReseal_KeepsThePreviousCVV(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.Grace = time.Hour })
	ref := f.register(t, "A", 0)
	before := f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{})
	for _, keys := range [][]uint32{{2, 1}, {2}} {
		f.Engine, _ = engine.New(f.store, engine.Random(nil, keyring(t, keys...)), engine.Options{Grace: time.Hour})
		if _, failed, err := f.Reseal(t.Context()); failed != 0 || err != nil {
			t.Fatal(failed, err)
		}
	}
	f.verify(t, ref, before, engine.VerdictPrevious)
}

// TestReveal_RefusesACVVOfAnotherCardOrVersion: a sealed CVV moved to another card or version does not
// open there.
func TestReveal_RefusesACVVOfAnotherCardOrVersion(t *testing.T) {
	f := newFixture(t)
	a, b := f.register(t, "A", time.Hour), f.register(t, "B", time.Hour)
	old := f.card(t, "A")
	f.force(t, a, engine.ForceRequest{})
	card := f.card(t, "A")
	card.Sealed = old.Sealed
	f.store.Put(card)
	if _, err := f.Reveal(t.Context(), a); err == nil {
		t.Error("an old value opens under a new version")
	}
	moved := f.card(t, "B")
	moved.Sealed = old.Sealed
	f.store.Put(moved)
	if _, err := f.Reveal(t.Context(), b); err == nil {
		t.Error("a value opens for another card")
	}
	// R15: an old value that can't be read keeps no card from rotating.
	if r := f.force(t, b, engine.ForceRequest{}); !r.Rotated {
		t.Error("not rotated")
	}
	f.verify(t, b, f.cvv(t, b), engine.VerdictCurrent)
}

// TestCheckKeys_RefusesKeysThatDecryptNothing: keys of which none fits are found out, also under an id that
// does, and one damaged card is no reason to stop.
func TestCheckKeys_RefusesKeysThatDecryptNothing(t *testing.T) {
	f := newFixture(t)
	if err := f.CheckKeys(t.Context()); err != nil {
		t.Errorf("without cards: %v", err)
	}
	for _, id := range []string{"A", "B"} {
		f.register(t, id, time.Hour)
	}
	broken := f.card(t, "A")
	broken.Sealed[20] ^= 1
	f.store.Put(broken)
	if err := f.CheckKeys(t.Context()); err != nil {
		t.Errorf("with one damaged card: %v", err)
	}
	impostor := must.Get(seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize))))(t)
	for name, c := range map[string]struct {
		keys *seal.Keyring
		want error
	}{"another key under the same id": {impostor, seal.ErrOpen}, "another id": {keyring(t, 2), seal.ErrUnknownKey}} {
		e := must.Get(engine.New(f.store, engine.Random(nil, c.keys), engine.Options{}))(t)
		if err := e.CheckKeys(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReseal_ReencryptsAllButUnreadableCards(t *testing.T) {
	f := newFixture(t)
	var refs []engine.Ref
	var values []cvvgen.CVV
	for _, id := range []string{"A", "B", "C"} {
		ref := f.register(t, id, time.Hour)
		f.force(t, ref, engine.ForceRequest{})
		refs, values = append(refs, ref), append(values, f.cvv(t, ref))
	}
	broken := f.card(t, "B")
	broken.Sealed[20] ^= 1
	f.store.Put(broken)
	withKeys := func(ids ...uint32) *engine.Engine {
		return must.Get(engine.New(f.store, engine.Random(nil, keyring(t, ids...)), engine.Options{}))(t)
	}
	resealed, failed, err := withKeys(2, 1).Reseal(t.Context())
	if resealed != 2 || failed != 1 || err != nil {
		t.Fatalf("%d resealed, %d failed, %v", resealed, failed, err)
	}
	if resealed, failed, err = withKeys(2, 1).Reseal(t.Context()); resealed != 0 || failed != 1 || err != nil {
		t.Errorf("the second time: %d resealed, %d failed, %v", resealed, failed, err)
	}
	e := withKeys(2) // the old key is gone
	for _, i := range []int{0, 2} {
		r, err := e.Reveal(t.Context(), refs[i])
		if err != nil || !r.CVV.Equal(values[i]) {
			t.Errorf("card %s after resealing: the same value %t, %v", refs[i].Card, r.CVV.Equal(values[i]), err)
		}
	}
	if v := f.card(t, "A").Version; v != 2 {
		t.Errorf("resealing changed the version to %d", v)
	}
}
