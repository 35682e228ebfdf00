package engine_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/sim/must"
)

// TestVerify_CompromisedCVVsExpireWithinGrace: neither the value that was compromised nor the one
// before it is good, whatever grace is running.
func TestVerify_CompromisedCVVsExpireWithinGrace(t *testing.T) {
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

// TestVerify_ExpiredCountsAsFailedAttempt, by the default number of tries.
func TestVerify_ExpiredCountsAsFailedAttempt(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	first := f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{})
	for range 3 {
		f.verify(t, ref, first, engine.VerdictExpired)
	}
	f.verify(t, ref, first, engine.VerdictLocked)

	// Unlocking forgets the tries.
	must.Get(f.Unlock(t.Context(), ref))(t)
	f.verify(t, ref, first, engine.VerdictExpired)
	f.verify(t, ref, first, engine.VerdictExpired)
	f.verify(t, ref, f.cvv(t, ref), engine.VerdictCurrent)
}

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
	got := must.Get(f.Verify(t.Context(), ref, cvv))(t)
	if got.Verdict != want {
		t.Errorf("verdict %v, want %v", got.Verdict, want)
	}
}

func TestVerify_Verdicts(t *testing.T) {
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

// TestVerify_RotationKeepsFailedAttempts: rotating never gives an attacker new tries.
func TestVerify_RotationKeepsFailedAttempts(t *testing.T) {
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
	must.Get(f.Unlock(t.Context(), ref))(t)
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
