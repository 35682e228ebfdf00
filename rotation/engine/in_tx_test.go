package engine_test

import (
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/must"
)

// ownTx is the store in memory as if it were in a transaction of the service's own.
type ownTx struct {
	*memory.Store
	committed int
}

// Committed implements store.Tx.
func (t *ownTx) Committed() { t.committed++ }

// Committed wakes Run for a slot that is earlier than the end of its sleep, and
// reports what was observed, events and the commit itself; nothing does before it.
func TestInTx_ReportsAfterCommitted(t *testing.T) {
	written := 0
	f := newFixture(t, func(o *engine.Options) {
		o.Poll, o.Sweep, o.Written = 100*24*time.Hour, 1000*24*time.Hour, func() { written++ }
	})
	asleep, stop := running(t, f)
	asleep()
	db := &ownTx{Store: f.store}
	tx := f.InTx(db)
	for _, card := range []string{"A", "B"} {
		ref := engine.Ref{Card: card, Account: "acme"}
		if _, created, err := tx.Register(t.Context(), ref, engine.RegisterRequest{}); err != nil || !created {
			t.Fatal(created, err)
		}
		must.Get(tx.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}))(t)
	}
	must.Get(tx.Disable(t.Context(), engine.Ref{Card: "B", Account: "acme"}))(t)
	if len(f.seen.decided) != 0 || written != 0 || db.committed != 0 {
		t.Errorf("before Committed: %d decisions, %d events, %d commits", len(f.seen.decided), written, db.committed)
	}
	tx.Committed()
	if len(f.seen.decided) != 3 || written != 3 || db.committed != 1 {
		t.Errorf("after Committed: %d decisions, %d events, %d commits; want 3, 3, 1", len(f.seen.decided), written, db.committed)
	}
	until(t, f, "A", 2)
	stop()
}
