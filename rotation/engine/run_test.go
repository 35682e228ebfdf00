package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
)

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

// TestRun_SleepsUntilTheNextSlotAndWakes: it sleeps until the next slot, and an earlier one wakes
// it.
func TestRun_SleepsUntilTheNextSlotAndWakes(t *testing.T) {
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

// TestRun_FinishesItsClaim that has begun when it is told to end, but does not wait
// for ever for one that hangs.
func TestRun_FinishesItsClaim(t *testing.T) {
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

// TestRun_RetriesAfterStoreErrors: errors are tried again.
func TestRun_RetriesAfterStoreErrors(t *testing.T) {
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
