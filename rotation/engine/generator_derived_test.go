package engine_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/servicecode"
)

// TestDerived_ParticularsAreBoundToTheirCard to their card.
func TestDerived_ParticularsAreBoundToTheirCard(t *testing.T) {
	g := derived(t)
	f := newFixtureWith(t, g)
	for _, id := range []string{"A", "B"} {
		if _, _, err := f.Register(t.Context(), engine.Ref{Card: id, Account: "acme"}, engine.RegisterRequest{Particulars: particulars(t)}); err != nil {
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
	pair := []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10}
	cvk := must.Get(cvvgen.NewInsecureTestCVK(pair))(t)
	local := must.Get(cvvgen.NewLocal(cvk, cvvgen.ExpiryOrderYYMM, 3))(t)
	return engine.Derived(local, keyring(t, 1))
}

func particulars(t *testing.T) cvvgen.Card {
	t.Helper()
	pan := must.Get(cvvgen.ParsePAN("4123456789012349"))(t)
	expiry := must.Get(cvvgen.NewExpiry(2025, time.November))(t)
	return cvvgen.Card{PAN: pan, Expiry: expiry}
}
