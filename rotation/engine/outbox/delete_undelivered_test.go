package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// TestDeleteUndelivered_DeletesOnlyOldEventsWithoutRelay shows that younger
// events are delivered once there is a sink, and that nothing is deleted while
// a relay holds the lease.
func TestDeleteUndelivered_DeletesOnlyOldEventsWithoutRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s := newStore()
		deleted := func(want int) {
			t.Helper()
			if n, err := outbox.DeleteUndelivered(ctx, s, time.Now().Add(-time.Hour)); n != want || err != nil {
				t.Errorf("%d deleted, %v, not %d", n, err, want)
			}
		}
		for i := range 2500 {
			write(t, s, fmt.Sprintf("old-%d", i%7), 1)
		}
		deleted(0)
		time.Sleep(time.Hour + 1)
		write(t, s, "old-0", 1)
		write(t, s, "new", 1)
		deleted(2500)
		deleted(0)

		var down atomic.Bool
		down.Store(true)
		sink := &script{answer: func(store.Queued, int) error {
			if down.Load() {
				return outbox.ErrUnavailable
			}
			return nil
		}}
		_, stop := start(t, s, sink, outbox.Options{})
		time.Sleep(2 * time.Hour)
		deleted(0) // the relay's sink may come back
		down.Store(false)
		time.Sleep(time.Minute)
		stop()
		got := sink.accepted()
		if slices.Sort(got); !slices.Equal(got, []string{"new.1", "old-0.359"}) {
			t.Error(got)
		}

		write(t, s, "last", 1)
		time.Sleep(2 * time.Hour)
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.CallDeleteUndelivered || op.Call == memory.CallAcquireLease {
				f.Before = memory.ErrInjected
			}
			return f
		})
		if _, err := outbox.DeleteUndelivered(ctx, s, time.Now()); !errors.Is(err, memory.ErrInjected) {
			t.Error(err)
		}
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.CallDeleteUndelivered {
				if _, err := s.AcquireLease(ctx); !errors.Is(err, store.ErrLeaseHeld) {
					t.Errorf("a relay could acquire the lease meanwhile: %v", err)
				}
			}
			return f
		})
		deleted(1)
		s.SetFaults(nil)
		if l, err := s.AcquireLease(ctx); err != nil {
			t.Error("the lease was not released:", err)
		} else {
			l.Release()
		}
	})
}

func TestDeleteUndelivered_StopsWhenTheLeaseIsLost(t *testing.T) {
	s := newStore()
	write(t, s, "a", 2500)
	s.SetFaults(func(op memory.Op) (f memory.Fault) {
		if op.Call == memory.CallDeleteUndelivered {
			s.LoseLease()
		}
		return f
	})
	if n, err := outbox.DeleteUndelivered(context.Background(), s, time.Now().Add(time.Hour)); n != 1000 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
}
