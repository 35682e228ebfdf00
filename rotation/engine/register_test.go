package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// TestRegister_AgainWithAnotherIntervalSetsIt sets it.
func TestRegister_AgainWithAnotherIntervalSetsIt(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	s, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 2 * time.Hour}})
	if err != nil || created || s.Interval != 2*time.Hour || f.card(t, "A").Interval != 2*time.Hour {
		t.Errorf("interval %v, stored %v, created %t, %v", s.Interval, f.card(t, "A").Interval, created, err)
	}
}

func TestRegister_AgainChangesNothing(t *testing.T) {
	f := newFixture(t)
	ref := engine.Ref{Card: "A", Account: "acme"}
	reg := engine.RegisterRequest{ServiceCode: servicecode.MustParse("201"), Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
	s, created, err := f.Register(t.Context(), ref, reg)
	if err != nil || !created || s.Version != 1 || s.ServiceCode != reg.ServiceCode || !s.Next.Equal(threePM.Add(24*time.Hour)) {
		t.Fatalf("%+v, created %t, %v", s, created, err)
	}
	first := f.cvv(t, ref)
	f.clock.Add(time.Hour)
	s, created, err = f.Register(t.Context(), ref, reg)
	if err != nil || created || s.Version != 1 || !s.Next.Equal(threePM.Add(24*time.Hour)) {
		t.Errorf("again: %+v, created %t, %v", s, created, err)
	}
	if !f.cvv(t, ref).Equal(first) {
		t.Error("registering again changed the CVV")
	}
	if n := len(f.events(t, "A")); n != 1 {
		t.Errorf("%d events", n)
	}
	reg.Particulars = particulars(t)
	if _, _, err := f.Register(t.Context(), engine.Ref{Card: "B", Account: "acme"}, reg); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("a PAN that nobody needs: %v", err)
	}
	if _, err := f.store.Card(t.Context(), "B"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused card is there: %v", err)
	}
	for _, ref := range []engine.Ref{{Card: "B"}, engine.AnyAccount("B"), engine.AnyAccount("A")} {
		var missing *engine.FieldError
		if _, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{}); !errors.As(err, &missing) || missing.Field != "account" {
			t.Errorf("%s without an account: %v", ref.Card, err)
		}
	}
}

func TestRef_RefusesIDsThatLookLikePANs(t *testing.T) {
	f := newFixture(t)
	for n := 1; n <= 22; n++ {
		id := strings.Repeat("4", n)
		_, err := f.Show(t.Context(), engine.AnyAccount(id), 1)
		if want := n >= 12 && n <= 19; errors.Is(err, engine.ErrInvalid) != want {
			t.Errorf("%d digits: %v", n, err)
		}
	}
	for _, id := range []string{"4111-1111-1111-1111", "4111.1111_1111:1111"} {
		if _, err := f.Show(t.Context(), engine.AnyAccount(id), 1); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"card-411111111111", "0191e7c5-7d3a-7b21-9e0f-123456789012"} {
		if _, err := f.Show(t.Context(), engine.AnyAccount(id), 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestRef_RefusesOtherAccountsAndMissingOnes(t *testing.T) {
	f := newFixture(t)
	f.register(t, "A", time.Hour)
	stranger, nobody := engine.Ref{Card: "A", Account: "other"}, engine.Ref{Card: "Z", Account: "acme"}
	calls := map[string]func(engine.Ref) error{
		"Force":   func(r engine.Ref) error { _, err := f.Force(t.Context(), r, engine.ForceRequest{}); return err },
		"Deliver": func(r engine.Ref) error { _, err := f.Deliver(t.Context(), r, threePM); return err },
		"SetInterval": func(r engine.Ref) error {
			_, err := f.SetInterval(t.Context(), r, engine.IntervalRequest{Interval: time.Hour})
			return err
		},
		"Disable": func(r engine.Ref) error { _, err := f.Disable(t.Context(), r); return err },
		"Show":    func(r engine.Ref) error { _, err := f.Show(t.Context(), r, 1); return err },
		"Reveal":  func(r engine.Ref) error { _, err := f.Reveal(t.Context(), r); return err },
		"Verify":  func(r engine.Ref) error { _, err := f.Verify(t.Context(), r, mustCVV("123")); return err },
		"Unlock":  func(r engine.Ref) error { _, err := f.Unlock(t.Context(), r); return err },
	}
	before := f.card(t, "A")
	for name, call := range calls {
		if err := call(stranger); !errors.Is(err, engine.ErrForbidden) {
			t.Errorf("%s on another account's card: %v", name, err)
		}
		if err := call(nobody); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s on an unknown card: %v", name, err)
		}
		var missing *engine.FieldError
		if err := call(engine.Ref{Card: "A"}); !errors.As(err, &missing) || missing.Field != "account" {
			t.Errorf("%s without an account: %v", name, err)
		}
		if err := call(engine.Ref{Card: "A", Account: "*"}); !errors.As(err, &missing) || missing.Field != "account" {
			t.Errorf("%s with an account that is no name: %v", name, err)
		}
		if err := call(engine.AnyAccount("4111111111111111")); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s on an id that looks like a PAN: %v", name, err)
		}
		for _, id := range []string{"", "a/b", "a b", "é", ".", "..", "a\x00", strings.Repeat("a", 65)} {
			if err := call(engine.AnyAccount(id)); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("%s on %q: %v", name, id, err)
			}
		}
	}
	if _, _, err := f.Register(t.Context(), stranger, engine.RegisterRequest{}); !errors.Is(err, engine.ErrForbidden) {
		t.Errorf("Register on another account's card: %v", err)
	}
	if f.card(t, "A").Version != before.Version || f.card(t, "A").Tries != 0 {
		t.Error("a refused call changed the card")
	}
	for name, call := range calls {
		if err := call(engine.AnyAccount("A")); err != nil {
			t.Errorf("%s by an operator: %v", name, err)
		}
	}
}
