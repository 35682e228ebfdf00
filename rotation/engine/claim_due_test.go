package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

func TestTick_RotatesOverdueCardsOnce(t *testing.T) {
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

func (g *failing) Draw(ctx context.Context, c *store.Card, code servicecode.Code, avoid []cvvgen.CVV) error {
	if id := g.broken.Load(); id != nil && *id == c.ID {
		if g.panics {
			panic("digits 123")
		}
		return errors.New("the HSM is away")
	}
	return g.Generator.Draw(ctx, c, code, avoid)
}

// TestTick_FailingCardBacksOffAlone: it is retried with a back-off, counted and
// visible, and rotates when it can.
func TestTick_FailingCardBacksOffAlone(t *testing.T) {
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
		if strings.Contains(f.log.String(), "digits 123") || strings.Contains(f.card(t, id).Failure, "digits 123") {
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

// TestForce_EndsABackoff: cert-manager#4539, where a back-off blocked a
// manual renewal.
func TestForce_EndsABackoff(t *testing.T) {
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

// TestSetInterval_SameIntervalEndsABackoff: nothing of the schedule changes, and the
// card is due at once.
func TestSetInterval_SameIntervalEndsABackoff(t *testing.T) {
	g := &failing{Generator: engine.Random(nil, keyring(t, 1))}
	f := newFixtureWith(t, g)
	ref := f.register(t, "A", time.Hour)
	id := "A"
	g.broken.Store(&id)
	f.clock.Add(time.Hour)
	f.tick(t)
	must.Get(f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}))(t)
	if c := f.card(t, "A"); c.Failures != 0 || !c.Due.Equal(threePM.Add(time.Hour)) {
		t.Errorf("%d failures, due %v", c.Failures, c.Due)
	}
}
