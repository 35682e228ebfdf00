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

// TestExpire: what waits too long for a sink is deleted, what has not waited that
// long is delivered when there is one, and a relay that leads loses nothing.
func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s := newStore()
		expire := func(want int) {
			t.Helper()
			if n, err := outbox.Expire(ctx, s, time.Now().Add(-time.Hour)); n != want || err != nil {
				t.Errorf("%d expired, %v, not %d", n, err, want)
			}
		}
		for i := range 2500 {
			write(t, s, fmt.Sprintf("old-%d", i%7), 1)
		}
		expire(0)
		time.Sleep(time.Hour + 1)
		write(t, s, "old-0", 1)
		write(t, s, "new", 1)
		expire(2500)
		expire(0)

		var down atomic.Bool
		down.Store(true)
		sink := &script{answer: func(store.Queued, int) error {
			if down.Load() {
				return outbox.ErrUnavailable
			}
			return nil
		}}
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		time.Sleep(2 * time.Hour)
		expire(0) // the relay's sink may come back
		down.Store(false)
		time.Sleep(time.Minute)
		stop()
		got := sink.taken()
		if slices.Sort(got); !slices.Equal(got, []string{"new.1", "old-0.359"}) {
			t.Error(got)
		}

		write(t, s, "last", 1)
		time.Sleep(2 * time.Hour)
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.Expire || op.Call == memory.Lead {
				f.Before = memory.ErrInjected
			}
			return f
		})
		if _, err := outbox.Expire(ctx, s, time.Now()); !errors.Is(err, memory.ErrInjected) {
			t.Error(err)
		}
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.Expire {
				if _, err := s.Lead(ctx); !errors.Is(err, store.ErrLeading) {
					t.Errorf("a relay may lead meanwhile: %v", err)
				}
			}
			return f
		})
		expire(1)
		s.SetFaults(nil)
		if l, err := s.Lead(ctx); err != nil {
			t.Error("the lead was not given up:", err)
		} else {
			l.Release()
		}
	})
}

// TestExpireThatLosesTheLead stops: a relay may deliver from then on.
func TestExpireThatLosesTheLead(t *testing.T) {
	s := newStore()
	write(t, s, "a", 2500)
	s.SetFaults(func(op memory.Op) (f memory.Fault) {
		if op.Call == memory.Expire {
			s.LoseLease()
		}
		return f
	})
	if n, err := outbox.Expire(context.Background(), s, time.Now().Add(time.Hour)); n != 1000 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
}
