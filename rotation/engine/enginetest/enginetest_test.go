package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/enginetest"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/sim/must"
)

// slots records how late automatic rotations are.
type slots struct {
	engine.NoObserver
	late chan time.Duration
}

// Decided implements engine.Observer.
func (s slots) Decided(o engine.Observation) {
	if o.Kind == rotation.KindAuto && o.Decision.Rotate() {
		s.late <- o.Lateness
	}
}

// With Run or without, every card rotates at each of its slots, and not late.
func TestAdvance_RotatesAtEachSlot(t *testing.T) {
	for _, run := range []bool{false, true} {
		t.Run(fmt.Sprint("run ", run), func(t *testing.T) {
			mock := clock.NewMock()
			mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
			seen := slots{late: make(chan time.Duration, 1000)}
			keys := must.Get(seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize))))(t)
			e := must.Get(engine.New(memory.New(memory.Options{Clock: mock}), engine.Random(nil, keys), engine.Options{Observer: seen, Poll: 24 * time.Hour}))(t)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			if run {
				go func() { done <- e.Run(ctx) }()
			} else {
				done <- nil
			}
			for i, interval := range []time.Duration{time.Hour, 7 * time.Hour, 24 * time.Hour, 100 * time.Hour} {
				ref := engine.Ref{Card: fmt.Sprint("card-", i), Account: "acme"}
				if _, _, err := e.Register(ctx, ref, engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: interval}}); err != nil {
					t.Fatal(err)
				}
			}
			must.Do(t, enginetest.Advance(ctx, e, mock, 72*time.Hour))
			stop()
			must.Do(t, <-done)
			if n := len(seen.late); n != 72+10+3 {
				t.Errorf("%d rotations, want 85", n)
			}
			for len(seen.late) > 0 {
				if late := <-seen.late; late != 0 {
					t.Errorf("a rotation is %v late", late)
				}
			}
			if got := mock.Now(); !got.Equal(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)) {
				t.Errorf("the clock is at %v", got)
			}
		})
	}
}

func TestAdvance_RefusesWhatWouldNotEnd(t *testing.T) {
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	ended, stop := context.WithCancel(t.Context())
	stop()
	for want, err := range map[string]error{
		"not the store's": enginetest.Advance(t.Context(), newEngine(memory.Options{}), mock, time.Hour),
		"backwards":       enginetest.Advance(t.Context(), newEngine(memory.Options{Clock: mock}), mock, -1),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := enginetest.Advance(ended, newEngine(memory.Options{Clock: mock}), mock, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
