package engine_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
)

// other returns a CVV that is none of these.
func other(not ...cvvgen.CVV) cvvgen.CVV {
	var random cvvgen.Random
	for {
		c := random.Next(not[0])
		good := true
		for _, n := range not {
			good = good && !c.Equal(n)
		}
		if good {
			return c
		}
	}
}

func (f *fixture) verify(t *testing.T, ref engine.Ref, cvv cvvgen.CVV, want engine.Verdict) {
	t.Helper()
	got, err := f.Verify(t.Context(), ref, cvv)
	if err != nil {
		t.Fatal(err)
	}
	if got.Verdict != want {
		t.Errorf("verdict %v, want %v", got.Verdict, want)
	}
}

func TestVerdicts(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.Grace = 30 * time.Second; o.MaxTries = 100 })
	ref := f.register(t, "A", time.Hour)
	first := f.cvv(t, ref)
	f.verify(t, ref, first, engine.VerdictCurrent)
	f.verify(t, ref, other(first), engine.VerdictWrong)
	f.force(t, ref, engine.ForceRequest{})
	second := f.cvv(t, ref)
	if second.Equal(first) {
		t.Fatal("a CVV replaced itself")
	}
	f.verify(t, ref, first, engine.VerdictPrevious)
	f.clock.Add(30*time.Second - 1)
	f.verify(t, ref, first, engine.VerdictPrevious)
	f.clock.Add(1)
	f.verify(t, ref, first, engine.VerdictExpired)
	f.verify(t, ref, second, engine.VerdictCurrent)
	f.verify(t, ref, mustCVV("1234"), engine.VerdictWrong) // another length
	f.force(t, ref, engine.ForceRequest{Compromised: true})
	f.verify(t, ref, second, engine.VerdictExpired)
	if _, err := f.Verify(t.Context(), ref, cvvgen.CVV{}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("no CVV: %v", err)
	}
}

// TestTries: rotating never gives an attacker new tries.
func TestTries(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.MaxTries = 3 })
	ref := f.register(t, "A", time.Hour)
	try := func() { // once in a thousand it is the value before
		t.Helper()
		if v, err := f.Verify(t.Context(), ref, other(f.cvv(t, ref))); err != nil || v.Verdict != engine.VerdictWrong && v.Verdict != engine.VerdictExpired {
			t.Fatalf("verdict %v, %v", v.Verdict, err)
		}
	}
	for range 3 {
		try()
		f.force(t, ref, engine.ForceRequest{})
		f.clock.Add(time.Hour)
		f.tick(t)
	}
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictLocked)
	f.force(t, ref, engine.ForceRequest{})
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictLocked)
	if s, _ := f.Show(t.Context(), ref, 1); s.Locked.IsZero() || s.Tries != 3 {
		t.Errorf("shown as locked %v after %d tries", s.Locked, s.Tries)
	}
	if _, err := f.Unlock(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)

	// A right one sets the count back, a previous one does not.
	now := f.cvv(t, ref)
	try()
	try()
	f.verify(t, ref, now, engine.VerdictCurrent)
	try()
	try()
	f.verify(t, ref, now, engine.VerdictCurrent)
}

// TestVersionsAreBound: a sealed CVV moved to another card or version does not
// open there.
func TestVersionsAreBound(t *testing.T) {
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

// TestCheckKeys: keys of which none fits are found out, also under an id that
// does, and one damaged card is no reason to stop.
func TestCheckKeys(t *testing.T) {
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
	impostor, err := seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keys *seal.Keyring
		want error
	}{"another key under the same id": {impostor, seal.ErrOpen}, "another id": {keyring(t, 2), seal.ErrUnknownKey}} {
		e, err := engine.New(f.store, engine.Random(nil, c.keys), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.CheckKeys(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReseal(t *testing.T) {
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
		e, err := engine.New(f.store, engine.Random(nil, keyring(t, ids...)), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return e
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
