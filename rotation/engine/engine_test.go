package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// TestScenarios: S1, S2 and S3 as the platform documents them, through the
// engine and its store.
func TestScenarios(t *testing.T) {
	day := 24 * time.Hour
	t.Run("a forced call resets the schedule", func(t *testing.T) {
		f := newFixture(t)
		ref := f.register(t, "A", day)
		f.clock.Add(10 * time.Minute)
		r := f.force(t, ref, engine.ForceRequest{})
		if !r.Rescheduled || !r.Next.Equal(f.clock.Now().Add(day)) {
			t.Errorf("rescheduled %t, next %v", r.Rescheduled, r.Next)
		}
	})
	t.Run("S1: forced after automatic", func(t *testing.T) {
		f := newFixture(t)
		ref := f.register(t, "A", day)
		f.clock.Add(day)
		f.tick(t)
		f.clock.Add(2*time.Minute - 1)
		r := f.force(t, ref, engine.ForceRequest{})
		if !r.Rotated || r.Rescheduled || r.Scenario != 1 || !r.Next.Equal(threePM.Add(2*day)) {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("S2: automatic after forced", func(t *testing.T) {
		f := newFixture(t)
		ref := f.register(t, "A", day)
		f.clock.Add(day)
		f.store.SetFaults(func(op memory.Op) memory.Fault {
			if op.Call != memory.CallClaim {
				return memory.Fault{}
			}
			return memory.Fault{Race: func() { f.force(t, ref, engine.ForceRequest{}) }}
		})
		f.tick(t)
		events := f.events(t, "A")
		last := events[len(events)-1]
		if !last.Automatic || last.Rescheduled || last.Scenario != 2 || last.Version != 3 || !last.Next.Equal(threePM.Add(2*day)) {
			t.Errorf("got %+v", last)
		}
	})
	t.Run("S3: several forced", func(t *testing.T) {
		f := newFixture(t)
		ref := f.register(t, "A", day)
		f.clock.Add(time.Hour)
		for i := range 5 {
			r := f.force(t, ref, engine.ForceRequest{})
			want := engine.Rotation{
				Card: "A", At: f.clock.Now().UTC(), Rotated: true, Rescheduled: i == 0, Rule: rotation.R2,
				Reason: rotation.ReasonGuard, Scenario: 3, Version: int64(i + 2), Next: threePM.Add(time.Hour + day), ServiceCode: r.ServiceCode,
			}
			if i == 0 {
				want.Rule, want.Reason, want.Scenario = rotation.R3, rotation.ReasonScheduled, 0
			}
			if diff := cmp.Diff(want, r, cmp.Comparer(func(a, b servicecode.Code) bool { return a == b })); diff != "" {
				t.Errorf("call %d (-want +got):\n%s", i, diff)
			}
			f.clock.Add(time.Minute)
		}
	})
}

// TestAHundredForceOneCard: all rotate, the guard holds, one schedule.
func TestAHundredForceOneCard(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	f.clock.Add(10 * time.Minute)
	results := make([]engine.Rotation, 100)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i], _ = f.Force(t.Context(), ref, engine.ForceRequest{}) })
	}
	all.Wait()
	versions, rescheduled := map[int64]bool{}, 0
	for _, r := range results {
		if !r.Rotated {
			t.Fatal("one did not rotate")
		}
		versions[r.Version] = true
		if r.Rescheduled {
			rescheduled++
		} else if r.Scenario != 3 {
			t.Errorf("scenario %d", r.Scenario)
		}
	}
	if len(versions) != 100 || rescheduled != 1 || len(f.events(t, "A")) != 101 {
		t.Errorf("%d versions, %d schedulings, %d events", len(versions), rescheduled, len(f.events(t, "A")))
	}
}

func TestIdempotency(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	other := f.register(t, "B", time.Hour)
	first := f.force(t, ref, engine.ForceRequest{Key: "k"})

	f.clock.Add(engine.KeyLifetime - 1)
	again := f.force(t, ref, engine.ForceRequest{Key: "k"})
	if !again.Replayed {
		t.Error("not marked as replayed")
	}
	again.Replayed = false
	if diff := cmp.Diff(first, again, cmp.Comparer(func(a, b servicecode.Code) bool { return a == b })); diff != "" {
		t.Errorf("another answer (-first +again):\n%s", diff)
	}
	if v := f.card(t, "A").Version; v != 2 {
		t.Errorf("the same key rotated again: version %d", v)
	}
	_, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: "k", Compromised: true})
	if !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another request under the key: %v", err)
	}
	_, err = f.Force(t.Context(), ref, engine.ForceRequest{Key: "k", ServiceCode: servicecode.MustParse("201")})
	if !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another service code under the key: %v", err)
	}
	if r := f.force(t, other, engine.ForceRequest{Key: "k"}); r.Replayed {
		t.Error("a key of one card answered for another")
	}
	f.clock.Add(1)
	if r := f.force(t, ref, engine.ForceRequest{Key: "k"}); r.Replayed || r.Version != 3 {
		t.Errorf("after a day: replayed %t, version %d", r.Replayed, r.Version)
	}
}

// TestLostReply: the commit went through and the reply did not. The same key
// then gives the answer, and the card has rotated once.
func TestLostReply(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	lost := true
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallUpdate && lost {
			lost = false
			return memory.Fault{After: memory.ErrInjected}
		}
		return memory.Fault{Again: true}
	})
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: "k"}); !errors.Is(err, memory.ErrInjected) {
		t.Fatal(err)
	}
	r := f.force(t, ref, engine.ForceRequest{Key: "k"})
	if !r.Replayed || r.Version != 2 || f.card(t, "A").Version != 2 {
		t.Errorf("replayed %t, version %d, card %d", r.Replayed, r.Version, f.card(t, "A").Version)
	}
}

// TestNothingHalfDone: whatever fails before the commit, the card is as before.
func TestNothingHalfDone(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	before := f.card(t, "A")
	f.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected} })
	f.clock.Add(2 * time.Hour)
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: "k"}); !errors.Is(err, memory.ErrInjected) {
		t.Error(err)
	}
	if _, err := f.Tick(t.Context()); !errors.Is(err, memory.ErrInjected) {
		t.Error(err)
	}
	f.store.SetFaults(nil)
	if diff := cmp.Diff(before, f.card(t, "A"), cmp.Comparer(func(a, b servicecode.Code) bool { return a == b })); diff != "" {
		t.Errorf("the card changed (-before +after):\n%s", diff)
	}
	if n := len(f.events(t, "A")); n != 1 {
		t.Errorf("%d events, want that of the interval", n)
	}
	if len(f.seen.decided) != 1 {
		t.Errorf("the observer was told of %d decisions", len(f.seen.decided))
	}
}

func TestAccounts(t *testing.T) {
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

func TestRegister(t *testing.T) {
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

func TestDerived(t *testing.T) {
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
	cvk, err := cvvgen.NewInsecureTestCVK(pair)
	if err != nil {
		t.Fatal(err)
	}
	local, err := cvvgen.NewLocal(cvk, cvvgen.YYMM, 3)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Derived(local, keyring(t, 1))
}

func particulars(t *testing.T) cvvgen.Card {
	t.Helper()
	pan, err := cvvgen.ParsePAN("4123456789012349")
	if err != nil {
		t.Fatal(err)
	}
	expiry, err := cvvgen.NewExpiry(2025, time.November)
	if err != nil {
		t.Fatal(err)
	}
	return cvvgen.Card{PAN: pan, Expiry: expiry}
}

func mustCVV(s string) cvvgen.CVV {
	cvv, err := cvvgen.ParseCVV(s)
	if err != nil {
		panic("not a CVV")
	}
	return cvv
}

func TestSchedule(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 24*time.Hour)
	f.clock.Add(time.Minute)
	s, err := f.Show(t.Context(), ref, 3)
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Time{threePM.Add(24 * time.Hour), threePM.Add(48 * time.Hour), threePM.Add(72 * time.Hour)}
	if diff := cmp.Diff(want, s.Slots); diff != "" {
		t.Error(diff)
	}
	if s.Forced.Rescheduled || s.Forced.Reason != rotation.ReasonGuard {
		t.Errorf("a forced call a minute after the interval was set: %+v", s.Forced)
	}
	f.clock.Add(time.Minute)
	if s, _ = f.Show(t.Context(), ref, 0); !s.Forced.Rescheduled || !s.Forced.Next.Equal(threePM.Add(24*time.Hour+2*time.Minute)) {
		t.Errorf("two minutes after: %+v", s.Forced)
	}
	for _, n := range []int{-1, engine.MaxSlots + 1} {
		if _, err := f.Show(t.Context(), ref, n); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%d slots: %v", n, err)
		}
	}
	var bad *rotation.EventError
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: 2 * time.Minute}); !errors.As(err, &bad) || bad.Field != "interval" {
		t.Errorf("an interval of the guard: %v", err)
	}
	for range 2 {
		if s, err := f.Disable(t.Context(), ref); err != nil || s.Interval != 0 || !s.Next.IsZero() {
			t.Errorf("Disable: %+v, %v", s, err)
		}
	}
	if _, ok, _ := f.store.NextDue(t.Context()); ok {
		t.Error("a card without a schedule is due")
	}
	var ops []event.Operation
	for _, ev := range f.events(t, "A") {
		ops = append(ops, ev.Operation)
	}
	if diff := cmp.Diff([]event.Operation{event.ChangeInterval, event.DeleteInterval}, ops); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestSpread: cards that are enrolled together get slots all over the interval,
// and the same ones whenever they are enrolled.
func TestSpread(t *testing.T) {
	f := newFixture(t)
	request := engine.IntervalRequest{Interval: time.Hour, Spread: true}
	var perQuarter [4]int
	for i := range 400 {
		ref := f.register(t, fmt.Sprintf("card-%d", i), 0)
		s, err := f.SetInterval(t.Context(), ref, request)
		if err != nil {
			t.Fatal(err)
		}
		wait := s.Next.Sub(f.clock.Now())
		if wait <= 0 || wait > time.Hour {
			t.Fatalf("the first slot is %v away", wait)
		}
		perQuarter[(wait-1)/(15*time.Minute)]++
	}
	for q, n := range perQuarter {
		if n < 70 || n > 130 { // 100 expected; the ids are fixed, so this is no matter of chance
			t.Errorf("%d cards in quarter %d", n, q)
		}
	}
	ref := engine.Ref{Card: "card-7", Account: "acme"}
	before, _ := f.Show(t.Context(), ref, 1)
	f.clock.Add(7 * time.Minute)
	after, err := f.SetInterval(t.Context(), ref, request)
	if err != nil || after.Next.Sub(before.Next)%time.Hour != 0 {
		t.Errorf("enrolled again, the phase moved from %v to %v (%v)", before.Next, after.Next, err)
	}
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour, Spread: true, First: threePM.Add(30 * time.Minute)}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("first and spread: %v", err)
	}
}
