package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cvvrotation/rotation/outbox"
	"cvvrotation/rotation/store"
	"cvvrotation/rotation/store/memory"
)

// In a bubble of synctest the real clock is virtual: an hour passes at once,
// as soon as everybody sleeps.

func TestDeliversAtOnceWhenWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		r, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Poll: time.Hour})
		synctest.Wait()
		before := time.Now()
		write(t, s, "a", 3)
		write(t, s, "b", 1)
		r.Wake()
		synctest.Wait()
		if got := sink.taken(); len(got) != 4 || !time.Now().Equal(before) {
			t.Errorf("taken %v, after %v", got, time.Since(before))
		}
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFindsWhatNobodyToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Poll: 3 * time.Second})
		synctest.Wait()
		write(t, s, "a", 1)
		time.Sleep(3*time.Second + 1)
		synctest.Wait()
		if len(sink.taken()) != 1 {
			t.Error("a poll did not find the event")
		}
		stop()
	})
}

func TestSleepsByTheClockGiven(t *testing.T) {
	mock := clock.NewMock()
	s := memory.New(mock)
	got := make(chan string, 1)
	sink := &script{answer: func(e store.Queued, _ int) error {
		got <- e.ID()
		return nil
	}}
	_, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Clock: mock, Poll: time.Hour})
	defer stop()
	write(t, s, "a", 1) // before or after the relay's first look
	for range 1000 {
		select {
		case id := <-got:
			if id != "a.1" {
				t.Error(id)
			}
			return
		default:
			mock.Add(time.Hour) // the relay may not have armed its timer yet
		}
	}
	t.Error("never delivered")
}

// TestPoison: an event that fails for ever is parked after MaxAttempts, with
// growing delays, and holds up nobody but its card.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.ID() == "poison.1" {
				return errBroken
			}
			return nil
		}}
		var lags []time.Duration
		var parked []outbox.Outcome
		r, stop := start(t, outbox.Options{
			Outbox: s, Sink: sink, MaxAttempts: 6, MinBackoff: time.Second, MaxBackoff: 8 * time.Second,
			Observe: func(o outbox.Outcome) {
				if o.Event.Card == "good" {
					lags = append(lags, o.Lag)
				}
				if o.Status == store.Parked {
					parked = append(parked, o)
				}
			},
		})
		write(t, s, "poison", 2)
		for range 600 {
			write(t, s, "good", 1)
			r.Wake()
			time.Sleep(100 * time.Millisecond)
		}
		stop()
		tries := sink.of("poison.1")
		if len(tries) < 6 || len(tries) > 7 { // the first may not count: nothing was taken before
			t.Fatalf("%d tries", len(tries))
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 8} {
			got := tries[i+1].at.Sub(tries[i].at)
			if want *= time.Second; got < want/2 || got > want {
				t.Errorf("delay %d is %v, not between %v and %v", i+1, got, want/2, want)
			}
		}
		if len(parked) != 1 || parked[0].Event.ID() != "poison.1" || !errors.Is(parked[0].Err, errBroken) {
			t.Errorf("parked: %v", parked)
		}
		if st := statuses(s); st["poison.1"] != store.Parked || st["poison.2"] != store.Delivered {
			t.Error("poison.1 is", st["poison.1"], "and poison.2", st["poison.2"])
		}
		if e := s.Written(0)[0]; e.Failure != "broken" || e.Attempts != 6 {
			t.Errorf("stored: %d attempts, %q", e.Attempts, e.Failure)
		}
		if len(lags) != 600 {
			t.Errorf("%d of the others delivered", len(lags))
		}
		for i, lag := range lags {
			if lag != 0 {
				t.Fatalf("event %d of the others was %v late", i, lag)
			}
		}
	})
}

// TestLonePoison: nothing else is there to tell whose fault it is. It is not
// parked, and what comes later is not made to wait for it.
func TestLonePoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card == "poison" {
				return errBroken
			}
			return nil
		}}
		r, stop := start(t, outbox.Options{Outbox: s, Sink: sink, MaxAttempts: 2})
		write(t, s, "poison", 1)
		time.Sleep(time.Hour)
		if st := statuses(s); st["poison.1"] != store.Waiting {
			t.Error("parked although nothing showed that the sink works")
		}
		if got := r.State(); got.Held != 1 || !got.Down.IsZero() {
			t.Errorf("%+v", got)
		}
		write(t, s, "good", 1)
		r.Wake()
		synctest.Wait()
		if st := statuses(s); st["good.1"] != store.Delivered {
			t.Error("the good event waits for the poison")
		}
		time.Sleep(20 * time.Minute)
		write(t, s, "good", 1)
		time.Sleep(20 * time.Minute)
		if st := statuses(s); st["poison.1"] != store.Parked {
			t.Error("not parked although others were taken between two failures:", st["poison.1"])
		}
		stop()
	})
}

func TestRejectedIsParkedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Number == 2 {
				return fmt.Errorf("%w: too\nlong \xff%s", outbox.ErrRejected, strings.Repeat("x", 1000))
			}
			return nil
		}}
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		write(t, s, "a", 3)
		time.Sleep(2 * time.Second)
		stop()
		want := map[string]store.Status{"a.1": store.Delivered, "a.2": store.Parked, "a.3": store.Delivered}
		if diff := cmp.Diff(want, statuses(s)); diff != "" {
			t.Error(diff)
		}
		if f := s.Written(0)[1].Failure; len(f) > 310 || !strings.HasPrefix(f, "rejected: too long  x") {
			t.Errorf("%d bytes: %q", len(f), f)
		}
		if n := len(sink.of("a.2")); n != 1 {
			t.Errorf("tried %d times", n)
		}
	})
}

// TestRejectionsInARow: the first is believed, the second only after the sink has
// taken an event.
func TestRejectionsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card == "good" {
				return nil
			}
			return outbox.ErrRejected
		}}
		r, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		for _, c := range []struct {
			card string
			want map[string]store.Status
		}{
			{"bad", map[string]store.Status{"bad.1": store.Parked}},
			{"worse", map[string]store.Status{"bad.1": store.Parked, "worse.1": store.Waiting}},
			{"good", map[string]store.Status{"bad.1": store.Parked, "worse.1": store.Parked, "good.1": store.Delivered}},
		} {
			write(t, s, c.card, 1)
			r.Wake()
			time.Sleep(11 * time.Minute)
			if diff := cmp.Diff(c.want, statuses(s)); diff != "" {
				t.Error(c.card, diff)
			}
		}
		stop()
	})
}

// TestReplay: a person brings back what was parked, and what was delivered.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var mended atomic.Bool
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Number == 2 && !mended.Load() {
				return outbox.ErrRejected
			}
			return nil
		}}
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		write(t, s, "a", 3)
		time.Sleep(time.Minute)
		mended.Store(true)
		if n, err := s.Replay(context.Background(), 2, 3); n != 2 || err != nil {
			t.Error(n, err)
		}
		time.Sleep(time.Minute)
		stop()
		if diff := cmp.Diff([]string{"a.1", "a.3", "a.2", "a.3"}, sink.taken()); diff != "" || waiting(s) != 0 {
			t.Error(diff, statuses(s))
		}
	})
}

// TestOutage: for an hour the sink takes nothing. Nothing is parked, the tries
// are few, and half a minute after its end everything has gone out, in order.
func TestOutage(t *testing.T) {
	for name, failure := range map[string]error{
		"and says so":      fmt.Errorf("connection refused: %w", outbox.ErrUnavailable),
		"and fails each":   errBroken,
		"and rejects each": outbox.ErrRejected, // as with a wrong secret
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				var down atomic.Bool
				sink := &script{answer: func(store.Queued, int) error {
					if down.Load() {
						return failure
					}
					return nil
				}}
				r, stop := start(t, outbox.Options{Outbox: s, Sink: sink, MaxAttempts: 3})
				write(t, s, "card-0", 1)
				time.Sleep(2 * time.Second)
				down.Store(true)
				for i := range 600 {
					write(t, s, fmt.Sprintf("card-%d", i%50), 1)
					time.Sleep(6 * time.Second)
				}
				if n := sink.all(); n > 400 {
					t.Errorf("%d tries in an hour", n)
				}
				if got := r.State(); got.Down.IsZero() || got.Failure == "" || !got.Leading {
					t.Errorf("%+v", got)
				}
				down.Store(false)
				time.Sleep(31 * time.Second)
				synctest.Wait()
				parked := 0
				for id, st := range statuses(s) {
					if st == store.Parked && errors.Is(failure, outbox.ErrRejected) {
						parked++
					} else if st != store.Delivered {
						t.Errorf("%s: %v", id, st)
					}
				}
				if parked > 1 {
					t.Errorf("%d events were parked", parked)
				}
				if err := orderFault(sink.taken(), s); err != nil {
					t.Error(err)
				}
				if got := r.State(); !got.Down.IsZero() || got.Held != 0 {
					t.Errorf("%+v", got)
				}
				stop()
			})
		})
	}
}

func TestTheSinksWishIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(_ store.Queued, try int) error {
			if try == 1 {
				return fmt.Errorf("too many: %w", &outbox.Unavailable{Err: errBroken, After: 7 * time.Minute})
			}
			return nil
		}}
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		write(t, s, "a", 1)
		time.Sleep(8 * time.Minute)
		stop()
		tries := sink.of("a.1")
		if len(tries) != 2 || tries[1].at.Sub(tries[0].at) < 7*time.Minute || tries[1].at.Sub(tries[0].at) > 7*time.Minute+time.Second {
			t.Error(tries)
		}
	})
}

// TestDeliveredAndNotRecorded: the store fails for good just when deliveries are
// to be recorded, as in a crash. The next relay makes them again.
func TestDeliveredAndNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		s.SetFaults(func(op memory.Op) memory.Fault {
			if op.Call == memory.Settle {
				return memory.Fault{Before: memory.ErrInjected}
			}
			return memory.Fault{}
		})
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		write(t, s, "a", 2)
		time.Sleep(time.Minute)
		if n := sink.all(); n != 2 {
			t.Errorf("%d deliveries while they could not be recorded", n)
		}
		if err := stop(); err == nil || !strings.Contains(err.Error(), "(2)") {
			t.Errorf("Run: %v", err)
		}
		s.SetFaults(nil)
		_, stop = start(t, outbox.Options{Outbox: s, Sink: sink})
		time.Sleep(time.Second)
		stop()
		if diff := cmp.Diff([]string{"a.1", "a.2", "a.1", "a.2"}, sink.taken()); diff != "" || waiting(s) != 0 {
			t.Error(diff)
		}
	})
}

// TestHandOver: a second relay takes over when the first one stops, and when it
// loses its lease; at no time do both deliver.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var mu sync.Mutex
		var who []string
		relay := func(name string) (*outbox.Relay, func() error) {
			return start(t, outbox.Options{Outbox: s, LeadRetry: 5 * time.Second, Sink: &script{answer: func(store.Queued, int) error {
				mu.Lock()
				defer mu.Unlock()
				if n := len(who); n == 0 || who[n-1] != name {
					who = append(who, name)
				}
				return nil
			}}})
		}
		first, stopFirst := relay("first")
		synctest.Wait()
		second, stopSecond := relay("second")
		synctest.Wait()
		if !first.State().Leading || second.State().Leading {
			t.Error("the wrong one leads")
		}
		write(t, s, "a", 1)
		time.Sleep(10 * time.Second)
		stopFirst()
		write(t, s, "a", 1)
		time.Sleep(6 * time.Second)
		third, stopThird := relay("third")
		synctest.Wait()
		s.LoseLease() // the second one's; it waits a second before it asks again
		time.Sleep(10 * time.Second)
		write(t, s, "a", 1)
		time.Sleep(10 * time.Second)
		if second.State().Leading == third.State().Leading {
			t.Error("not one leader")
		}
		stopSecond()
		stopThird()
		if len(who) < 2 || who[0] != "first" || who[1] != "second" || waiting(s) != 0 {
			t.Error(who, statuses(s))
		}
	})
}

// TestLostLeaseEndsDeliveries: what is in flight is cut off, and what was taken
// before is recorded.
func TestLostLeaseEndsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		began := make(chan struct{})
		sink := sinkFunc(func(ctx context.Context, events []store.Queued) []error {
			errs := make([]error, len(events))
			if len(events) > 1 {
				close(began)
				<-ctx.Done()
				for i := 1; i < len(errs); i++ {
					errs[i] = fmt.Errorf("sending: %w", ctx.Err())
				}
			}
			return errs
		})
		write(t, s, "a", 1)
		write(t, s, "b", 1)
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		<-began
		blocker := make(chan struct{})
		s.SetFaults(func(op memory.Op) memory.Fault { // nobody leads for a while
			if op.Call == memory.Lead {
				return memory.Fault{Stall: blocker}
			}
			return memory.Fault{}
		})
		s.LoseLease()
		synctest.Wait()
		want := map[string]store.Status{"a.1": store.Delivered, "b.1": store.Waiting}
		if diff := cmp.Diff(want, statuses(s)); diff != "" {
			t.Error(diff)
		}
		if n := s.Written(0)[1].Attempts; n != 0 {
			t.Errorf("being cut off counted as %d attempts", n)
		}
		close(blocker)
		time.Sleep(10 * time.Second)
		stop()
		if waiting(s) != 0 {
			t.Error("b.1 was lost")
		}
	})
}

type sinkFunc func(ctx context.Context, events []store.Queued) []error

func (f sinkFunc) Deliver(ctx context.Context, events []store.Queued) []error { return f(ctx, events) }
func (f sinkFunc) Close() error                                               { return nil }

// TestStop: what is in flight finishes within the grace and is recorded; what
// does not is cut off, and counts as not tried.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  time.Duration
		status store.Status
		after  time.Duration
	}{
		{"in time", 3 * time.Second, store.Delivered, 3 * time.Second},
		{"too slow", time.Hour, store.Waiting, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				sink := sinkFunc(func(ctx context.Context, events []store.Queued) []error {
					select {
					case <-time.After(c.takes):
						return make([]error, len(events))
					case <-ctx.Done():
						return []error{ctx.Err()}
					}
				})
				write(t, s, "a", 1)
				_, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Grace: 10 * time.Second})
				synctest.Wait()
				before := time.Now()
				if err := stop(); err != nil {
					t.Error(err)
				}
				if got := time.Since(before); got != c.after {
					t.Errorf("stopped after %v", got)
				}
				if e := s.Written(0)[0]; e.Status != c.status || e.Attempts != 0 {
					t.Errorf("%v, %d attempts", e.Status, e.Attempts)
				}
				if l, err := s.Lead(context.Background()); err != nil {
					t.Error("the lead was not given up:", err)
				} else {
					l.Release()
				}
			})
		})
	}
}

// TestASinkThatForgets: fewer errors than events, and success after failure.
func TestASinkThatForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var first atomic.Bool
		sink := sinkFunc(func(_ context.Context, events []store.Queued) []error {
			if first.CompareAndSwap(false, true) {
				return []error{errBroken, nil} // for three events of one card
			}
			return make([]error, len(events))
		})
		write(t, s, "a", 3)
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		synctest.Wait()
		if waiting(s) != 3 {
			t.Error("what comes after a failure was recorded as delivered:", statuses(s))
		}
		time.Sleep(time.Minute)
		stop()
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
	})
}

func TestASlowBatchHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := sinkFunc(func(_ context.Context, events []store.Queued) []error {
			if events[0].Card == "slow" {
				time.Sleep(time.Minute)
			}
			return make([]error, len(events))
		})
		write(t, s, "slow", 1)
		r, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Poll: time.Hour})
		synctest.Wait()
		write(t, s, "slow", 1)
		write(t, s, "quick", 1)
		r.Wake()
		synctest.Wait()
		want := map[string]store.Status{"slow.1": store.Waiting, "slow.2": store.Waiting, "quick.1": store.Delivered}
		if diff := cmp.Diff(want, statuses(s)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(3 * time.Minute)
		stop()
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
	})
}

// TestAnythingMayFail runs relays with a sink and a store that fail at random,
// leases that get lost and relays that are stopped. In the end every event was
// delivered or parked, only poison was parked, and the first deliveries of each
// card are in order.
func TestAnythingMayFail(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		cards := rapid.IntRange(1, 8).Draw(rt, "cards")
		events := rapid.IntRange(1, 60).Draw(rt, "events")
		unknown := rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(rt, "unknown failures")
		unavailable := rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(rt, "unavailable")
		faults := rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(rt, "store's faults")
		poison := rapid.SampledFrom([]float64{0, 0.05, 0.3}).Draw(rt, "poison")
		o := outbox.Options{
			Batch: rapid.IntRange(1, 10).Draw(rt, "batch"), Lanes: rapid.IntRange(1, 4).Draw(rt, "lanes"),
			MaxBackoff: time.Minute, MaxAttempts: 1000,
		}
		var fault error
		synctest.Test(t, func(t *testing.T) {
			fault = anythingMayFail(t, o, seed, cards, events, unknown, unavailable, faults, poison)
		})
		if fault != nil {
			rt.Fatal(fault)
		}
	})
}

func anythingMayFail(t *testing.T, o outbox.Options, seed uint64, cards, events int, unknown, unavailable, faults, poison float64) error {
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
		if op.Call != memory.Update && chance(faults) {
			if f.Before = memory.ErrInjected; chance(0.5) {
				f.Before, f.After = nil, memory.ErrInjected
			}
		}
		return f
	})
	o.Outbox, o.Sink = s, sink
	_, stop := start(t, o)
	left := func() (n int) {
		for _, e := range s.Written(0)[:events] {
			if e.Status == store.Waiting {
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
			_, stop = start(t, o)
		}
	}
	stop()
	s.SetFaults(nil)
	for id, st := range statuses(s) {
		if st != store.Waiting && (st == store.Parked) != poisoned[id] {
			return fmt.Errorf("%s is %v, poison: %v", id, st, poisoned[id])
		}
	}
	return orderFault(sink.taken(), s)
}

// TestFailingTogether: batches that fail at the same time are one failure of the
// sink, and one event probes it, not four batches.
func TestFailingTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		began := time.Now()
		sink := &script{answer: func(store.Queued, int) error {
			time.Sleep(10 * time.Millisecond)
			if time.Since(began) < time.Minute {
				return outbox.ErrUnavailable
			}
			return nil
		}}
		for i := range 8 {
			write(t, s, fmt.Sprintf("card-%d", i), 1)
		}
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Batch: 1, Lanes: 4})
		time.Sleep(1100 * time.Millisecond)
		if n := sink.all(); n != 5 {
			t.Errorf("%d tries after a second, not 4 and a probe", n)
		}
		time.Sleep(2 * time.Minute)
		stop()
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
	})
}

// TestMaxHeld: with too many cards held back all wait, until a delay ends.
func TestMaxHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card != "good" {
				return errBroken
			}
			return nil
		}}
		write(t, s, "good", 1)
		write(t, s, "p1", 1)
		write(t, s, "p2", 1)
		r, stop := start(t, outbox.Options{Outbox: s, Sink: sink, MaxHeld: 2, MinBackoff: 10 * time.Second})
		synctest.Wait()
		write(t, s, "good", 1)
		r.Wake()
		time.Sleep(4 * time.Second)
		if waiting(s) != 3 {
			t.Error("held too many:", statuses(s))
		}
		time.Sleep(7 * time.Second)
		if waiting(s) != 2 {
			t.Error("the good event still waits:", statuses(s))
		}
		stop()
	})
}

// TestForgets: a failing event that somebody else settled leaves nothing behind.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(store.Queued, int) error { return errBroken }}
		write(t, s, "a", 1)
		r, stop := start(t, outbox.Options{Outbox: s, Sink: sink})
		time.Sleep(time.Minute)
		if n := r.State().Held; n != 1 {
			t.Error("held:", n)
		}
		if err := s.Settle(context.Background(), []store.Delivery{{Position: 1, Status: store.Delivered}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := r.State().Held; n != 0 {
			t.Error("held:", n)
		}
		stop()
	})
}

// TestALeaseThatDoesNotLast must not keep the relay spinning.
func TestALeaseThatDoesNotLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &flapping{Store: newStore()}
		_, stop := start(t, outbox.Options{Outbox: o, Sink: &script{}})
		time.Sleep(10 * time.Second)
		stop()
		if n := o.leads.Load(); n < 5 || n > 12 {
			t.Errorf("asked %d times in 10 s", n)
		}
	})
}

type flapping struct {
	*memory.Store
	leads atomic.Int64
}

func (f *flapping) Lead(ctx context.Context) (store.Lease, error) {
	if f.leads.Add(1) > 100 {
		time.Sleep(time.Second)
	}
	l, err := f.Store.Lead(ctx)
	f.LoseLease()
	return l, err
}

func TestOptions(t *testing.T) {
	good := outbox.Options{Outbox: newStore(), Sink: &script{}}
	if _, err := outbox.New(good); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*outbox.Options){
		"no outbox":        func(o *outbox.Options) { o.Outbox = nil },
		"no sink":          func(o *outbox.Options) { o.Sink = nil },
		"negative batch":   func(o *outbox.Options) { o.Batch = -1 },
		"negative lanes":   func(o *outbox.Options) { o.Lanes = -1 },
		"negative grace":   func(o *outbox.Options) { o.Grace = -1 },
		"min over maximum": func(o *outbox.Options) { o.MinBackoff = time.Hour },
	} {
		bad := good
		change(&bad)
		if _, err := outbox.New(bad); err == nil {
			t.Error(what)
		}
	}
}

func TestLogSaysWhatAPersonNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			switch {
			case e.Card == "bad":
				return outbox.ErrRejected
			case time.Since(e.At) < time.Minute:
				return outbox.ErrUnavailable
			}
			return nil
		}}
		write(t, s, "bad", 1)
		_, stop := start(t, outbox.Options{Outbox: s, Sink: sink, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		write(t, s, "a", 1)
		time.Sleep(5 * time.Minute)
		stop()
		for _, want := range []string{"the relay leads", "parked", "event=bad.1", "takes no events", "takes events again"} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("%q is not there once in\n%s", want, log.String())
			}
		}
	})
}
