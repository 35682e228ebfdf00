package engine_test

import (
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// TestSweep_RepairsNoMoreThanNeeded: an interval ahead is right, a nanosecond more is
// not, and whole intervals too many leave the last instant within one.
func TestSweep_RepairsNoMoreThanNeeded(t *testing.T) {
	for _, c := range []struct{ ahead, want time.Duration }{
		{24 * time.Hour, 24 * time.Hour},
		{24*time.Hour + 1, 1},
		{72 * time.Hour, 24 * time.Hour},
		{71 * time.Hour, 23 * time.Hour},
	} {
		f := newFixture(t)
		f.clock.Set(threePM.Add(c.ahead - 24*time.Hour))
		f.register(t, "A", 24*time.Hour)
		f.clock.Set(threePM)
		must.Do(t, f.Sweep(t.Context()))
		if got := f.card(t, "A").Next.Sub(threePM); got != c.want {
			t.Errorf("%v ahead: repaired to %v, want %v", c.ahead, got, c.want)
		}
		if repaired := c.ahead != c.want; (f.seen.repaired == 1) != repaired {
			t.Errorf("%v ahead: repaired %d times", c.ahead, f.seen.repaired)
		}
	}
}

// TestSweep_DeletesExpiredOnly what has expired and nothing else.
func TestSweep_DeletesExpiredOnly(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.KeepFor = time.Hour })
	ref := f.register(t, "A", 0)
	f.force(t, ref, engine.ForceRequest{Key: "k"})
	must.Do(t, f.store.RecordDeliveries(t.Context(), []store.Delivery{{Position: 1, Status: store.StatusDelivered}}))
	for _, c := range []struct {
		after  time.Duration
		events int
	}{{time.Hour, 1}, {1, 0}} {
		f.clock.Add(c.after)
		must.Do(t, f.Sweep(t.Context()))
		if n := len(f.events(t, "A")); n != c.events {
			t.Errorf("%v on: %d events kept, want %d", c.after, n, c.events)
		}
	}
	if r := f.force(t, ref, engine.ForceRequest{Key: "k"}); !r.Replayed {
		t.Error("a key was forgotten too soon")
	}
}

// TestSweep_RepairsASlotTooFarAhead: a clock that was once a year ahead leaves a slot that no
// timer reaches. The sweep moves it back along its phase.
func TestSweep_RepairsASlotTooFarAhead(t *testing.T) {
	f := newFixture(t)
	f.clock.Set(threePM.Add(365*24*time.Hour + 17*time.Minute))
	f.register(t, "A", 24*time.Hour)
	f.clock.Set(threePM)
	fine := f.register(t, "B", 24*time.Hour)
	must.Do(t, f.Sweep(t.Context()))
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
