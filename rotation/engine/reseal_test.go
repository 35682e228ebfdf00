package engine_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
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
		if r, err := f.Reseal(t.Context()); r.Failed != 0 || err != nil {
			t.Fatal(r, err)
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

// TestCheckKeys_RefusesAnotherKeyThanTheService: keys are changed as the documentation
// says, with lists that are older or in another order between the steps.
func TestCheckKeys_RefusesAnotherKeyThanTheService(t *testing.T) {
	f := newFixture(t)
	f.register(t, "A", time.Hour)
	with := func(ids ...uint32) *engine.Engine {
		return must.Get(engine.New(f.store, engine.Random(nil, keyring(t, ids...)), engine.Options{Clock: f.clock}))(t)
	}
	check := func(step string, ids []uint32, wantAdopt, wantCheck bool) {
		t.Helper()
		recorded := must.Get(f.store.SealingKey(t.Context()))(t)
		if err := with(ids...).CheckKeys(t.Context()); (err == nil) != wantCheck || err != nil && !errors.Is(err, engine.ErrKeys) {
			t.Errorf("%s: check of %v: %v", step, ids, err)
		}
		if err := with(ids...).AdoptKeys(t.Context()); (err == nil) != wantAdopt || err != nil && !errors.Is(err, engine.ErrKeys) {
			t.Errorf("%s: adopt %v: %v", step, ids, err)
		}
		must.Do(t, f.store.SetSealingKey(t.Context(), recorded))
	}
	check("no service yet", []uint32{1}, true, true)
	check("no service yet", []uint32{2}, false, false) // decrypts nothing
	must.Do(t, with(1).AdoptKeys(t.Context()))
	check("key 1", []uint32{1}, true, true)
	check("key 1", []uint32{1, 2}, true, true)
	check("key 1", []uint32{2, 1}, true, false) // a service with it changes the key
	must.Do(t, with(2, 1).AdoptKeys(t.Context()))
	check("key 2", []uint32{2, 1}, true, true)
	check("key 2", []uint32{1, 2}, true, false)
	check("key 2", []uint32{1}, false, false) // last year's list, which still decrypts the card
	check("key 2", []uint32{3, 1}, false, false)
	_, err := with(2, 1).Reseal(t.Context())
	must.Do(t, err)
	check("re-encrypted", []uint32{2}, true, true)
	check("re-encrypted", []uint32{1}, false, false)
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
	r, err := withKeys(2, 1).Reseal(t.Context())
	if r != (engine.Resealed{Cards: 2, Failed: 1}) || err != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = withKeys(2, 1).Reseal(t.Context()); r != (engine.Resealed{Failed: 1}) || err != nil {
		t.Errorf("the second time: %+v, %v", r, err)
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

// TestDerived_ParticularsAreBoundToTheirCard to their card.
func TestDerived_ParticularsAreBoundToTheirCard(t *testing.T) {
	g := derived(t)
	f := newFixtureWith(t, g)
	for id, pan := range map[string]string{"A": "4123456789012349", "B": "4123456789012356"} {
		if _, _, err := f.Register(t.Context(), engine.Ref{Card: id, Account: "acme"}, engine.RegisterRequest{Particulars: particularsOf(t, pan)}); err != nil {
			t.Fatal(err)
		}
	}
	b := f.card(t, "B")
	b.Identity = f.card(t, "A").Identity
	f.store.Put(b)
	if _, err := f.Reveal(t.Context(), engine.AnyAccount("B")); err == nil {
		t.Error("particulars open for another card")
	}
	pan, _ := cvvgen.ParsePAN("4111111111111111")
	other := particulars(t)
	other.PAN = pan
	if _, _, err := f.Register(t.Context(), engine.Ref{Card: "A", Account: "acme"}, engine.RegisterRequest{Particulars: other}); !errors.Is(err, engine.ErrRegistered) {
		t.Errorf("with another PAN: %v", err)
	}
}

func TestDerived_RotatesToOtherCVVs(t *testing.T) {
	f := newFixtureWith(t, derived(t), func(o *engine.Options) { o.Grace = time.Minute })
	ref := engine.Ref{Card: "A", Account: "acme"}
	if _, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("without a PAN: %v", err)
	}
	// 4123456789012349, 2511, 201 gives 526 (published vector).
	reg := engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")}
	if _, _, err := f.Register(t.Context(), ref, reg); err != nil {
		t.Fatal(err)
	}
	if got := f.cvv(t, ref); !got.Equal(mustCVV("526")) {
		t.Error("the CVV is not that of the published vector")
	}
	if c := f.card(t, "A"); c.Sealed != nil || len(c.Identity) != 20+seal.Overhead {
		t.Errorf("%d bytes of CVV stored, %d of particulars", len(c.Sealed), len(c.Identity))
	}
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{ServiceCode: servicecode.MustParse("201")}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("forced to the same CVV: %v", err)
	}
	for range 20 {
		before := f.cvv(t, ref)
		f.force(t, ref, engine.ForceRequest{})
		if f.cvv(t, ref).Equal(before) {
			t.Fatal("a CVV replaced itself")
		}
		if v, err := f.Verify(t.Context(), ref, before); err != nil || v.Verdict != engine.VerdictPrevious {
			t.Fatalf("the previous CVV, within its grace: %v, %v", v.Verdict, err)
		}
	}
	if _, created, err := f.Register(t.Context(), ref, reg); err != nil || created {
		t.Errorf("again: created %t, %v", created, err)
	}
	expiry, _ := cvvgen.NewExpiry(2030, time.May)
	reg.Particulars.Expiry = expiry
	if _, _, err := f.Register(t.Context(), ref, reg); !errors.Is(err, engine.ErrRegistered) {
		t.Errorf("with another expiry: %v", err)
	}
}

// derived returns a generator with a published test key.
func derived(t *testing.T) engine.Generator {
	t.Helper()
	return derivedFor(t, engine.DerivedOptions{AnyPAN: true})
}

func derivedFor(t *testing.T, o engine.DerivedOptions) engine.Generator {
	t.Helper()
	pair := []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10}
	cvk := must.Get(cvvgen.NewInsecureTestCVK(pair))(t)
	local := must.Get(cvvgen.NewLocal(cvk, cvvgen.ExpiryOrderYYMM, 3))(t)
	return engine.Derived(local, keyring(t, 1), o)
}

func particulars(t *testing.T) cvvgen.Card {
	t.Helper()
	return particularsOf(t, "4123456789012349")
}

func particularsOf(t *testing.T, number string) cvvgen.Card {
	t.Helper()
	pan := must.Get(cvvgen.ParsePAN(number))(t)
	expiry := must.Get(cvvgen.NewExpiry(2025, time.November))(t)
	return cvvgen.Card{PAN: pan, Expiry: expiry}
}
