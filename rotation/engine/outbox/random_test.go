package outbox_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

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
			MaxBackoff: time.Minute, MaxAttempts: 1000,
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
			return outbox.ErrRejected
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
			return fmt.Errorf("still waiting after %d minutes: %v", n, statuses(s))
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
