package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
)

// TestEffect_ReportsWhatWasFoundAndChanged, in the result of an operation that is
// done and in the error of one that is not.
func TestEffect_ReportsWhatWasFoundAndChanged(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, func(o *engine.Options) { o.MaxTries = 1 })
	f.clock.Add(time.Minute)
	now := f.clock.Now()
	ref := engine.Ref{Card: "A", Account: "acme"}
	eve, nobody := engine.Ref{Card: "A", Account: "eve"}, engine.Ref{Card: "B", Account: "acme"}
	type result func() (engine.Effect, error)
	force := func(ref engine.Ref, key string) result {
		return func() (engine.Effect, error) {
			r, err := f.Force(ctx, ref, engine.ForceRequest{Key: key})
			return r.Effect, err
		}
	}
	set := func(d time.Duration) result {
		return func() (engine.Effect, error) {
			s, err := f.SetInterval(ctx, ref, engine.IntervalRequest{Interval: d})
			return s.Effect, err
		}
	}
	disable := func() (engine.Effect, error) { s, err := f.Disable(ctx, ref); return s.Effect, err }
	reveal := func(ref engine.Ref) result {
		return func() (engine.Effect, error) { r, err := f.Reveal(ctx, ref); return r.Effect, err }
	}
	register := func(ref engine.Ref) result {
		return func() (engine.Effect, error) {
			s, _, err := f.Register(ctx, ref, engine.RegisterRequest{})
			return s.Effect, err
		}
	}
	verify := func() (engine.Effect, error) { v, err := f.Verify(ctx, ref, mustCVV("12345")); return v.Effect, err }
	unlock := func() (engine.Effect, error) { return f.Unlock(ctx, ref) }
	fault := func(x memory.Fault) result {
		return func() (engine.Effect, error) {
			f.store.SetFaults(func(memory.Op) memory.Fault { return x })
			defer f.store.SetFaults(nil)
			return force(ref, "")()
		}
	}
	for _, step := range []struct {
		name string
		do   result
		want engine.Effect
		fail bool
	}{
		{"no such card", force(ref, ""), engine.Effect{At: now}, true},
		{"nothing to reveal", reveal(ref), engine.Effect{}, true},
		{"register", register(ref), engine.Effect{Account: "acme", At: now, Version: 1, Changed: true}, false},
		{"register again", register(ref), engine.Effect{Account: "acme", At: now, Before: 1, Version: 1}, false},
		{"register another's", register(eve), engine.Effect{Account: "acme", At: now, Before: 1}, true},
		{"force", force(ref, "k"), engine.Effect{Account: "acme", At: now, Before: 1, Version: 2, Changed: true}, false},
		{"force anybody's", force(engine.AnyAccount("A"), ""), engine.Effect{Account: "acme", At: now, Before: 2, Version: 3, Changed: true}, false},
		{"force again", force(ref, "k"), engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Replayed: true}, false},
		{"force another's", force(eve, "k"), engine.Effect{Account: "acme", At: now, Before: 3}, true},
		{"another's unknown card", force(nobody, "k"), engine.Effect{At: now}, true},
		{"an id that is none", force(engine.AnyAccount("4111111111111111"), ""), engine.Effect{}, true},
		{"set", set(time.Hour), engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Interval: time.Hour, Changed: true}, false},
		{"set again", set(time.Hour), engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Interval: time.Hour}, false},
		{"set too little", set(time.Second), engine.Effect{Account: "acme", At: now, Before: 3}, true},
		{"reveal", reveal(ref), engine.Effect{Account: "acme", Before: 3, Version: 3, Interval: time.Hour}, false},
		{"reveal another's", reveal(eve), engine.Effect{Account: "acme", Before: 3}, true},
		{"disable", disable, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Changed: true}, false},
		{"disable again", disable, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3}, false},
		{"lock", verify,
			engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Changed: true, Locked: true}, false},
		{"locked before", verify,
			engine.Effect{Account: "acme", At: now, Before: 3, Version: 3}, false},
		{"unlock", unlock, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Changed: true}, false},
		{"unlock again", unlock, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3}, false},
		{"not stored", fault(memory.Fault{Before: memory.ErrInjected}), engine.Effect{Account: "acme", At: now, Before: 3}, true},
		{"tried again", fault(memory.Fault{Again: true}), engine.Effect{Account: "acme", At: now, Before: 3, Version: 4, Changed: true}, false},
		{"stored perhaps", fault(memory.Fault{After: memory.ErrInjected}), engine.Effect{Account: "acme", At: now, Before: 4}, true},
	} {
		got, err := step.do()
		if (err != nil) != step.fail {
			t.Fatalf("%s: %v", step.name, err)
		}
		var failed *engine.OperationError
		if errors.As(err, &failed) {
			if got != (engine.Effect{}) {
				t.Errorf("%s: refused, and a result of %+v", step.name, got)
			}
			got = failed.Effect
		}
		if d := cmp.Diff(step.want, got); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
}
