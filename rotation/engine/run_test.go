package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

func TestTickWorksOffABacklog(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.Batch = 10 })
	for i := range 25 {
		f.register(t, fmt.Sprintf("card-%d", i), 24*time.Hour)
	}
	f.clock.Add(14*24*time.Hour + 5*time.Hour) // two weeks off
	var sizes []int
	for n := f.tick(t); n > 0; n = f.tick(t) {
		sizes = append(sizes, n)
	}
	if fmt.Sprint(sizes) != "[10 10 5]" {
		t.Errorf("claims of %v", sizes)
	}
	for i := range 25 {
		id := fmt.Sprintf("card-%d", i)
		events := f.events(t, id)
		last := events[len(events)-1]
		if len(events) != 2 || last.Version != 2 || last.Missed != 13 || !last.Next.Equal(threePM.Add(15*24*time.Hour)) {
			t.Fatalf("%s: %d events, the last %+v", id, len(events), last)
		}
	}
	if got := f.seen.decided[len(f.seen.decided)-1].Lateness; got != 13*24*time.Hour+5*time.Hour {
		t.Errorf("lateness %v", got)
	}
}

// failing is a generator that fails for some cards.
type failing struct {
	engine.Generator
	broken atomic.Pointer[string]
	panics bool
}

func (g *failing) Draw(ctx context.Context, c *store.Card, code servicecode.Code) error {
	if id := g.broken.Load(); id != nil && *id == c.ID {
		if g.panics {
			panic("digits 123")
		}
		return errors.New("the HSM is away")
	}
	return g.Generator.Draw(ctx, c, code)
}

// TestAFailingCardStopsNobody: it is retried with a back-off, counted and
// visible, and rotates when it can.
func TestAFailingCardStopsNobody(t *testing.T) {
	for _, panics := range []bool{false, true} {
		g := &failing{Generator: engine.Random(nil, keyring(t, 1)), panics: panics}
		f := newFixtureWith(t, g)
		for i := range 3 {
			f.register(t, fmt.Sprintf("card-%d", i), time.Hour)
		}
		id := "card-1"
		g.broken.Store(&id)
		f.clock.Add(time.Hour)
		if n := f.tick(t); n != 3 {
			t.Fatalf("claimed %d", n)
		}
		if f.card(t, "card-0").Version != 2 || f.card(t, "card-2").Version != 2 {
			t.Error("a failing card stopped others")
		}
		for failures, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			c := f.card(t, id)
			if c.Version != 1 || c.Failures != failures+1 || c.Failure == "" || !c.Due.Equal(f.clock.Now().Add(wait)) {
				t.Fatalf("after %d failures: version %d, %d failures, %q, due in %v", failures+1, c.Version, c.Failures, c.Failure, c.Due.Sub(f.clock.Now()))
			}
			if n := f.tick(t); n != 0 {
				t.Fatal("tried again at once")
			}
			f.clock.Add(wait)
			f.tick(t)
		}
		if list, _ := f.store.ListFailingCards(t.Context(), 10); len(list) != 1 || list[0].ID != id {
			t.Errorf("not visible: %d cards", len(list))
		}
		if f.seen.failed != 4 {
			t.Errorf("%d failures counted", f.seen.failed)
		}
		if strings.Contains(f.log.String(), "123") || strings.Contains(f.card(t, id).Failure, "123") {
			t.Error("what was panicked with is in the log or the card")
		}
		g.broken.Store(nil)
		f.clock.Add(time.Hour)
		f.tick(t)
		if c := f.card(t, id); c.Version != 2 || c.Failures != 0 || c.Failure != "" || !c.Due.Equal(c.Next) {
			t.Errorf("afterwards: version %d, %d failures, due %v, next %v", c.Version, c.Failures, c.Due, c.Next)
		}
	}
}

// TestAForcedCallEndsABackoff: cert-manager#4539, where a back-off blocked a
// manual renewal.
func TestAForcedCallEndsABackoff(t *testing.T) {
	g := &failing{Generator: engine.Random(nil, keyring(t, 1))}
	f := newFixtureWith(t, g)
	ref := f.register(t, "A", time.Hour)
	id := "A"
	g.broken.Store(&id)
	f.clock.Add(time.Hour)
	f.tick(t)
	g.broken.Store(nil)
	r := f.force(t, ref, engine.ForceRequest{})
	if c := f.card(t, "A"); !r.Rotated || c.Failures != 0 || !c.Due.Equal(r.Next) {
		t.Errorf("rotated %t, %d failures, due %v, next %v", r.Rotated, c.Failures, c.Due, r.Next)
	}
}

// TestSettingTheSameIntervalEndsABackoff: nothing of the schedule changes, and the
// card is due at once.
func TestSettingTheSameIntervalEndsABackoff(t *testing.T) {
	g := &failing{Generator: engine.Random(nil, keyring(t, 1))}
	f := newFixtureWith(t, g)
	ref := f.register(t, "A", time.Hour)
	id := "A"
	g.broken.Store(&id)
	f.clock.Add(time.Hour)
	f.tick(t)
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if c := f.card(t, "A"); c.Failures != 0 || !c.Due.Equal(threePM.Add(time.Hour)) {
		t.Errorf("%d failures, due %v", c.Failures, c.Due)
	}
}

// TestDamagedSchedule: the card fails and is visible; setting its interval gives
// it a new schedule.
func TestDamagedSchedule(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	c := f.card(t, "A")
	c.State[5] ^= 1
	f.store.Put(c)
	f.clock.Add(time.Hour)
	f.tick(t)
	if c := f.card(t, "A"); c.Failures != 1 || c.Version != 1 {
		t.Errorf("%d failures, version %d", c.Failures, c.Version)
	}
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{}); !errors.Is(err, rotation.ErrStateDamaged) {
		t.Errorf("Force: %v", err)
	}
	if _, err := f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if r := f.force(t, ref, engine.ForceRequest{}); !r.Rotated {
		t.Error("not rotated")
	}
}

// TestSweepRepairs: a clock that was once a year ahead leaves a slot that no
// timer reaches. The sweep moves it back along its phase.
func TestSweepRepairs(t *testing.T) {
	f := newFixture(t)
	f.clock.Set(threePM.Add(365*24*time.Hour + 17*time.Minute))
	f.register(t, "A", 24*time.Hour)
	f.clock.Set(threePM)
	fine := f.register(t, "B", 24*time.Hour)
	if err := f.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := f.card(t, "A")
	if want := threePM.Add(17 * time.Minute); !c.Next.Equal(want) || !c.Due.Equal(want) {
		t.Errorf("next %v, due %v, want %v", c.Next, c.Due, want)
	}
	events := f.events(t, "A")
	if last := events[len(events)-1]; !last.Repaired || last.Operation != "CHANGE_CVV_ROTATION" {
		t.Errorf("event %+v", last)
	}
	if f.seen.repaired != 1 || !strings.Contains(f.log.String(), "repaired") {
		t.Error("not reported")
	}
	if s, _ := f.Show(t.Context(), fine, 1); !s.Next.Equal(threePM.Add(24 * time.Hour)) {
		t.Errorf("another card was moved to %v", s.Next)
	}
	f.clock.Set(threePM.Add(17 * time.Minute))
	f.tick(t)
	if v := f.card(t, "A").Version; v != 2 {
		t.Errorf("at its slot: version %d", v)
	}
}

// running starts Run and returns what waits until it sleeps, and what stops it.
func running(t *testing.T, f *fixture) (asleep func(), stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	looked := make(chan struct{}, 1)
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallNextDue { // the last that a worker does before it sleeps, but for reading the time
			select {
			case looked <- struct{}{}:
			default:
			}
		}
		return memory.Fault{}
	})
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	asleep = func() {
		t.Helper()
		select {
		case <-looked:
		case <-time.After(10 * time.Second):
			t.Fatal("Run does not come to rest")
		}
	}
	stop = func() {
		t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Run does not end")
		}
	}
	return asleep, stop
}

// TestRunSleepsAndWakes: it sleeps until the next slot, and an earlier one wakes
// it.
func TestRunSleepsAndWakes(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.Poll = 100 * 24 * time.Hour; o.Sweep = 1000 * 24 * time.Hour })
	f.register(t, "A", 24*time.Hour)
	asleep, stop := running(t, f)
	asleep()
	f.register(t, "B", time.Hour) // wakes it, or is seen when it looks
	until(t, f, "B", 2)
	until(t, f, "A", 2)
	if late := f.card(t, "A").Rotated.Sub(threePM.Add(24 * time.Hour)); late < 0 || late > time.Minute {
		t.Errorf("A rotated %v after its slot", late)
	}
	stop()
}

// until moves the clock to the card's slots until it has the version.
func until(t *testing.T, f *fixture, id string, version int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.card(t, id).Version < version; {
		if time.Now().After(deadline) {
			t.Fatalf("card %s has no version %d", id, version)
		}
		if due, ok, _ := f.store.NextDue(t.Context()); ok && due.After(f.clock.Now()) {
			f.clock.Set(due)
		} else {
			f.clock.Add(50 * time.Millisecond) // for a timer that was set meanwhile
		}
	}
}

// TestRunFinishesItsClaim that has begun when it is told to end, but does not wait
// for ever for one that hangs.
func TestRunFinishesItsClaim(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		f := newFixture(t)
		f.register(t, "A", time.Hour)
		f.clock.Add(time.Hour)
		begun, release := make(chan struct{}), make(chan struct{})
		f.store.SetFaults(func(op memory.Op) memory.Fault {
			if op.Call != memory.CallClaim {
				return memory.Fault{}
			}
			close(begun)
			return memory.Fault{Stall: release}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		<-begun
		cancel()
		want := int64(2)
		if hangs {
			want = 1
			for ended := false; !ended; {
				f.clock.Add(time.Second)
				select {
				case <-done:
					ended = true
				default:
				}
			}
		} else {
			close(release)
		}
		<-done
		if v := f.card(t, "A").Version; v != want {
			t.Errorf("hangs %t: version %d, want %d", hangs, v, want)
		}
	}
}

// TestRunSurvivesItsStore: errors are tried again.
func TestRunSurvivesItsStore(t *testing.T) {
	f := newFixture(t)
	f.register(t, "A", time.Hour)
	f.clock.Add(time.Hour)
	_, stop := running(t, f)
	defer stop()
	var failures atomic.Int32
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallClaim && failures.Add(1) <= 3 {
			return memory.Fault{Before: memory.ErrInjected}
		}
		return memory.Fault{}
	})
	until(t, f, "A", 3)
}

// TestNew_NamesWhatIsMissing or out of range.
func TestNew_NamesWhatIsMissing(t *testing.T) {
	random := engine.Random(nil, keyring(t, 1))
	for _, c := range []struct {
		field string
		store store.Cards
		cvvs  engine.Generator
		o     engine.Options
	}{
		{"store", nil, random, engine.Options{}},
		{"generator", memory.New(nil), nil, engine.Options{}},
		{"generator", memory.New(nil), engine.Random(nil, nil), engine.Options{}},
		{"generator", memory.New(nil), engine.Derived(nil, keyring(t, 1)), engine.Options{}},
		{"Grace", memory.New(nil), random, engine.Options{Grace: -1}},
		{"MaxTries", memory.New(nil), random, engine.Options{MaxTries: -1}},
		{"Workers and Batch", memory.New(nil), random, engine.Options{Batch: -1}},
		{"Poll, Sweep and KeepFor", memory.New(nil), random, engine.Options{Poll: -1}},
	} {
		t.Run(c.field, func(t *testing.T) {
			_, err := engine.New(c.store, c.cvvs, c.o)
			var field *engine.FieldError
			if !errors.As(err, &field) || field.Field != c.field {
				t.Error(err)
			}
		})
	}
	if _, err := engine.New(memory.New(nil), random, engine.Options{}); err != nil {
		t.Error(err)
	}
}
