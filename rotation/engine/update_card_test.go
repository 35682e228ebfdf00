package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
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
	compromised := func() (engine.Effect, error) {
		r, err := f.Force(ctx, ref, engine.ForceRequest{Compromised: true, Key: "c"})
		return r.Effect, err
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
		{"force compromised", compromised, engine.Effect{Account: "acme", At: now, Before: 5, Version: 6, Changed: true, Compromised: true}, false},
		{"force compromised again", compromised, engine.Effect{Account: "acme", At: now, Before: 6, Version: 6, Replayed: true}, false},
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

// secret is what panics have at hand: 0xbc55.
const secret = 48213

// panicking is a generator that panics, once it is told how.
type panicking struct {
	engine.Generator
	how func(int)
}

// leaveHere panics with the secret as its argument, which a stack trace shows.
//
//go:noinline
func (g *panicking) leaveHere(digits int) {
	if g.how != nil {
		g.how(digits)
	}
}

func (g *panicking) Identify(c *store.Card, p cvvgen.Card) error {
	g.leaveHere(secret)
	return g.Generator.Identify(c, p)
}

func (g *panicking) SameIdentity(c *store.Card, p cvvgen.Card) (bool, error) {
	g.leaveHere(secret)
	return g.Generator.SameIdentity(c, p)
}

func (g *panicking) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	g.leaveHere(secret)
	return g.Generator.Draw(ctx, c, code, avoid)
}

func (g *panicking) Current(ctx context.Context, c *store.Card) (cvvgen.CVV, error) {
	g.leaveHere(secret)
	return g.Generator.Current(ctx, c)
}

func (g *panicking) Reseal(c *store.Card) (bool, error) {
	g.leaveHere(secret)
	return g.Generator.Reseal(c)
}

// TestRecover_PanicsBecomeErrorsWithoutTheirValue: a panic of the generator, in any
// operation, becomes an error and changes nothing. The log has its place, and nothing
// has its value.
func TestRecover_PanicsBecomeErrorsWithoutTheirValue(t *testing.T) {
	ctx := t.Context()
	ref := engine.Ref{Card: "A", Account: "acme"}
	operations := map[string]func(f *fixture) error{
		"register": func(f *fixture) error {
			_, _, err := f.Register(ctx, engine.Ref{Card: "B", Account: "acme"}, engine.RegisterRequest{})
			return err
		},
		"register again": func(f *fixture) error {
			_, _, err := f.Register(ctx, ref, engine.RegisterRequest{})
			return err
		},
		"force": func(f *fixture) error {
			_, err := f.Force(ctx, ref, engine.ForceRequest{Key: "k"})
			return err
		},
		"deliver": func(f *fixture) error {
			_, err := f.Deliver(ctx, ref, threePM.Add(time.Hour))
			return err
		},
		"verify": func(f *fixture) error {
			_, err := f.Verify(ctx, ref, mustCVV("123"))
			return err
		},
		"reveal": func(f *fixture) error {
			_, err := f.Reveal(ctx, ref)
			return err
		},
		"reseal": func(f *fixture) error {
			if r, err := f.Reseal(ctx); r.Failed == 0 {
				return err
			}
			return errors.New("failed, as it should")
		},
		"claim": func(f *fixture) error {
			f.tick(t)
			return errors.New(f.card(t, "A").Failure)
		},
	}
	values := map[string]func(int){
		"string":                 func(n int) { panic(fmt.Sprint(n)) },
		"*errors.errorString":    func(n int) { panic(errors.New("digits " + strconv.Itoa(n))) },
		"struct { cvv int }":     func(n int) { panic(struct{ cvv int }{n}) },
		"runtime.boundsError":    func(n int) { _ = make([]byte, 3)[n] },
		"*fmt.wrapError":         func(n int) { panic(fmt.Errorf("%d: %w", n, context.Canceled)) },
		"*runtime.PanicNilError": func(int) { panic(nil) },
	}
	for operation, do := range operations {
		for kind, how := range values {
			g := &panicking{Generator: engine.Random(nil, keyring(t, 1))}
			f := newFixtureWith(t, g)
			f.register(t, "A", time.Hour)
			f.clock.Add(time.Hour)
			before := f.card(t, "A")
			g.how = how
			err := do(f)
			g.how = nil
			if err == nil {
				t.Errorf("%s, %s: no error", operation, kind)
				continue
			}
			log := f.log.String()
			for _, want := range []string{"panic.type=", kind, ").leaveHere update_card_test.go:", "engine.(*Engine)."} {
				if !strings.Contains(log, want) {
					t.Errorf("%s, %s: no %q in the log", operation, kind, want)
				}
			}
			for _, hidden := range []string{"48213", "bc55", "0x", "paniclog.Attr"} {
				if strings.Contains(log, hidden) || strings.Contains(err.Error(), hidden) {
					t.Errorf("%s, %s: %s in the log or in an error: %s", operation, kind, hidden, log)
				}
			}
			after := f.card(t, "A")
			if after.Version != before.Version || after.Events != before.Events || after.Tries != before.Tries || string(after.State) != string(before.State) {
				t.Errorf("%s, %s: the card was changed", operation, kind)
			}
			if _, err := f.store.Card(ctx, "B"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s, %s: half a card was registered", operation, kind)
			}
			if r := f.force(t, ref, engine.ForceRequest{Key: "k"}); r.Replayed || r.Version != 2 {
				t.Errorf("%s, %s: afterwards %+v", operation, kind, r)
			}
		}
	}
}

// TestCheckKeys_RecoversPanics: neither does it end the process and show what it holds.
func TestCheckKeys_RecoversPanics(t *testing.T) {
	g := &panicking{Generator: engine.Random(nil, keyring(t, 1))}
	f := newFixtureWith(t, g)
	f.register(t, "A", 0)
	g.how = func(n int) { panic(n) }
	f.CheckKeys(t.Context())
	if log := f.log.String(); !strings.Contains(log, "leaveHere") || strings.Contains(log, "48213") {
		t.Error(log)
	}
}
