package engine_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/must"
)

// TestRun_ClaimsSoonAfterAnOutage measures how long rotations stand still after the store
// is available again, for outages that begin at random instants. docs/benchmarks.md has
// the figures (go test -v).
func TestRun_ClaimsSoonAfterAnOutage(t *testing.T) {
	for _, outage := range []time.Duration{5 * time.Second, 35 * time.Second, 5 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			for _, c := range []struct {
				name  string
				limit time.Duration
				woken bool // RetryNow is called up to a second after the outage
			}{{"by back-off", 5 * time.Second, false}, {"by RetryNow", time.Second, true}} {
				var all []time.Duration
				for range 300 {
					synctest.Test(t, func(t *testing.T) { all = append(all, standstill(t, outage, c.woken)) })
				}
				slices.Sort(all)
				t.Logf("%s: p50 %.1f s, p99 %.1f s, max %.1f s", c.name, all[150].Seconds(), all[297].Seconds(), all[299].Seconds())
				if all[299] > c.limit {
					t.Errorf("%s: claims stood still for %v after the outage, want up to %v", c.name, all[299], c.limit)
				}
			}
		})
	}
}

// standstill returns the time from the end of an outage of the store until each worker of
// Run has claimed again.
func standstill(t *testing.T, outage time.Duration, woken bool) time.Duration {
	const workers = 2
	s := memory.New(memory.Options{})
	e := must.Get(engine.New(s, engine.Random(nil, keyring(t, 1)), engine.Options{Workers: workers}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	time.Sleep(rand.N(3 * time.Second))
	began, claims := time.Now(), make(chan struct{}, 1000)
	s.SetFaults(func(op memory.Op) memory.Fault {
		if time.Since(began) < outage {
			return memory.Fault{Before: memory.ErrInjected}
		}
		if op.Call == memory.CallClaim {
			claims <- struct{}{}
		}
		return memory.Fault{}
	})
	time.Sleep(outage)
	if woken {
		time.Sleep(rand.N(time.Second))
		e.RetryNow()
	}
	for range workers {
		<-claims
	}
	stood := time.Since(began) - outage
	cancel()
	must.Do(t, <-done)
	return stood
}
