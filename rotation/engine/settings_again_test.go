package engine_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/must"
)

var (
	plain   = engine.IntervalRequest{Interval: 24 * time.Hour}
	spread  = engine.IntervalRequest{Interval: 24 * time.Hour, Spread: true}
	atSix   = engine.IntervalRequest{Interval: 24 * time.Hour, First: threePM.Add(3 * time.Hour)}
	weekly  = engine.IntervalRequest{Interval: 7 * 24 * time.Hour}
	invalid = engine.IntervalRequest{Interval: time.Second}
)

// TestSetInterval_SentAgainChangesNothing: whatever happened since, the schedule and
// everything else stored stays as it is, without an event.
func TestSetInterval_SentAgainChangesNothing(t *testing.T) {
	requests := map[string]engine.IntervalRequest{"interval alone": plain, "spread": spread, "first": atSix}
	between := map[string]func(*testing.T, *fixture, engine.Ref){
		"at once":          func(*testing.T, *fixture, engine.Ref) {},
		"within the guard": func(_ *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(time.Minute) },
		"after the guard":  func(_ *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(time.Hour) },
		"first has passed": func(t *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(4 * time.Hour); f.tick(t) },
		"not yet claimed":  func(_ *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(30 * time.Hour) },
		"years later":      func(t *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(1000 * 24 * time.Hour); f.tick(t) },
		"clock before":     func(_ *testing.T, f *fixture, _ engine.Ref) { f.clock.Add(-48 * time.Hour) },
		"refused request":  func(t *testing.T, f *fixture, ref engine.Ref) { refused(t, f, ref) },
		"forced":           func(t *testing.T, f *fixture, ref engine.Ref) { forced(t, f, ref) },
		"forced twice":     func(t *testing.T, f *fixture, ref engine.Ref) { forced(t, f, ref); forced(t, f, ref) },
		"forced and passed": func(t *testing.T, f *fixture, ref engine.Ref) {
			forced(t, f, ref)
			f.clock.Add(48 * time.Hour)
			f.tick(t)
		},
		"repaired": func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(100 * 24 * time.Hour)
			forced(t, f, ref)
			f.clock.Add(-100 * 24 * time.Hour)
			must.Do(t, f.Sweep(t.Context()))
		},
	}
	for request, req := range requests {
		for what, happens := range between {
			t.Run(request+"/"+what, func(t *testing.T) {
				f := newFixture(t)
				ref := f.register(t, "A", 0)
				f.clock.Add(time.Hour)
				must.Get(f.SetInterval(t.Context(), ref, req))(t)
				happens(t, f, ref)
				before, events := f.card(t, "A"), len(f.events(t, "A"))
				s, err := f.SetInterval(t.Context(), ref, req)
				if err != nil || s.Effect.Changed || !s.Next.Equal(before.Next) {
					t.Errorf("changed %t, next %v, want %v, %v", s.Effect.Changed, s.Next, before.Next, err)
				}
				for _, keep := range []bool{false, true} {
					if _, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: req, KeepSchedule: keep}); err != nil || created {
						t.Errorf("registered again, keep %t: created %t, %v", keep, created, err)
					}
				}
				must.Equal(t, before, f.card(t, "A"))
				must.Equal(t, events, len(f.events(t, "A")))
				if last := f.seen.decided[len(f.seen.decided)-1]; last.Decision.Rule != rotation.R9 {
					t.Errorf("the observer got %v", last.Decision.Rule)
				}
			})
		}
	}
}

func forced(t *testing.T, f *fixture, ref engine.Ref) {
	f.clock.Add(time.Hour)
	f.force(t, ref, engine.ForceRequest{})
	f.clock.Add(time.Second)
}

func refused(t *testing.T, f *fixture, ref engine.Ref) {
	f.clock.Add(time.Hour)
	for _, req := range []engine.IntervalRequest{invalid, {Interval: 24 * time.Hour, First: threePM}, {Interval: 24 * time.Hour, First: threePM, Spread: true}} {
		if _, err := f.SetInterval(t.Context(), ref, req); err == nil {
			t.Errorf("%+v was accepted", req)
		}
	}
}

// TestSetInterval_AnotherRequestFollowsTheRules: of each pair the second one is decided by
// the rules, and is the accepted one from then on.
func TestSetInterval_AnotherRequestFollowsTheRules(t *testing.T) {
	atNext := engine.IntervalRequest{Interval: 24 * time.Hour, First: threePM.Add(24 * time.Hour)}
	for _, tt := range []struct {
		name          string
		first, second engine.IntervalRequest
		rule          rotation.Rule
	}{
		{"spread after an interval", plain, spread, rotation.R8},
		{"first after an interval", plain, atSix, rotation.R8},
		{"the next slot as first", plain, atNext, rotation.R9},
		{"interval after spread", spread, plain, rotation.R9},
		{"first after spread", spread, atSix, rotation.R8},
		{"interval after first", atSix, plain, rotation.R9},
		{"spread after first", atSix, spread, rotation.R8},
		{"another first", atSix, engine.IntervalRequest{Interval: 24 * time.Hour, First: atSix.First.Add(1)}, rotation.R8},
		{"another interval", plain, weekly, rotation.R8},
		{"another interval with spread", spread, engine.IntervalRequest{Interval: weekly.Interval, Spread: true}, rotation.R8},
		{"the same first of another interval", atSix, engine.IntervalRequest{Interval: weekly.Interval, First: atSix.First}, rotation.R8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			ref := f.register(t, "A", 0)
			set := func(req engine.IntervalRequest) rotation.Rule {
				t.Helper()
				must.Get(f.SetInterval(t.Context(), ref, req))(t)
				return f.seen.decided[len(f.seen.decided)-1].Decision.Rule
			}
			set(tt.first)
			must.Equal(t, tt.rule, set(tt.second))
			f.clock.Add(time.Hour)
			f.force(t, ref, engine.ForceRequest{}) // moves the next slot
			f.clock.Add(10 * 24 * time.Hour)
			f.tick(t)
			before := f.card(t, "A")
			must.Equal(t, rotation.R9, set(tt.second))
			must.Equal(t, before, f.card(t, "A"))
		})
	}
}

func TestDisable_ForgetsTheAcceptedSettings(t *testing.T) {
	for name, req := range map[string]engine.IntervalRequest{"interval alone": plain, "spread": spread, "first": atSix} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ref := f.register(t, "A", 0)
			must.Get(f.SetInterval(t.Context(), ref, req))(t)
			must.Get(f.Disable(t.Context(), ref))(t)
			if c := f.card(t, "A"); !c.First.IsZero() || c.Spread {
				t.Errorf("kept first %v, spread %t", c.First, c.Spread)
			}
			if s, err := f.SetInterval(t.Context(), ref, req); err != nil || s.Next.IsZero() {
				t.Errorf("set again: next %v, %v", s.Next, err)
			}
			must.Equal(t, rotation.R8, f.seen.decided[len(f.seen.decided)-1].Decision.Rule)
			must.Get(f.Disable(t.Context(), ref))(t)
			f.clock.Add(24 * time.Hour)
			if _, err := f.SetInterval(t.Context(), ref, req); (err != nil) != !req.First.IsZero() {
				t.Errorf("after the first slot: %v", err)
			}
		})
	}
}

// TestSetInterval_UnknownSettings: of a card that an earlier version stored, only the
// interval is known.
func TestSetInterval_UnknownSettings(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	must.Get(f.SetInterval(t.Context(), ref, spread))(t)
	f.clock.Add(time.Hour)
	c := f.card(t, "A")
	c.Spread = false
	f.store.Put(c)
	for _, step := range []struct {
		name string
		req  engine.IntervalRequest
		rule rotation.Rule
	}{
		{"the interval", plain, rotation.R9},
		{"spread, in its own phase", spread, rotation.R9},
		{"spread again", spread, rotation.R9},
	} {
		must.Get(f.SetInterval(t.Context(), ref, step.req))(t)
		if got := f.seen.decided[len(f.seen.decided)-1].Decision.Rule; got != step.rule {
			t.Errorf("%s: %v, want %v", step.name, got, step.rule)
		}
	}
	if !f.card(t, "A").Spread {
		t.Error("an accepted request that leaves the schedule unchanged was not kept")
	}
}

// TestSetInterval_SentAgainReplacesADamagedSchedule: equal columns say nothing of a state
// that cannot be read.
func TestSetInterval_SentAgainReplacesADamagedSchedule(t *testing.T) {
	for _, req := range []engine.IntervalRequest{plain, spread} {
		f := newFixture(t)
		ref := f.register(t, "A", 0)
		must.Get(f.SetInterval(t.Context(), ref, req))(t)
		f.clock.Add(time.Minute)
		c := f.card(t, "A")
		c.State[5] ^= 1
		f.store.Put(c)
		before := f.card(t, "A")
		if _, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: req, KeepSchedule: true}); !errors.Is(err, rotation.ErrStateDamaged) {
			t.Errorf("registered again by a caller that may not reschedule: %v", err)
		}
		must.Equal(t, before, f.card(t, "A"))
		if s, err := f.SetInterval(t.Context(), ref, req); err != nil || s.Interval != req.Interval {
			t.Errorf("interval %v, %v", s.Interval, err)
		}
	}
}

// TestRegister_KeepSchedule: a caller that may not reschedule registers new cards with any
// schedule, and repeats its request; it changes no registered card.
func TestRegister_KeepSchedule(t *testing.T) {
	past := engine.IntervalRequest{Interval: 24 * time.Hour, First: threePM}
	for _, tt := range []struct {
		name      string
		in, again engine.IntervalRequest // in: settings accepted before; zero: none
		want      error
	}{
		{"no schedule", plain, engine.IntervalRequest{}, nil},
		{"no schedule, off", engine.IntervalRequest{}, engine.IntervalRequest{}, nil},
		{"equal", plain, plain, nil},
		{"equal spread", spread, spread, nil},
		{"equal first", atSix, atSix, nil},
		{"the interval in force", spread, plain, nil}, // R9: the schedule would not change
		{"another interval", plain, weekly, engine.ErrScheduleKept},
		{"spread", plain, spread, engine.ErrScheduleKept},
		{"first", plain, atSix, engine.ErrScheduleKept},
		{"turn on", engine.IntervalRequest{}, plain, engine.ErrScheduleKept},
		{"another first, which has passed", atSix, past, rotation.ErrFirst},
		{"too short", plain, invalid, rotation.ErrInterval},
		{"first with spread", plain, engine.IntervalRequest{Interval: time.Hour, First: threePM, Spread: true}, engine.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			ref := engine.Ref{Card: "A", Account: "acme"}
			if _, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: tt.in, KeepSchedule: true}); err != nil || !created {
				t.Fatalf("created %t, %v", created, err)
			}
			f.clock.Add(time.Hour)
			f.force(t, ref, engine.ForceRequest{})
			f.clock.Add(time.Minute)
			before, events := f.card(t, "A"), len(f.events(t, "A"))
			_, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: tt.again, KeepSchedule: true})
			if !errors.Is(err, tt.want) || created {
				t.Errorf("created %t, %v, want %v", created, err, tt.want)
			}
			if failed, ok := errors.AsType[*engine.OperationError](err); err != nil && (!ok || failed.Effect.Before != 2) {
				t.Errorf("the error does not say what was found: %+v", failed)
			}
			must.Equal(t, before, f.card(t, "A"))
			must.Equal(t, events, len(f.events(t, "A")))
		})
	}
}

// TestRegister_KeepScheduleIsCheckedUnderTheLock: of two concurrent requests for a new
// card with different schedules, the one that comes second is refused.
func TestRegister_KeepScheduleIsCheckedUnderTheLock(t *testing.T) {
	f := newFixture(t)
	ref := engine.Ref{Card: "A", Account: "acme"}
	raced := false
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call != memory.CallUpdate || raced {
			return memory.Fault{}
		}
		raced = true
		return memory.Fault{Race: func() {
			if _, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: plain, KeepSchedule: true}); err != nil || !created {
				t.Errorf("the winner: created %t, %v", created, err)
			}
		}}
	})
	if _, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: weekly, KeepSchedule: true}); !errors.Is(err, engine.ErrScheduleKept) {
		t.Errorf("the loser: %v", err)
	}
	f.store.SetFaults(nil)
	must.Equal(t, plain.Interval, f.card(t, "A").Interval)
}

// TestSetInterval_SentAgainByTwoReplicas: engines that share a store accept it once.
func TestSetInterval_SentAgainByTwoReplicas(t *testing.T) {
	f := newFixture(t)
	other := must.Get(engine.New(f.store, engine.Random(nil, keyring(t, 1)), engine.Options{}))(t)
	ref := f.register(t, "A", 0)
	f.clock.Add(time.Hour)
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			e := f.Engine
			if i%2 == 0 {
				e = other
			}
			if _, err := e.SetInterval(t.Context(), ref, spread); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n := len(f.events(t, "A")); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// TestSetInterval_KeepsNothingOfAFailedRequest: what was accepted before counts.
func TestSetInterval_KeepsNothingOfAFailedRequest(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 24*time.Hour)
	before := f.card(t, "A")
	f.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected} })
	if _, err := f.SetInterval(t.Context(), ref, spread); !errors.Is(err, memory.ErrInjected) {
		t.Fatal(err)
	}
	f.store.SetFaults(nil)
	if d := cmp.Diff(before, f.card(t, "A")); d != "" {
		t.Error(d)
	}
}
