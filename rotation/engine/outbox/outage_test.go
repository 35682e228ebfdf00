package outbox_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// TestRelay_DeliversSoonAfterAnOutage measures how long deliveries stand still after the
// sink or the store is available again, for outages that begin at random instants.
// docs/benchmarks.md has the figures (go test -v).
func TestRelay_DeliversSoonAfterAnOutage(t *testing.T) {
	for _, outage := range []time.Duration{5 * time.Second, 35 * time.Second, 5 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			for _, c := range []outageCase{
				{name: "sink", limit: 5 * time.Second, sink: true},
				{name: "store, by back-off", limit: 5 * time.Second},
				{name: "store, by RetryNow", limit: time.Second, woken: true},
				{name: "store and lease, by back-off", limit: 5 * time.Second, lease: true},
				{name: "store and lease, by RetryNow", limit: time.Second, lease: true, woken: true},
			} {
				var all []time.Duration
				for range 300 {
					synctest.Test(t, func(t *testing.T) { all = append(all, c.standstill(t, outage)) })
				}
				slices.Sort(all)
				t.Logf("%s: p50 %.1f s, p99 %.1f s, max %.1f s", c.name, all[150].Seconds(), all[297].Seconds(), all[299].Seconds())
				if all[299] > c.limit {
					t.Errorf("%s: deliveries stood still for %v after the outage, want up to %v", c.name, all[299], c.limit)
				}
			}
		})
	}
}

type outageCase struct {
	name  string
	limit time.Duration
	sink  bool // the sink fails; otherwise the store does
	lease bool // the lease cannot be acquired either
	woken bool // RetryNow is called up to a second after the outage
}

// standstill returns the time from the end of an outage until an event is delivered that
// was written during the outage.
func (c outageCase) standstill(t *testing.T, outage time.Duration) time.Duration {
	s := newStore()
	began := time.Now().Add(rand.N(3 * time.Second))
	down := func() bool { since := time.Since(began); return since >= 0 && since < outage }
	delivered := make(chan time.Time, 1000)
	sink := &script{answer: func(store.Queued, int) error {
		if c.sink && down() {
			return outbox.ErrUnavailable
		}
		delivered <- time.Now()
		return nil
	}}
	if c.lease {
		began = time.Now()
	}
	s.SetFaults(func(op memory.Op) memory.Fault {
		if !c.sink && down() && (op.Call != memory.CallAcquireLease || c.lease) && op.Call != memory.CallUpdate {
			return memory.Fault{Before: memory.ErrInjected}
		}
		return memory.Fault{}
	})
	r, stop := start(t, s, sink, outbox.Options{})
	time.Sleep(time.Until(began))
	write(t, s, "a", 1)
	r.Wake()
	time.Sleep(outage)
	if c.woken {
		time.Sleep(rand.N(time.Second))
		r.RetryNow()
	}
	stood := (<-delivered).Sub(began) - outage
	stop()
	return stood
}
