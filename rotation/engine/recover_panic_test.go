package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

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

func (g *panicking) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	g.leaveHere(secret)
	return g.Generator.Draw(ctx, c, code)
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
			if _, failed, err := f.Reseal(ctx); failed == 0 {
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
			for _, want := range []string{"panic.type=", kind, ").leaveHere recover_panic_test.go:", "engine.(*Engine)."} {
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
