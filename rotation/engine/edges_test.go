package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
)

// TestCompromisedWithinGrace: neither the value that was compromised nor the one
// before it is good, whatever grace is running.
func TestCompromisedWithinGrace(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.Grace = time.Hour; o.MaxTries = 100 })
	ref := f.register(t, "A", 24*time.Hour)
	first := f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{})
	second := f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{Compromised: true})
	f.verify(t, ref, second, engine.VerdictExpired)
	if v, err := f.Verify(t.Context(), ref, first); err != nil || v.Verdict.Good() && !first.Equal(f.cvv(t, ref)) {
		t.Errorf("the value before: %v, %v", v, err)
	}
}

// TestExpiredIsATry, by the default number of tries.
func TestExpiredIsATry(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	first := f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{})
	for range 3 {
		f.verify(t, ref, first, engine.VerdictExpired)
	}
	f.verify(t, ref, first, engine.VerdictLocked)

	// Unlocking forgets the tries.
	if _, err := f.Unlock(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	f.verify(t, ref, first, engine.VerdictExpired)
	f.verify(t, ref, first, engine.VerdictExpired)
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)
}

// TestReplaysAreNotCounted, and whoever relays events is told when there are any.
func TestReplaysAreNotCounted(t *testing.T) {
	written := 0
	f := newFixture(t, func(o *engine.Options) { o.Written = func() { written++ } })
	expect := func(what string, want int) {
		t.Helper()
		if written != want {
			t.Errorf("%s: told %d times, want %d", what, written, want)
		}
	}
	ref := f.register(t, "A", time.Hour)
	expect("an interval", 1)
	f.force(t, ref, engine.ForceRequest{Key: "k"})
	expect("a forced call", 2)
	f.force(t, ref, engine.ForceRequest{Key: "k"})
	expect("its replay", 2)
	if len(f.seen.decided) != 2 {
		t.Errorf("%d decisions counted", len(f.seen.decided))
	}
	f.clock.Add(time.Hour)
	f.tick(t)
	expect("a claim", 3)
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}); err != nil {
		t.Fatal(err)
	}
	expect("the interval in force", 3)
}

func TestKeysAreChecked(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	for _, key := range []string{strings.Repeat("k", engine.MaxKey+1), "a\nb", "é", "\x7f"} {
		if _, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: key}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	f.force(t, ref, engine.ForceRequest{Key: strings.Repeat("k", engine.MaxKey)})
}

func TestIdsThatLookLikePANs(t *testing.T) {
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

// TestSpreadAtItsOwnSlot: at the very instant of its phase, the first slot is an
// interval away, not now.
func TestSpreadAtItsOwnSlot(t *testing.T) {
	f := newFixture(t)
	request := engine.IntervalRequest{Interval: 24 * time.Hour, Spread: true}
	ref := f.register(t, "A", 0)
	s, err := f.SetInterval(t.Context(), ref, request)
	if err != nil {
		t.Fatal(err)
	}
	slot := s.Next
	f.clock.Set(slot)
	if _, err := f.Disable(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if s, err = f.SetInterval(t.Context(), ref, request); err != nil || !s.Next.Equal(slot.Add(24*time.Hour)) {
		t.Errorf("next %v, %v", s.Next, err)
	}

	// Ids that differ in their last digit are not neighbours.
	var waits []time.Duration
	for i := range 10 {
		ref := f.register(t, fmt.Sprintf("card-%d", i), 0)
		s, err := f.SetInterval(t.Context(), ref, request)
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, s.Next.Sub(slot))
	}
	if span := slices.Max(waits) - slices.Min(waits); span < 12*time.Hour {
		t.Errorf("ten cards within %v of a day", span)
	}
}

// TestRegisteredAgainWithAnotherInterval sets it.
func TestRegisteredAgainWithAnotherInterval(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	s, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 2 * time.Hour}})
	if err != nil || created || s.Interval != 2*time.Hour || f.card(t, "A").Interval != 2*time.Hour {
		t.Errorf("interval %v, stored %v, created %t, %v", s.Interval, f.card(t, "A").Interval, created, err)
	}
}

// TestDisableReplacesADamagedSchedule: subscribers are told that rotation is off,
// once, if they were told that it was on; the numbers go on.
func TestDisableReplacesADamagedSchedule(t *testing.T) {
	for _, interval := range []time.Duration{0, time.Hour} {
		f := newFixture(t)
		ref := f.register(t, "A", interval)
		f.force(t, ref, engine.ForceRequest{})
		f.clock.Add(time.Minute)
		want := len(f.events(t, "A"))
		c := f.card(t, "A")
		c.State[5] ^= 1
		f.store.Put(c)
		for range 2 {
			if s, err := f.Disable(t.Context(), ref); err != nil || s.Interval != 0 || !s.Next.IsZero() {
				t.Errorf("%+v, %v", s, err)
			}
		}
		events := f.events(t, "A")
		if interval != 0 {
			want++
			last := events[len(events)-1]
			if last.Operation != event.DeleteInterval || last.Version != 2 || !last.At.Equal(f.clock.Now()) || last.Interval != 0 || !last.Next.IsZero() || last.Reason != rotation.ReasonRotationOff {
				t.Errorf("the last event: %+v", last)
			}
		}
		if len(events) != want || f.card(t, "A").Events != int64(want) {
			t.Errorf("interval %v: %d events, the card counts %d, want %d", interval, len(events), f.card(t, "A").Events, want)
		}
		if r := f.force(t, ref, engine.ForceRequest{}); r.Rule != rotation.R1 {
			t.Errorf("forced afterwards: %v", r.Rule)
		}
	}
}

// TestRepairsNoMoreThanNeeded: an interval ahead is right, a nanosecond more is
// not, and whole intervals too many leave the last instant within one.
func TestRepairsNoMoreThanNeeded(t *testing.T) {
	for _, c := range []struct{ ahead, want time.Duration }{
		{24 * time.Hour, 24 * time.Hour},
		{24*time.Hour + 1, 1},
		{72 * time.Hour, 24 * time.Hour},
		{71 * time.Hour, 23 * time.Hour},
	} {
		f := newFixture(t)
		f.clock.Set(threePM.Add(c.ahead - 24*time.Hour))
		f.register(t, "A", 24*time.Hour)
		f.clock.Set(threePM)
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.card(t, "A").Next.Sub(threePM); got != c.want {
			t.Errorf("%v ahead: repaired to %v, want %v", c.ahead, got, c.want)
		}
		if repaired := c.ahead != c.want; (f.seen.repaired == 1) != repaired {
			t.Errorf("%v ahead: repaired %d times", c.ahead, f.seen.repaired)
		}
	}
}

// TestSweepPrunes what has expired and nothing else.
func TestSweepPrunes(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.KeepFor = time.Hour })
	ref := f.register(t, "A", 0)
	f.force(t, ref, engine.ForceRequest{Key: "k"})
	if err := f.store.RecordDeliveries(t.Context(), []store.Delivery{{Position: 1, Status: store.StatusDelivered}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after  time.Duration
		events int
	}{{time.Hour, 1}, {1, 0}} {
		f.clock.Add(c.after)
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(f.events(t, "A")); n != c.events {
			t.Errorf("%v on: %d events kept, want %d", c.after, n, c.events)
		}
	}
	if r := f.force(t, ref, engine.ForceRequest{Key: "k"}); !r.Replayed {
		t.Error("a key was forgotten too soon")
	}
}

// TestNeverTheSameAgain: a random CVV is never the one that it replaces. Left to
// chance, 5,000 draws would repeat five times.
func TestNeverTheSameAgain(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	before := f.cvv(t, ref)
	for range 5000 {
		f.force(t, ref, engine.ForceRequest{})
		now := f.cvv(t, ref)
		if now.Equal(before) {
			t.Fatal("a CVV replaced itself")
		}
		before = now
	}
}

// TestResealKeepsThePrevious: also the value before opens after the old key is
// gone.
func TestResealKeepsThePrevious(t *testing.T) {
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

// TestParticularsAreBound to their card.
func TestParticularsAreBound(t *testing.T) {
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
