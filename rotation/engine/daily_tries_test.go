package engine_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

const day = 24 * time.Hour

// guess presents a wrong CVV, which no CVV of 3 digits equals, and unlocks the card, as a
// caller with both scopes does.
func (f *fixture) guess(t *testing.T, ref engine.Ref, want engine.Verdict) {
	t.Helper()
	f.verify(t, ref, mustCVV("1234"), want)
	must.Get(f.Unlock(t.Context(), ref))(t)
}

// TestVerify_DailyTriesAreResetByNothing: whatever happens between the failed attempts,
// the limit holds for any CVV, the right one too.
func TestVerify_DailyTriesAreResetByNothing(t *testing.T) {
	for what, between := range map[string]func(*testing.T, *fixture, engine.Ref){
		"unlock alone": func(*testing.T, *fixture, engine.Ref) {},
		"the current CVV": func(t *testing.T, f *fixture, ref engine.Ref) {
			if must.Get(f.Show(t.Context(), ref, 0))(t).DailyTries < 20 {
				f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)
			}
		},
		"a forced rotation": func(t *testing.T, f *fixture, ref engine.Ref) { f.force(t, ref, engine.ForceRequest{}) },
		"a compromise": func(t *testing.T, f *fixture, ref engine.Ref) {
			f.force(t, ref, engine.ForceRequest{Compromised: true})
		},
		"an automatic rotation": func(t *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(time.Hour); f.tick(t) },
		"another interval": func(t *testing.T, f *fixture, ref engine.Ref) {
			must.Get(f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour, Spread: true}))(t)
			must.Get(f.Disable(t.Context(), ref))(t)
		},
		"registering again": func(t *testing.T, f *fixture, ref engine.Ref) {
			if _, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{}); err != nil {
				t.Error(err)
			}
		},
		"re-encryption": func(t *testing.T, f *fixture, _ engine.Ref) {
			must.Get(f.Reseal(t.Context()))(t)
		},
		"a sweep": func(t *testing.T, f *fixture, _ engine.Ref) { must.Do(t, f.Sweep(t.Context())) },
	} {
		t.Run(what, func(t *testing.T) {
			f := newFixture(t, func(o *engine.Options) { o.Grace = time.Hour })
			ref := f.register(t, "A", time.Hour)
			for i := range 20 {
				if what == "an automatic rotation" && i > 18 {
					break // the first attempts would leave the window
				}
				f.guess(t, ref, engine.VerdictWrong)
				between(t, f, ref)
			}
			for range 20 - must.Get(f.Show(t.Context(), ref, 0))(t).DailyTries {
				f.guess(t, ref, engine.VerdictWrong)
			}
			for range 3 {
				f.guess(t, ref, engine.VerdictThrottled)
				f.verify(t, ref, f.cvv(t, ref), engine.VerdictThrottled)
				f.force(t, ref, engine.ForceRequest{})
			}
		})
	}
}

// TestVerify_DailyTriesSlide: an attempt counts for exactly 24 hours.
func TestVerify_DailyTriesSlide(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.MaxDailyTries = 3 })
	ref := f.register(t, "A", 0)
	for range 3 { // at 15:00, 16:00, 17:00
		f.guess(t, ref, engine.VerdictWrong)
		f.clock.Add(time.Hour)
	}
	s := must.Get(f.Show(t.Context(), ref, 0))(t)
	if s.DailyTries != 3 || !s.ThrottledUntil.Equal(threePM.Add(day)) {
		t.Errorf("%d attempts, throttled until %v", s.DailyTries, s.ThrottledUntil)
	}
	before := f.card(t, "A")
	f.clock.Set(threePM.Add(day - 1))
	v := must.Get(f.Verify(t.Context(), ref, f.cvv(t, ref)))(t)
	if v.Verdict != engine.VerdictThrottled || !v.Effect.Throttled || v.Effect.Changed {
		t.Errorf("%v, %+v", v.Verdict, v.Effect)
	}
	must.Equal(t, before, f.card(t, "A")) // a refusal stores nothing
	f.clock.Set(threePM.Add(day))
	if s := must.Get(f.Show(t.Context(), ref, 0))(t); s.DailyTries != 2 || !s.ThrottledUntil.IsZero() {
		t.Errorf("%d attempts, throttled until %v", s.DailyTries, s.ThrottledUntil)
	}
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)
	f.guess(t, ref, engine.VerdictWrong)
	f.guess(t, ref, engine.VerdictThrottled)
	f.clock.Set(threePM.Add(day + time.Hour))
	f.guess(t, ref, engine.VerdictWrong)
	f.guess(t, ref, engine.VerdictThrottled)
	if n := len(f.card(t, "A").FailedAt); n != 3*8 {
		t.Errorf("%d bytes stored, want 24: older attempts are dropped", n)
	}
	f.clock.Add(day)
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)
	f.guess(t, ref, engine.VerdictWrong)
	if n := len(f.card(t, "A").FailedAt); n != 8 {
		t.Errorf("%d bytes stored, want 8", n)
	}
}

// TestVerify_DailyTriesWhenTheClockSteps: a step back frees no card early, and one from a
// clock that was far ahead blocks none for longer than a day.
func TestVerify_DailyTriesWhenTheClockSteps(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []time.Duration // after the attempts; the card is verified after each
		free  time.Duration   // from the attempts: when it must be free again
	}{
		{"no step", nil, day},
		{"back a nanosecond", []time.Duration{-1}, day},
		{"back an hour", []time.Duration{-time.Hour}, day},
		{"back an hour and forth", []time.Duration{-time.Hour, time.Hour}, day},
		{"back a day", []time.Duration{-day}, day},
		{"back a day and forth", []time.Duration{-day, day}, day},
		{"back and forth and back", []time.Duration{-time.Hour, 2 * time.Hour, -2 * time.Hour}, day},
		{"back over a day", []time.Duration{-day - 1}, -1},
		{"back three years", []time.Duration{-3 * 365 * day}, -3*365*day + day},
		{"back three years and an hour later", []time.Duration{-3 * 365 * day, time.Hour}, -3*365*day + day},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(o *engine.Options) { o.MaxDailyTries = 2 })
			ref := f.register(t, "A", 0)
			f.clock.Set(threePM.Add(10 * 365 * day))
			made := f.clock.Now()
			f.guess(t, ref, engine.VerdictWrong)
			f.guess(t, ref, engine.VerdictWrong)
			for _, step := range tt.steps {
				f.clock.Set(f.clock.Now().Add(step))
				f.verify(t, ref, f.cvv(t, ref), engine.VerdictThrottled)
			}
			until := must.Get(f.Show(t.Context(), ref, 0))(t).ThrottledUntil
			if !until.Equal(made.Add(tt.free)) {
				t.Fatalf("throttled until %v, want %v", until, made.Add(tt.free))
			}
			f.clock.Set(until.Add(-1))
			f.verify(t, ref, f.cvv(t, ref), engine.VerdictThrottled)
			f.clock.Set(until)
			f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)
		})
	}
}

func TestVerify_DailyTriesCountExpiredCVVs(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.MaxDailyTries, o.Grace = 2, time.Minute })
	ref := f.register(t, "A", 0)
	old := f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{})
	f.verify(t, ref, old, engine.VerdictPrevious)
	f.clock.Add(time.Minute)
	f.verify(t, ref, old, engine.VerdictExpired)
	f.verify(t, ref, old, engine.VerdictExpired)
	f.verify(t, ref, old, engine.VerdictThrottled)
}

// TestVerify_ALockedCardIsLockedFirst: the lock needs an unlock, the throttle only time.
func TestVerify_ALockedCardIsLockedFirst(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.MaxTries, o.MaxDailyTries = 2, 2 })
	ref := f.register(t, "A", 0)
	wrong := other(f.cvv(t, ref))
	f.verify(t, ref, wrong, engine.VerdictWrong)
	f.verify(t, ref, wrong, engine.VerdictWrong)
	f.verify(t, ref, wrong, engine.VerdictLocked)
	must.Get(f.Unlock(t.Context(), ref))(t)
	f.verify(t, ref, wrong, engine.VerdictThrottled)
	if f.seen.unlocked != 1 {
		t.Errorf("%d unlocks observed", f.seen.unlocked)
	}
	must.Get(f.Unlock(t.Context(), ref))(t)
	if f.seen.unlocked != 1 {
		t.Errorf("%d unlocks observed after one that changed nothing", f.seen.unlocked)
	}
}

// TestVerify_ALowerDailyLimitHoldsAtOnce, for what was stored under a higher one, which
// another replica may still have.
func TestVerify_ALowerDailyLimitHoldsAtOnce(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	for range 5 {
		f.guess(t, ref, engine.VerdictWrong)
		f.clock.Add(time.Hour)
	}
	low := must.Get(engine.New(f.store, engine.Random(nil, keyring(t, 1)), engine.Options{MaxDailyTries: 2}))(t)
	s := must.Get(low.Show(t.Context(), ref, 0))(t)
	if want := threePM.Add(3*time.Hour + day); s.DailyTries != 5 || !s.ThrottledUntil.Equal(want) {
		t.Errorf("%d attempts, throttled until %v, want %v", s.DailyTries, s.ThrottledUntil, want)
	}
	f.clock.Set(s.ThrottledUntil.Add(-1))
	if v := must.Get(low.Verify(t.Context(), ref, f.cvv(t, ref)))(t); v.Verdict != engine.VerdictThrottled {
		t.Errorf("verdict %v", v.Verdict)
	}
	f.clock.Add(1)
	if v := must.Get(low.Verify(t.Context(), ref, f.cvv(t, ref)))(t); v.Verdict != engine.VerdictCurrent {
		t.Errorf("verdict %v", v.Verdict)
	}
}

func TestNew_RefusesADailyLimitOutOfRange(t *testing.T) {
	for _, n := range []int{-1, 1001, math.MaxInt} {
		if _, err := engine.New(memory.New(memory.Options{}), engine.Random(nil, keyring(t, 1)), engine.Options{MaxDailyTries: n}); err == nil {
			t.Errorf("%d is accepted", n)
		}
	}
}

// TestVerify_ConcurrentGuessesAreLimited: many callers with verify and unlock share the
// limit.
func TestVerify_ConcurrentGuessesAreLimited(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	wrong := other(f.cvv(t, ref))
	var compared atomic.Int64
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 20 {
				v, err := f.Verify(t.Context(), ref, wrong)
				if err != nil {
					t.Error(err)
				}
				if v.Verdict == engine.VerdictWrong {
					compared.Add(1)
				}
				if _, err := f.Unlock(t.Context(), ref); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	must.Equal(t, int64(20), compared.Load())
}

// fixed is a generator whose CVVs are given.
type fixed struct {
	engine.Generator
	digits string
}

func (fixed) Draw(_ context.Context, c *store.Card, _ servicecode.Code, _ []cvvgen.CVV) error {
	c.ServiceCode = servicecode.MustParse("201")
	return nil
}

func (g fixed) Current(context.Context, *store.Card) (cvvgen.CVV, error) {
	return mustCVV(g.digits), nil
}
func (fixed) Previous(context.Context, *store.Card) (cvvgen.CVV, error) { return cvvgen.CVV{}, nil }

// attack guesses a card's CVV for some days, without pause and without repeating a value,
// with an unlock after each guess. It returns how many guesses were compared, and whether
// the last one was right.
func attack(t *testing.T, cvv string, limit, days int) (guesses int, found bool) {
	f := newFixtureWith(t, fixed{engine.Random(nil, keyring(t, 1)), cvv}, func(o *engine.Options) { o.MaxDailyTries = limit })
	ref := f.register(t, "A", 0)
	for end := threePM.Add(time.Duration(days) * day); ; {
		v := must.Get(f.Verify(t.Context(), ref, mustCVV(fmt.Sprintf("%03d", guesses))))(t)
		switch {
		case v.Verdict.Good():
			return guesses + 1, true
		case v.Verdict == engine.VerdictThrottled:
			until := must.Get(f.Show(t.Context(), ref, 0))(t).ThrottledUntil
			if !until.Before(end) {
				return guesses, false
			}
			if !until.After(f.clock.Now()) {
				t.Fatalf("throttled at %v, until %v", f.clock.Now(), until)
			}
			f.clock.Set(until)
		default:
			guesses++
			must.Get(f.Unlock(t.Context(), ref))(t)
		}
	}
}

// TestVerify_ChanceOfGuessing holds the closed form in docs/operating.md against attacks.
func TestVerify_ChanceOfGuessing(t *testing.T) {
	for _, tt := range []struct{ limit, days int }{{20, 1}, {20, 7}, {20, 30}, {5, 1}, {5, 30}, {3, 2}, {1, 1}} {
		t.Run(fmt.Sprintf("%d a day for %d days", tt.limit, tt.days), func(t *testing.T) {
			guesses, found := attack(t, "999", tt.limit, tt.days)
			if want := tt.limit * tt.days; guesses != want || found {
				t.Errorf("%d guesses were compared, want %d", guesses, want)
			}
		})
	}
	found := 0
	for cvv := range 1000 { // that a guess is as good as another one
		if _, ok := attack(t, fmt.Sprintf("%03d", cvv), 20, 1); ok {
			found++
		}
	}
	if found != 20 {
		t.Errorf("%d of 1000 CVVs were found in a day, want 20", found)
	}
}
