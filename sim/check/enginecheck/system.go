package enginecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/check"
)

// System returns the engine as a system for the searches of package check. Each
// card has its own engine and store. Calls fail, are retried by the store or lose
// their reply, depending on the card and the event alone. The card then retries,
// as a caller would.
//
// The stored form of a card is its rotation.State. Forced events become forced
// calls with an idempotency key. Automatic events become a claim if they name the
// next slot, else a delivery. An event of an unknown kind is refused without the
// engine, which has no such operation.
func System() check.System { return system{} }

type system struct{ rules rotation.Rules }

func (s system) Rules() rotation.Rules            { return s.rules }
func (system) With(r rotation.Rules) check.System { return system{r} }
func (s system) NewCard() check.Card              { return newCard(s.rules) }

// theRef is the card of every store that has one card.
var theRef = engine.Ref{Card: "card", Account: "account"}

// keyring returns keys with those ids, the current one first. They are not secret:
// they encrypt nothing but test data.
func keyring(current uint32, others ...uint32) *seal.Keyring {
	key := func(id uint32) seal.Key {
		return seal.NewKey(id, bytes.Repeat([]byte{byte(id)}, seal.KeySize))
	}
	var more []seal.Key
	for _, id := range others {
		more = append(more, key(id))
	}
	keyring, err := seal.NewKeyring(key(current), more...)
	if err != nil {
		panic(err)
	}
	return keyring
}

var oneKey = keyring(1)

// card is one card in an engine.
type card struct {
	engine.NoObserver
	rules  rotation.Rules
	now    *int64
	store  *memory.Store
	engine *engine.Engine
	seen   engine.Observation // the last decision
	calls  int                // since the store was new
	key    int                // the last idempotency key
	fault  memory.Fault       // of the next call that changes something
	cancel func()             // ends the call that a fault stalls
}

func newCard(r rotation.Rules) *card {
	c := &card{rules: r, now: new(int64)}
	c.renew(nil)
	return c
}

// renew replaces the store by a new one with the card in that state, because the
// log of the in-memory store grows with each call.
func (c *card) renew(state []byte) {
	*c.now, c.calls = 0, 0
	clk := runClock{ns: c.now}
	c.store = memory.New(memory.Options{Clock: clk})
	c.store.SetFaults(c.faults)
	e, err := engine.New(c.store, engine.Random(nil, oneKey), engine.Options{Rules: c.rules, Clock: clk, Observer: c})
	if err != nil {
		panic(err) // the options are valid
	}
	c.engine = e
	if _, _, err := e.Register(context.Background(), theRef, engine.RegisterRequest{}); err != nil {
		panic(fmt.Sprintf("enginecheck: registering a card: %v", err))
	}
	if state != nil {
		_ = c.Restore(state) // it came from a card
	}
}

// Decided implements engine.Observer.
func (c *card) Decided(o engine.Observation) { c.seen = o }

func (c *card) faults(op memory.Op) (f memory.Fault) {
	if op.Call == memory.CallUpdate || op.Call == memory.CallClaim {
		f, c.fault = c.fault, memory.Fault{}
	}
	if f.Stall != nil {
		c.cancel() // like a caller with a timeout
	}
	return f
}

func (c *card) record() store.Card {
	record, err := c.store.Card(context.Background(), theRef.Card)
	if err != nil {
		panic(fmt.Sprintf("enginecheck: a card that was registered: %v", err))
	}
	return record
}

// AppendStored implements check.Card.
func (c *card) AppendStored(b []byte) []byte {
	if state := c.record().State; len(state) > 0 {
		return append(b, state...)
	}
	b, _ = rotation.State{}.AppendBinary(b) // it never fails
	return b
}

// Restore implements check.Card.
func (c *card) Restore(stored []byte) error {
	var s rotation.State
	if err := s.UnmarshalBinary(stored); err != nil {
		return err
	}
	record := c.record()
	next, _ := s.Next() // the zero time when there is none
	record.State, record.Next, record.Interval, record.Due = stored, next, s.Interval(), next
	c.store.Put(record)
	return nil
}

// View implements check.Card. The interval and the next slot are those that the
// store indexes.
func (c *card) View() check.View {
	record := c.record()
	var s rotation.State
	if len(record.State) > 0 && s.UnmarshalBinary(record.State) != nil {
		return check.View{Interval: -1}
	}
	v := check.ViewOf(s)
	v.Interval, v.Next = int64(record.Interval), nanos(record.Next)
	return v
}

// nanos is the instant, 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Apply implements check.Card.
func (c *card) Apply(e check.Event) check.Outcome {
	if c.calls++; c.calls > 2000 {
		c.renew(c.AppendStored(nil))
	}
	*c.now = e.At
	before := c.View()
	if e.Kind < rotation.KindForced || e.Kind > rotation.KindDisable {
		return check.Outcome{Refused: check.RefusedKind, Next: before.Next}
	}
	c.key++
	ctx, cancel := c.disturb(e, before)
	defer cancel()
	next, err := c.call(ctx, e, before)
	if errors.Is(err, memory.ErrInjected) || errors.Is(err, context.Canceled) {
		next, err = c.call(context.Background(), e, before)
	}
	var refused *rotation.EventError
	switch {
	case errors.As(err, &refused):
		return check.Outcome{Refused: check.RefusalOf(err), Next: before.Next}
	case err != nil:
		return check.Outcome{Err: err.Error()}
	}
	d := c.seen.Decision
	return check.Outcome{
		Rule: d.Rule, Reason: d.Reason(), Rotated: d.Rotate(), Rescheduled: d.Reschedule(),
		Scenario: d.Scenario, Missed: d.Missed, Next: next,
	}
}

// disturb sets the fault of the call to come.
func (c *card) disturb(e check.Event, v check.View) (context.Context, context.CancelFunc) {
	s := newStream(uint64(e.At)^uint64(e.Slot)<<1^uint64(e.Kind), uint64(v.Next)^uint64(v.GuardStart)<<1)
	ctx, cancel := context.WithCancel(context.Background())
	switch s.Below(12) {
	case 0:
		c.fault = memory.Fault{Before: memory.ErrInjected}
	case 1:
		c.fault = memory.Fault{Again: true}
	case 2:
		c.fault = memory.Fault{Stall: make(chan struct{})}
		c.cancel = cancel
	case 3:
		if e.Kind == rotation.KindForced { // the other operations cannot be retried with a key
			c.fault = memory.Fault{After: memory.ErrInjected}
		}
	default:
		c.fault = memory.Fault{}
	}
	return ctx, cancel
}

// call makes the call for the event, and returns the next slot in the answer.
func (c *card) call(ctx context.Context, e check.Event, before check.View) (next int64, err error) {
	switch e.Kind {
	case rotation.KindForced:
		r, err := c.engine.Force(ctx, theRef, engine.ForceRequest{Key: fmt.Sprint(c.key)})
		c.seen = engine.Observation{Kind: e.Kind, Decision: rotation.Decision{Rule: r.Rule, Scenario: r.Scenario, Missed: r.Missed}}
		return nanos(r.Next), err
	case rotation.KindAuto:
		if e.HasSlot && e.Slot == before.Next && before.Next != 0 && before.Next <= e.At {
			if n, err := c.engine.Tick(ctx); n != 1 {
				return -1, err
			}
			return c.View().Next, nil
		}
		slot := time.Time{}
		if e.HasSlot {
			slot = time.Unix(0, e.Slot)
		}
		r, err := c.engine.Deliver(ctx, theRef, slot)
		return nanos(r.Next), err
	case rotation.KindSetInterval:
		c.forgetRequest()
		req := engine.IntervalRequest{Interval: time.Duration(e.Interval)}
		if e.HasFirst {
			req.First = time.Unix(0, e.First)
		}
		s, err := c.engine.SetInterval(ctx, theRef, req)
		return nanos(s.Next), err
	}
	s, err := c.engine.Disable(ctx, theRef)
	return nanos(s.Next), err
}

// forgetRequest makes the engine forget the settings that it accepted last, which the
// rules do not know: it would leave the schedule to the same settings sent again.
func (c *card) forgetRequest() {
	record := c.record()
	record.First, record.Spread = time.Time{}, false
	c.store.Put(record)
}

// runClock is a clock that shows the time of the run. It has no timers, because a
// step of a run never waits: asking it for one panics.
type runClock struct {
	clock.Clock
	ns *int64 // since 1970
	by int64  // how far this clock is ahead of that
}

// Now implements clock.Clock.
func (w runClock) Now() time.Time { return time.Unix(0, *w.ns+w.by).UTC() }

// Since implements clock.Clock.
func (w runClock) Since(t time.Time) time.Duration { return w.Now().Sub(t) }
