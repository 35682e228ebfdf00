package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// TestEngineToJSONLines_InOrderAndImmediately runs engine, store, relay and
// sink for a day, and reads each line back.
func TestEngineToJSONLines_InOrderAndImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var lines bytes.Buffer
		sink := must.Get(jsonl.New(&lines))(t)
		relay, stop := start(t, s, sink, outbox.Options{Poll: time.Hour, Observe: func(o outbox.Outcome) {
			if o.Err != nil || o.Lag > time.Second {
				t.Errorf("%s: %v, after %v", o.Event.ID(), o.Err, o.Lag)
			}
		}})
		keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
		e := must.Get(engine.New(s, engine.Random(nil, keys), engine.Options{Written: relay.Wake}))(t)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		for i := range 5 {
			ref := engine.Ref{Card: fmt.Sprintf("card-%d", i), Account: "acme"}
			schedule := engine.IntervalRequest{Interval: time.Duration(i+1) * time.Hour}
			if _, _, err := e.Register(ctx, ref, engine.RegisterRequest{Schedule: schedule}); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			time.Sleep(8*time.Hour + time.Second)
			must.Get(e.Force(ctx, engine.AnyAccount("card-0"), engine.ForceRequest{Compromised: true}))(t)
		}
		must.Get(e.Disable(ctx, engine.AnyAccount("card-1")))(t)
		cancel()
		<-done
		synctest.Wait()
		must.Do(t, stop())

		last := map[string]event.Changed{}
		forced, n := 0, 0
		for line := range bytes.Lines(lines.Bytes()) {
			n++
			c, err := event.ParseStrict(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			before, ok := last[c.Card]
			if c.Number != before.Number+1 || c.At.Before(before.At) {
				t.Errorf("%s comes after number %d", line, before.Number)
			}
			if ok && c.Version-before.Version != map[bool]int64{true: 1}[c.Operation == event.OperationRotate] {
				t.Errorf("%s comes after version %d", line, before.Version)
			}
			if c.Compromised && !c.Automatic {
				forced++
			}
			last[c.Card] = c
		}
		if n != len(s.Written(0)) || n < 5+24+12+8+6+4 || forced != 3 || last["card-1"].Operation != event.OperationDeleteInterval {
			t.Errorf("%d lines for %d events, %d of them forced; last of card-1 %+v", n, len(s.Written(0)), forced, last["card-1"])
		}
	})
}

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

// TestRun_SurvivesRandomFailures runs relays with a sink and a store that fail
// at random, leases that get lost and relays that are stopped. In the end every
// event is delivered or dead-lettered, only poison is dead-lettered, and the
// first deliveries of each card are in order.
func TestRun_SurvivesRandomFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		cards := rapid.IntRange(1, 8).Draw(rt, "cards")
		events := rapid.IntRange(1, 60).Draw(rt, "events")
		unknown := rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(rt, "unknown failures")
		unavailable := rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(rt, "unavailable")
		faults := rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(rt, "store's faults")
		poison := rapid.SampledFrom([]float64{0, 0.05, 0.3}).Draw(rt, "poison")
		o := outbox.Options{
			Batch: rapid.IntRange(1, 10).Draw(rt, "batch"), MaxInFlight: rapid.IntRange(1, 4).Draw(rt, "in flight"),
			MaxBackoff: time.Minute, MaxAttempts: 40, // 0.4 to the power of 40 is 1e-16
		}
		var fault error
		synctest.Test(t, func(t *testing.T) {
			fault = survivesRandomFailures(t, o, seed, cards, events, unknown, unavailable, faults, poison)
		})
		if fault != nil {
			rt.Fatal(fault)
		}
	})
}

func survivesRandomFailures(t *testing.T, o outbox.Options, seed uint64, cards, events int, unknown, unavailable, faults, poison float64) error {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	chance := func(p float64) bool {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64() < p
	}
	poisoned := map[string]bool{}
	s := newStore()
	for range events {
		mu.Lock()
		card := fmt.Sprintf("c%d", random.IntN(cards))
		mu.Unlock()
		write(t, s, card, 1)
	}
	for _, e := range s.Written(0) {
		poisoned[e.ID()] = chance(poison)
	}
	sink := &script{answer: func(e store.Queued, _ int) error {
		if chance(0.2) {
			time.Sleep(time.Second)
		}
		switch {
		case poisoned[e.ID()]:
			return errBroken
		case chance(unavailable):
			return outbox.ErrUnavailable
		case chance(unknown):
			return errBroken
		}
		return nil
	}}
	s.SetFaults(func(op memory.Op) (f memory.Fault) {
		if op.Call != memory.CallUpdate && chance(faults) {
			if f.Before = memory.ErrInjected; chance(0.5) {
				f.Before, f.After = nil, memory.ErrInjected
			}
		}
		return f
	})
	_, stop := start(t, s, sink, o)
	left := func() (n int) {
		for _, e := range s.Written(0)[:events] {
			if e.Status == store.StatusWaiting {
				n++
			}
		}
		return n
	}
	for n := 0; left() > 0; n++ {
		if n == 5000 {
			stop()
			return fmt.Errorf("%d events still waiting after %d minutes", left(), n)
		}
		time.Sleep(time.Minute)
		write(t, s, "good", 1) // shows the relay that the sink works
		time.Sleep(time.Second)
		if chance(0.3) {
			s.LoseLease()
		}
		if chance(0.3) {
			stop()
			_, stop = start(t, s, sink, o)
		}
	}
	stop()
	s.SetFaults(nil)
	for id, st := range statuses(s) {
		if st != store.StatusWaiting && (st == store.StatusParked) != poisoned[id] {
			return fmt.Errorf("%s is %v, poison: %v", id, st, poisoned[id])
		}
	}
	return orderFault(sink.accepted(), s)
}
