package engine_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// TestForce_NeverRepeatsTheReplacedCVV: a random CVV is never the one that it replaces. Left to
// chance, 5,000 draws would repeat five times.
func TestForce_NeverRepeatsTheReplacedCVV(t *testing.T) {
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

// TestForce_ScenariosKeepTheSchedule: S1, S2 and S3 as the platform documents them, through the
// engine and its store.
func TestForce_ScenariosKeepTheSchedule(t *testing.T) {
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

// TestForce_ConcurrentCallsScheduleOnce: all rotate, the guard holds, one schedule.
func TestForce_ConcurrentCallsScheduleOnce(t *testing.T) {
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

// TestForce_FailureBeforeCommitChangesNothing: whatever fails before the commit, the card is as before.
func TestForce_FailureBeforeCommitChangesNothing(t *testing.T) {
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

// TestForce_EventNamesTheRulesThatDecided unless they are the default, in whose events no member changes.
func TestForce_EventNamesTheRulesThatDecided(t *testing.T) {
	for _, rules := range []rotation.Rules{{}, must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling))(t)} {
		t.Run(rules.String(), func(t *testing.T) {
			f := newFixture(t, func(o *engine.Options) { o.Rules = rules })
			f.force(t, f.register(t, "A", time.Hour), engine.ForceRequest{})
			for _, e := range f.events(t, "A") {
				if e.Rules != rules {
					t.Errorf("event %d was decided under %v", e.Number, e.Rules)
				}
			}
		})
	}
}

// TestForce_ReplayIsNeitherObservedNorWritten also shows that the relay is woken only
// when events were written.
func TestForce_ReplayIsNeitherObservedNorWritten(t *testing.T) {
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
	must.Get(f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}))(t)
	expect("the interval in force", 3)
}

func TestForce_RefusesKeysThatAreNotPrintableASCII(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	for _, key := range []string{strings.Repeat("k", engine.MaxKey+1), "a\nb", "é", "\x7f"} {
		if _, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: key}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	f.force(t, ref, engine.ForceRequest{Key: strings.Repeat("k", engine.MaxKey)})
}

func TestForce_SameKeyRotatesOnce(t *testing.T) {
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

func TestForce_StoresOnlyTheHashOfAKey(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	var keys []string
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		keys = append(keys, op.Key)
		return memory.Fault{}
	})
	for _, key := range []string{"alice@example.com", ""} {
		f.force(t, ref, engine.ForceRequest{Key: key})
	}
	// printf 'A alice@example.com' | openssl dgst -sha256 -binary | base64
	must.Equal(t, []string{"pg3rWyVP0WoJzNLYz2WBim6+dMrtkh078bAPVAlpbOM=", ""}, keys)
}

// TestForce_SameKeyAfterALostReplyRotatesOnce: the commit went through and the reply did not. The same key
// then gives the answer, and the card has rotated once.
func TestForce_SameKeyAfterALostReplyRotatesOnce(t *testing.T) {
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
