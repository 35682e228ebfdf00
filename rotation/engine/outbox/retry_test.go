package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// TestRetry_PoisonIsDeadLetteredAfterMaxAttempts shows that an event that
// always fails is retried with growing delays, is dead-lettered, and blocks
// only its own card.
func TestRetry_PoisonIsDeadLetteredAfterMaxAttempts(t *testing.T) {
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
		r, stop := start(t, s, sink, outbox.Options{
			MaxAttempts: 6, MinBackoff: time.Second, MaxBackoff: 8 * time.Second,
			Observe: func(o outbox.Outcome) {
				if o.Event.Card == "good" {
					lags = append(lags, o.Lag)
				}
				if o.Status == store.StatusParked {
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
		if len(tries) < 6 || len(tries) > 7 { // the first may not count: nothing was accepted before
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
		if st := statuses(s); st["poison.1"] != store.StatusParked || st["poison.2"] != store.StatusDelivered {
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

// TestRetry_PoisonBehindUnavailableProxyIsDeadLettered covers a receiver that
// fails on one event while its proxy answers that it is unavailable. Other
// cards' events are delivered, and the event is dead-lettered in the end.
func TestRetry_PoisonBehindUnavailableProxyIsDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.ID() == "poison.1" {
				return fmt.Errorf("502: %w", outbox.ErrUnavailable)
			}
			return nil
		}}
		var longest time.Duration
		r, stop := start(t, s, sink, outbox.Options{MaxAttempts: 6, Observe: func(o outbox.Outcome) {
			if o.Event.Card != "poison" {
				longest = max(longest, o.Lag)
			}
		}})
		write(t, s, "poison", 2)
		for i := range 600 {
			write(t, s, fmt.Sprintf("good-%d", i%20), 1)
			r.Wake()
			time.Sleep(time.Second)
		}
		stop()
		if longest > 10*time.Second {
			t.Errorf("one of the others was %v late", longest)
		}
		if st := statuses(s); st["poison.1"] != store.StatusParked || st["poison.2"] != store.StatusDelivered || waiting(s) != 0 {
			t.Errorf("poison.1 is %v, poison.2 %v; %d wait", st["poison.1"], st["poison.2"], waiting(s))
		}
		if e := s.Written(0)[0]; e.Failure != "502: unavailable" || e.Attempts != 6 {
			t.Errorf("stored: %d attempts, %q", e.Attempts, e.Failure)
		}
		must.Do(t, orderFault(sink.accepted(), s))
	})
}

// TestBreaker_OneCardProbesUntilTheSinkIsUp covers an outage in which only one
// event can show that the sink is up again.
func TestBreaker_OneCardProbesUntilTheSinkIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		began := time.Now()
		sink := &script{answer: func(store.Queued, int) error {
			if time.Since(began) < time.Hour {
				return outbox.ErrUnavailable
			}
			return nil
		}}
		_, stop := start(t, s, sink, outbox.Options{MaxAttempts: 3})
		write(t, s, "a", 3)
		time.Sleep(time.Hour + 6*time.Second)
		stop()
		if n := sink.all(); n > 3600/2.5 || waiting(s) != 0 {
			t.Errorf("%d tries, %v", n, statuses(s))
		}
		for _, e := range s.Written(0) {
			if e.Attempts != 0 {
				t.Errorf("%s: %d attempts counted", e.ID(), e.Attempts)
			}
		}
	})
}

// TestBreaker_ProbesComeFirstAfterAnOutage shows that events whose probes
// failed do not wait for all the others.
func TestBreaker_ProbesComeFirstAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		began := time.Now()
		sink := &script{answer: func(store.Queued, int) error {
			if time.Sleep(time.Second); time.Since(began) < time.Minute {
				return outbox.ErrUnavailable
			}
			return nil
		}}
		for i := range 100 {
			write(t, s, fmt.Sprintf("card-%d", i), 1)
		}
		_, stop := start(t, s, sink, outbox.Options{Batch: 1, MaxInFlight: 1})
		time.Sleep(2 * time.Minute)
		if accepted := sink.accepted(); len(accepted) < 4 || !slices.Contains(accepted[:4], "card-0.1") {
			t.Errorf("the oldest event is not among the first of %v", accepted)
		}
		stop()
	})
}

// TestBreaker_OverloadCountsNoAttempts covers a sink that accepts a few events
// of each batch and has no room for the rest.
func TestBreaker_OverloadCountsNoAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := sinkFunc(func(_ context.Context, events []store.Queued) []error {
			errs := make([]error, len(events))
			for i := 1; i < len(errs); i++ {
				errs[i] = outbox.ErrUnavailable
			}
			return errs
		})
		for i := range 60 {
			write(t, s, fmt.Sprintf("card-%d", i), 1)
		}
		_, stop := start(t, s, sink, outbox.Options{MaxAttempts: 2})
		time.Sleep(10 * time.Minute)
		stop()
		for _, e := range s.Written(0) {
			if e.Status != store.StatusDelivered || e.Attempts != 0 {
				t.Errorf("%s is %v after %d attempts", e.ID(), e.Status, e.Attempts)
			}
		}
	})
}

// TestRetry_LoneFailureIsNotDeadLettered shows that without other events
// nothing proves whose fault a failure is: the event is not dead-lettered and
// later events do not wait for it.
func TestRetry_LoneFailureIsNotDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card == "poison" {
				return errBroken
			}
			return nil
		}}
		r, stop := start(t, s, sink, outbox.Options{MaxAttempts: 2})
		write(t, s, "poison", 1)
		time.Sleep(time.Hour)
		if st := statuses(s); st["poison.1"] != store.StatusWaiting {
			t.Error("parked although nothing showed that the sink works")
		}
		if got := r.State(); got.Blocked != 1 || !got.Down.IsZero() {
			t.Errorf("%+v", got)
		}
		write(t, s, "good", 1)
		r.Wake()
		synctest.Wait()
		if st := statuses(s); st["good.1"] != store.StatusDelivered {
			t.Error("the good event waits for the poison")
		}
		time.Sleep(20 * time.Minute)
		write(t, s, "good", 1)
		time.Sleep(20 * time.Minute)
		if st := statuses(s); st["poison.1"] != store.StatusParked {
			t.Error("not parked although others were accepted between two failures:", st["poison.1"])
		}
		stop()
	})
}

func TestDeadLetter_StoresAShortReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card == "bad" {
				return fmt.Errorf("too\nlong \xff%s", strings.Repeat("x", 1000))
			}
			return nil
		}}
		_, stop := start(t, s, sink, outbox.Options{MaxAttempts: 1})
		write(t, s, "bad", 2)
		for range 3 {
			write(t, s, "good", 1)
			time.Sleep(time.Minute)
		}
		stop()
		if f := s.Written(0)[0].Failure; len(f) > 310 || !strings.HasPrefix(f, "too long  x") {
			t.Errorf("%d bytes: %q", len(f), f)
		}
	})
}

// TestBreaker_ManyPoisonCardsDoNotStopTheOthers: the receiver fails on the oldest events
// of many cards and would accept those of one more card. The relay must find that card,
// although the others are due for a retry again after each pause.
func TestBreaker_ManyPoisonCardsDoNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card == "good" {
				return nil
			}
			return errBroken
		}}
		for i := range 100 {
			write(t, s, fmt.Sprintf("poison-%d", i), 1)
		}
		write(t, s, "good", 1)
		_, stop := start(t, s, sink, outbox.Options{Batch: 5, MaxInFlight: 1, MaxBackoff: 10 * time.Second, MaxPause: 30 * time.Second})
		time.Sleep(15 * time.Minute)
		if got := sink.of("good.1"); len(got) != 1 {
			t.Errorf("the good event was tried %d times", len(got))
		}
		stop()
	})
}

// TestRetry_DeployOfTheReceiverCostsNothing: while new replicas of the receiver start,
// some of its answers are rejections, and for a while all of them. MaxAttempts and the
// back-off are the defaults. No event is dead-lettered, and each card's stay in order.
func TestRetry_DeployOfTheReceiverCostsNothing(t *testing.T) {
	for name, part := range map[string]float64{"half of the replicas": 0.5, "all replicas": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				var deploying atomic.Bool
				random := rand.New(rand.NewPCG(1, 2))
				var mu sync.Mutex
				sink := &script{answer: func(store.Queued, int) error {
					mu.Lock()
					defer mu.Unlock()
					if deploying.Load() && random.Float64() < part {
						return errors.New("the endpoint responded with status 404")
					}
					return nil
				}}
				_, stop := start(t, s, sink, outbox.Options{})
				for minute := range 20 {
					deploying.Store(minute >= 2 && minute < 7)
					for i := range 10 {
						write(t, s, fmt.Sprintf("card-%d", (minute*7+i*i)%30), 1)
						time.Sleep(6 * time.Second)
					}
				}
				time.Sleep(15 * time.Minute)
				for id, status := range statuses(s) {
					if status != store.StatusDelivered {
						t.Errorf("%s: %v", id, status)
					}
				}
				must.Do(t, orderFault(sink.accepted(), s))
				stop()
			})
		})
	}
}

// TestBreaker_OutageDeadLettersNothing covers a sink that accepts nothing for
// an hour. The attempts are few, and 5 seconds after the outage everything
// is delivered, in order.
func TestBreaker_OutageDeadLettersNothing(t *testing.T) {
	for name, failure := range map[string]error{
		"and says so":    fmt.Errorf("connection refused: %w", outbox.ErrUnavailable),
		"and fails each": errBroken, // as with a wrong secret
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
				r, stop := start(t, s, sink, outbox.Options{MaxAttempts: 3})
				write(t, s, "card-0", 1)
				time.Sleep(2 * time.Second)
				down.Store(true)
				for i := range 600 {
					write(t, s, fmt.Sprintf("card-%d", i%50), 1)
					time.Sleep(6 * time.Second)
				}
				if n := sink.all(); n > 4*3600/2.5 { // up to 4 probes after each pause
					t.Errorf("%d tries in an hour", n)
				}
				if got := r.State(); got.Down.IsZero() || got.Failure == "" || !got.HasLease {
					t.Errorf("%+v", got)
				}
				down.Store(false)
				time.Sleep(6 * time.Second)
				synctest.Wait()
				for id, st := range statuses(s) {
					if st != store.StatusDelivered {
						t.Errorf("%s: %v", id, st)
					}
				}
				must.Do(t, orderFault(sink.accepted(), s))
				if got := r.State(); !got.Down.IsZero() || got.Blocked != 0 {
					t.Errorf("%+v", got)
				}
				stop()
			})
		})
	}
}

func TestBreaker_RespectsTheDelayThatTheSinkAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(_ store.Queued, try int) error {
			if try == 1 {
				return fmt.Errorf("too many: %w", &outbox.Unavailable{Err: errBroken, After: 7 * time.Minute})
			}
			return nil
		}}
		_, stop := start(t, s, sink, outbox.Options{})
		write(t, s, "a", 1)
		time.Sleep(8 * time.Minute)
		stop()
		tries := sink.of("a.1")
		if len(tries) != 2 || tries[1].at.Sub(tries[0].at) < 7*time.Minute || tries[1].at.Sub(tries[0].at) > 7*time.Minute+time.Second {
			t.Error(tries)
		}
	})
}

// TestFinish_MissingResultsAreFailures covers a sink that returns fewer errors
// than events, and success after a failure.
func TestFinish_MissingResultsAreFailures(t *testing.T) {
	for _, failure := range []error{errBroken, outbox.ErrUnavailable, outbox.ErrNotTried} {
		missingResults(t, failure)
	}
}

func missingResults(t *testing.T, failure error) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var first atomic.Bool
		sink := sinkFunc(func(_ context.Context, events []store.Queued) []error {
			if first.CompareAndSwap(false, true) {
				return []error{failure, nil} // for three events of one card
			}
			return make([]error, len(events))
		})
		write(t, s, "a", 3)
		_, stop := start(t, s, sink, outbox.Options{})
		time.Sleep(time.Millisecond)
		if waiting(s) != 3 && !errors.Is(failure, outbox.ErrNotTried) {
			t.Error("what comes after a failure was recorded as delivered:", statuses(s))
		}
		time.Sleep(time.Minute)
		stop()
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
	})
}

// TestBreaker_BatchesFailingTogetherAreOneFailure shows that one event probes
// the sink afterwards, not one a batch.
func TestBreaker_BatchesFailingTogetherAreOneFailure(t *testing.T) {
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
		_, stop := start(t, s, sink, outbox.Options{Batch: 1, MaxInFlight: 4})
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

func TestMaxBlocked_AllCardsWaitForARetry(t *testing.T) {
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
		r, stop := start(t, s, sink, outbox.Options{MaxBlocked: 2, MinBackoff: 10 * time.Second})
		synctest.Wait()
		write(t, s, "good", 1)
		r.Wake()
		time.Sleep(4 * time.Second)
		if waiting(s) != 3 {
			t.Error("more cards than the maximum were tried:", statuses(s))
		}
		time.Sleep(7 * time.Second)
		if waiting(s) != 2 {
			t.Error("the good event still waits:", statuses(s))
		}
		stop()
	})
}

func TestRetry_ForgetsEventsThatLeftTheOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := &script{answer: func(store.Queued, int) error { return errBroken }}
		write(t, s, "a", 1)
		r, stop := start(t, s, sink, outbox.Options{})
		time.Sleep(time.Minute)
		if n := r.State().Blocked; n != 1 {
			t.Error("blocked:", n)
		}
		must.Do(t, s.RecordDeliveries(context.Background(), []store.Delivery{{Position: 1, Status: store.StatusDelivered}}))
		time.Sleep(time.Hour)
		if n := r.State().Blocked; n != 0 {
			t.Error("blocked:", n)
		}
		stop()
	})
}
