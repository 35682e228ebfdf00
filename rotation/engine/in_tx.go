package engine

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

// Tx is an engine's operations in a transaction of the service's own. Make one with
// [Engine.InTx]. Like the transaction it is not for concurrent use.
type Tx struct {
	engine, inner *Engine
	cards         store.Tx
	pending       []outcome
}

// InTx returns operations whose changes, events and answers are committed or rolled
// back with the service's own rows. The cards are those of the engine's store in that
// transaction, such as postgres.Store.InTx returns. Call [Tx.Committed] after the
// commit.
//
// The card stays locked until the transaction ends, so calls for it wait and Run
// leaves it out. A transaction that changes several cards should do so in the order
// of their ids, or two of them may deadlock.
//
// After an error of the store the transaction must be rolled back, or its savepoint.
// After an error that the operation documents it may go on: nothing was changed. To
// repeat a transaction that the database refused, begin another one.
func (e *Engine) InTx(cards store.Tx) *Tx {
	t := &Tx{engine: e, cards: cards}
	t.inner = &Engine{
		store: e.store, updater: cards, tx: t, generator: e.generator, clock: e.clock,
		rules: e.rules, options: e.options, log: e.log, observer: e.observer,
	}
	return t
}

// Register is [Engine.Register] in the transaction.
func (t *Tx) Register(ctx context.Context, ref Ref, req RegisterRequest) (s Schedule, created bool, err error) {
	return t.inner.Register(ctx, ref, req)
}

// Force is [Engine.Force] in the transaction. The idempotency key is kept if the
// transaction is committed.
func (t *Tx) Force(ctx context.Context, ref Ref, req ForceRequest) (Rotation, error) {
	return t.inner.Force(ctx, ref, req)
}

// SetInterval is [Engine.SetInterval] in the transaction.
func (t *Tx) SetInterval(ctx context.Context, ref Ref, req IntervalRequest) (Schedule, error) {
	return t.inner.SetInterval(ctx, ref, req)
}

// Disable is [Engine.Disable] in the transaction.
func (t *Tx) Disable(ctx context.Context, ref Ref) (Schedule, error) {
	return t.inner.Disable(ctx, ref)
}

// Committed wakes Run and the relay, and reports the operations to the observer. Call
// it once the transaction is committed. Without it, because the process crashed for
// example, Run and the relay find the changes at their next polls, and only the
// observer misses them.
//
// Operations in a savepoint need a Tx of their own, which is dropped if the savepoint
// is rolled back.
func (t *Tx) Committed() {
	t.cards.Committed()
	for _, out := range t.pending {
		t.engine.committed(out)
	}
	t.pending = nil
}
