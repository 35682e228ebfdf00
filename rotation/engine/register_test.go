package engine_test

import (
	"errors"
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
