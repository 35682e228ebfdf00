package main

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// discard is a sink that accepts every event.
type discard struct{}

func (discard) Deliver(_ context.Context, events []store.Queued) []error {
	return make([]error, len(events))
}
func (discard) Close() error { return nil }

// TestRetryNow_WakesEngineAndRelay: after a long outage of the store, both call it again
// at once, not when their back-off ends.
func TestRetryNow_WakesEngineAndRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize))))(t)
		d := &daemon{
			engine: must.Get(engine.New(s, engine.Random(nil, keys), engine.Options{}))(t),
			relay:  must.Get(outbox.New(s, discard{}, outbox.Options{}))(t),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.engine.Run(ctx) }()
		go func() { done <- d.relay.Run(ctx) }()
		synctest.Wait()
		var down atomic.Bool
		var claims, reads atomic.Int64
		s.SetFaults(func(op memory.Op) memory.Fault {
			switch {
			case down.Load():
				return memory.Fault{Before: memory.ErrInjected}
			case op.Call == memory.CallClaim:
				claims.Add(1)
			case op.Call == memory.CallListWaiting:
				reads.Add(1)
			}
			return memory.Fault{}
		})
		down.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		down.Store(false)
		d.retryNow()
		synctest.Wait() // no time passes
		if claims.Load() == 0 || reads.Load() == 0 {
			t.Errorf("%d claims and %d reads of the outbox right after the outage", claims.Load(), reads.Load())
		}
		cancel()
		must.Do(t, <-done)
		must.Do(t, <-done)
	})
}
