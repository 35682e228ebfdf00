package engine_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
)

// TestEffects: what each operation tells an audit log, done and refused.
func TestEffects(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, func(o *engine.Options) { o.MaxTries = 1 })
	f.clock.Add(time.Minute)
	now := f.clock.Now()
	var got engine.Effect
	ref := engine.Ref{Card: "A", Account: "acme", Effect: &got}
	eve, nobody, anyones := ref, ref, ref
	eve.Account, nobody.Card, anyones.Account = "eve", "B", ""
	force := func(ref engine.Ref, key string) error {
		_, err := f.Force(ctx, ref, engine.ForceRequest{Key: key})
		return err
	}
	set := func(d time.Duration) error {
		_, err := f.SetInterval(ctx, ref, engine.IntervalRequest{Interval: d})
		return err
	}
	disable := func() error { _, err := f.Disable(ctx, ref); return err }
	reveal := func(ref engine.Ref) error { _, err := f.Reveal(ctx, ref); return err }
	register := func(ref engine.Ref) error {
		_, _, err := f.Register(ctx, ref, engine.Registration{})
		return err
	}
	fault := func(x memory.Fault) func() error {
		return func() error {
			f.store.SetFaults(func(memory.Op) memory.Fault { return x })
			defer f.store.SetFaults(nil)
			return force(ref, "")
		}
	}
	for _, step := range []struct {
		name string
		do   func() error
		want engine.Effect
		fail bool
	}{
		{"no such card", func() error { return force(ref, "") }, engine.Effect{At: now}, true},
		{"nothing to reveal", func() error { return reveal(ref) }, engine.Effect{}, true},
		{"register", func() error { return register(ref) }, engine.Effect{Account: "acme", At: now, Version: 1, Changed: true}, false},
		{"register again", func() error { return register(ref) }, engine.Effect{Account: "acme", At: now, Before: 1, Version: 1}, false},
		{"register another's", func() error { return register(eve) }, engine.Effect{Account: "acme", At: now, Before: 1}, true},
		{"force", func() error { return force(ref, "k") }, engine.Effect{Account: "acme", At: now, Before: 1, Version: 2, Changed: true}, false},
		{"force anybody's", func() error { return force(anyones, "") }, engine.Effect{Account: "acme", At: now, Before: 2, Version: 3, Changed: true}, false},
		{"force again", func() error { return force(ref, "k") }, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Replayed: true}, false},
		{"force another's", func() error { return force(eve, "k") }, engine.Effect{Account: "acme", At: now, Before: 3}, true},
		{"another's unknown card", func() error { return force(nobody, "k") }, engine.Effect{At: now}, true},
		{"an id that is none", func() error { return force(engine.Ref{Card: "4111111111111111", Effect: &got}, "") }, engine.Effect{}, true},
		{"set", func() error { return set(time.Hour) }, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Interval: time.Hour, Changed: true}, false},
		{"set again", func() error { return set(time.Hour) }, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Interval: time.Hour}, false},
		{"set too little", func() error { return set(time.Second) }, engine.Effect{Account: "acme", At: now, Before: 3}, true},
		{"reveal", func() error { return reveal(ref) }, engine.Effect{Account: "acme", Before: 3, Version: 3, Interval: time.Hour}, false},
		{"reveal another's", func() error { return reveal(eve) }, engine.Effect{Account: "acme", Before: 3}, true},
		{"disable", disable, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Changed: true}, false},
		{"disable again", disable, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3}, false},
		{"lock", func() error { _, err := f.Verify(ctx, ref, mustCVV("12345")); return err },
			engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Changed: true, Locked: true}, false},
		{"locked before", func() error { _, err := f.Verify(ctx, ref, mustCVV("12345")); return err },
			engine.Effect{Account: "acme", At: now, Before: 3, Version: 3}, false},
		{"unlock", func() error { return f.Unlock(ctx, ref) }, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3, Changed: true}, false},
		{"unlock again", func() error { return f.Unlock(ctx, ref) }, engine.Effect{Account: "acme", At: now, Before: 3, Version: 3}, false},
		{"not stored", fault(memory.Fault{Before: memory.ErrInjected}), engine.Effect{Account: "acme", At: now, Before: 3}, true},
		{"tried again", fault(memory.Fault{Again: true}), engine.Effect{Account: "acme", At: now, Before: 3, Version: 4, Changed: true}, false},
		{"stored perhaps", fault(memory.Fault{After: memory.ErrInjected}), engine.Effect{Account: "acme", At: now, Before: 4}, true},
	} {
		got = engine.Effect{}
		err := step.do()
		if (err != nil) != step.fail {
			t.Fatalf("%s: %v", step.name, err)
		}
		if d := cmp.Diff(step.want, got); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
}
