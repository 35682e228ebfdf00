package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// In a bubble of synctest the real clock is virtual: an hour passes immediately,
// as soon as all goroutines sleep.

func TestWake_DeliversImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		r, stop := start(t, s, sink, outbox.Options{Poll: time.Hour})
		synctest.Wait()
		before := time.Now()
		write(t, s, "a", 3)
		write(t, s, "b", 1)
		r.Wake()
		synctest.Wait()
		if got := sink.accepted(); len(got) != 4 || !time.Now().Equal(before) {
			t.Errorf("accepted %v, after %v", got, time.Since(before))
		}
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
		must.Do(t, stop())
	})
}

func TestPoll_FindsUnannouncedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		_, stop := start(t, s, sink, outbox.Options{Poll: 3 * time.Second})
		synctest.Wait()
		write(t, s, "a", 1)
		time.Sleep(3*time.Second + 1)
		synctest.Wait()
		if len(sink.accepted()) != 1 {
			t.Error("a poll did not find the event")
		}
		stop()
	})
}

func TestRun_UsesTheGivenClock(t *testing.T) {
	mock := clock.NewMock()
	s := memory.New(memory.Options{Clock: mock})
	got := make(chan string, 1)
	sink := &script{answer: func(e store.Queued, _ int) error {
		got <- e.ID()
		return nil
	}}
	_, stop := start(t, s, sink, outbox.Options{Clock: mock, Poll: time.Hour})
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

// TestRun_DeliversEventFromTheFuture covers an event that a clock step left in
// the future: it is delivered immediately, and its lag is 0.
func TestRun_DeliversEventFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		must.Do(t, s.Update(context.Background(), "a", "", func(change *store.Change) error {
			change.Event = &store.Event{Card: "a", Number: 1, At: change.Now.Add(time.Hour), Payload: []byte("{}")}
			return nil
		}))
		lag := time.Duration(-1)
		_, stop := start(t, s, &script{}, outbox.Options{Observe: func(o outbox.Outcome) { lag = o.Lag }})
		synctest.Wait()
		stop()
		if waiting(s) != 0 || lag != 0 {
			t.Errorf("lag %v, %v", lag, statuses(s))
		}
	})
}

func TestReplay_RedeliversDeadLetteredAndDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var fixed atomic.Bool
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Number == 2 && !fixed.Load() {
				return errBroken
			}
			return nil
		}}
		_, stop := start(t, s, sink, outbox.Options{MaxAttempts: 1})
		write(t, s, "a", 3)
		time.Sleep(time.Minute)
		write(t, s, "good", 1) // shows the relay that the sink works
		time.Sleep(5 * time.Minute)
		fixed.Store(true)
		if n, err := s.Requeue(context.Background(), 2, 3); n != 2 || err != nil {
			t.Error(n, err)
		}
		time.Sleep(time.Minute)
		stop()
		if diff := cmp.Diff([]string{"a.1", "a.3", "good.1", "a.2", "a.3"}, sink.accepted()); diff != "" || waiting(s) != 0 {
			t.Error(diff, statuses(s))
		}
	})
}

// TestAcknowledge_FailingForGoodRepeatsDeliveries covers a store that fails
// when deliveries are to be acknowledged, as in a crash. The next relay repeats
// them.
func TestAcknowledge_FailingForGoodRepeatsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		s.SetFaults(func(op memory.Op) memory.Fault {
			if op.Call == memory.CallRecordDeliveries {
				return memory.Fault{Before: memory.ErrInjected}
			}
			return memory.Fault{}
		})
		_, stop := start(t, s, sink, outbox.Options{})
		write(t, s, "a", 2)
		time.Sleep(time.Minute)
		write(t, s, "b", 1) // which would only be delivered twice
		time.Sleep(time.Minute)
		if n := sink.all(); n != 2 {
			t.Errorf("%d deliveries while they could not be recorded", n)
		}
		if err := stop(); err == nil || !strings.Contains(err.Error(), "2 deliveries") {
			t.Errorf("Run: %v", err)
		}
		s.SetFaults(nil)
		_, stop = start(t, s, sink, outbox.Options{})
		time.Sleep(time.Second)
		stop()
		if diff := cmp.Diff([]string{"a.1", "a.2", "a.1", "a.2", "b.1"}, sink.accepted()); diff != "" || waiting(s) != 0 {
			t.Error(diff)
		}
	})
}

// TestLease_PassesOnAfterStopAndLoss shows that a second relay continues when
// the first one stops or loses its lease, and that two never deliver at the
// same time.
func TestLease_PassesOnAfterStopAndLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var mu sync.Mutex
		var who []string
		relay := func(name string) (*outbox.Relay, func() error) {
			return start(t, s, &script{answer: func(store.Queued, int) error {
				mu.Lock()
				defer mu.Unlock()
				if n := len(who); n == 0 || who[n-1] != name {
					who = append(who, name)
				}
				return nil
			}}, outbox.Options{LeaseRetry: 5 * time.Second})
		}
		first, stopFirst := relay("first")
		synctest.Wait()
		second, stopSecond := relay("second")
		synctest.Wait()
		if !first.State().HasLease || second.State().HasLease {
			t.Error("the wrong relay holds the lease")
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
		if second.State().HasLease == third.State().HasLease {
			t.Error("not one holder of the lease")
		}
		stopSecond()
		stopThird()
		if len(who) < 2 || who[0] != "first" || who[1] != "second" || waiting(s) != 0 {
			t.Error(who, statuses(s))
		}
	})
}

// TestLease_LossCancelsDeliveries shows that what the sink had accepted before
// is still acknowledged.
func TestLease_LossCancelsDeliveries(t *testing.T) {
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
		_, stop := start(t, s, sink, outbox.Options{})
		<-began
		blocker := make(chan struct{})
		s.SetFaults(func(op memory.Op) memory.Fault { // no relay holds the lease for a while
			if op.Call == memory.CallAcquireLease {
				return memory.Fault{Stall: blocker}
			}
			return memory.Fault{}
		})
		s.LoseLease()
		synctest.Wait()
		want := map[string]store.Status{"a.1": store.StatusDelivered, "b.1": store.StatusWaiting}
		must.Equal(t, want, statuses(s))
		if n := s.Written(0)[1].Attempts; n != 0 {
			t.Errorf("being cancelled counted as %d attempts", n)
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

func (f sinkFunc) Close() error { return nil }

// TestRun_StopWaitsForBatchesUpToGrace shows that batches that finish within
// Grace are acknowledged, and that others are cancelled without counting an
// attempt.
func TestRun_StopWaitsForBatchesUpToGrace(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  time.Duration
		status store.Status
		after  time.Duration
	}{
		{"in time", 3 * time.Second, store.StatusDelivered, 3 * time.Second},
		{"too slow", time.Hour, store.StatusWaiting, 10 * time.Second},
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
				_, stop := start(t, s, sink, outbox.Options{Grace: 10 * time.Second})
				synctest.Wait()
				before := time.Now()
				must.Do(t, stop())
				if got := time.Since(before); got != c.after {
					t.Errorf("stopped after %v", got)
				}
				if e := s.Written(0)[0]; e.Status != c.status || e.Attempts != 0 {
					t.Errorf("%v, %d attempts", e.Status, e.Attempts)
				}
				if l, err := s.AcquireLease(context.Background()); err != nil {
					t.Error("the lease was not released:", err)
				} else {
					l.Release()
				}
			})
		})
	}
}

func TestDispatch_SlowBatchBlocksOnlyItsCards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		sink := sinkFunc(func(_ context.Context, events []store.Queued) []error {
			if events[0].Card == "slow" {
				time.Sleep(time.Minute)
			}
			return make([]error, len(events))
		})
		write(t, s, "slow", 1)
		r, stop := start(t, s, sink, outbox.Options{Poll: time.Hour})
		synctest.Wait()
		write(t, s, "slow", 1)
		write(t, s, "quick", 1)
		r.Wake()
		synctest.Wait()
		want := map[string]store.Status{"slow.1": store.StatusWaiting, "slow.2": store.StatusWaiting, "quick.1": store.StatusDelivered}
		must.Equal(t, want, statuses(s))
		time.Sleep(3 * time.Minute)
		stop()
		if waiting(s) != 0 {
			t.Error(statuses(s))
		}
	})
}

func TestLease_LostImmediatelyDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &flapping{Store: newStore()}
		_, stop := start(t, o, &script{}, outbox.Options{})
		time.Sleep(10 * time.Second)
		stop()
		if n := o.acquired.Load(); n < 5 || n > 12 {
			t.Errorf("asked %d times in 10 s", n)
		}
	})
}

type flapping struct {
	*memory.Store
	acquired atomic.Int64
}

func (f *flapping) AcquireLease(ctx context.Context) (store.Lease, error) {
	if f.acquired.Add(1) > 100 {
		time.Sleep(time.Second)
	}
	l, err := f.Store.AcquireLease(ctx)
	f.LoseLease()
	return l, err
}

// TestLease_DeliversNothingWhileItIsUncertain covers a process that stood still: until
// the store has confirmed the lease, another relay may hold it.
func TestLease_DeliversNothingWhileItIsUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &doubtful{Store: newStore()}
		sink := &script{}
		r, stop := start(t, o, sink, outbox.Options{})
		o.unknown.Store(true)
		write(t, o.Store, "a", 1)
		r.Wake()
		time.Sleep(time.Minute)
		if n := sink.all(); n != 0 {
			t.Errorf("%d deliveries without a lease", n)
		}
		o.unknown.Store(false)
		time.Sleep(10 * time.Second)
		if n := sink.all(); n != 1 {
			t.Errorf("%d deliveries after the lease was confirmed", n)
		}
		stop()
	})
}

// doubtful is a store whose lease may not be held for certain.
type doubtful struct {
	*memory.Store
	unknown atomic.Bool
}

func (d *doubtful) AcquireLease(ctx context.Context) (store.Lease, error) {
	l, err := d.Store.AcquireLease(ctx)
	return doubtfulLease{l, d}, err
}

type doubtfulLease struct {
	store.Lease
	of *doubtful
}

func (l doubtfulLease) Held() bool { return l.Lease.Held() && !l.of.unknown.Load() }

func TestNew_RefusesWhatIsMissingOrOutOfRange(t *testing.T) {
	events, sink := newStore(), &script{}
	must.Get(outbox.New(events, sink, outbox.Options{}))(t)
	for _, c := range []struct {
		name   string
		events store.Outbox
		sink   outbox.Sink
		o      outbox.Options
	}{
		{"no outbox", nil, sink, outbox.Options{}},
		{"no sink", events, nil, outbox.Options{}},
		{"nil outbox of a type", (*memory.Store)(nil), sink, outbox.Options{}},
		{"nil sink of a type", events, (*script)(nil), outbox.Options{}},
		{"negative batch", events, sink, outbox.Options{Batch: -1}},
		{"negative maximum in flight", events, sink, outbox.Options{MaxInFlight: -1}},
		{"negative grace", events, sink, outbox.Options{Grace: -1}},
		{"minimum over maximum", events, sink, outbox.Options{MinBackoff: time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := outbox.New(c.events, c.sink, c.o); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestNew_TakesTheClockOfItsStore moves a mock clock by the delay after a failure:
// the relay retries without any real time passing.
func TestNew_TakesTheClockOfItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clk := clock.NewMock()
		events := memory.New(memory.Options{Clock: clk})
		write(t, events, "A", 1)
		sink := &script{answer: func(_ store.Queued, try int) error {
			if try == 1 {
				return errBroken
			}
			return nil
		}}
		relay := must.Get(outbox.New(events, sink, outbox.Options{MinBackoff: time.Hour, MaxBackoff: time.Hour, MaxPause: time.Hour}))(t)
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { relay.Run(ctx) })
		tried := func() int {
			synctest.Wait()
			sink.mu.Lock()
			defer sink.mu.Unlock()
			return len(sink.tries)
		}
		if n := tried(); n != 1 {
			t.Errorf("%d attempts at first, want 1", n)
		}
		clk.Add(time.Hour)
		if n := tried(); n != 2 {
			t.Errorf("%d attempts after the delay by the store's clock, want 2", n)
		}
		stop()
		done.Wait()
	})
}

func TestLog_NamesLeaseDeadLetterAndSinkState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newStore()
		sink := &script{answer: func(e store.Queued, _ int) error {
			switch {
			case e.Card == "bad":
				return errBroken
			case e.Card != "a":
				return nil
			case time.Since(e.At) < time.Minute:
				return outbox.ErrUnavailable
			case time.Since(e.At) < 2*time.Minute:
				return &outbox.Unavailable{Err: errors.New("for another reason")}
			}
			return nil
		}}
		_, stop := start(t, s, sink, outbox.Options{MaxAttempts: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		write(t, s, "a", 1)
		time.Sleep(5 * time.Minute)
		for _, card := range []string{"bad", "b", "c"} {
			write(t, s, card, 1)
			time.Sleep(time.Minute)
		}
		stop()
		for _, want := range []string{"lease acquired", "dead-lettered", "event=bad.1", "error=unavailable", `sink is down; pausing deliveries" error="for another reason"`, "sink is up again"} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("%q is not there once in\n%s", want, log.String())
			}
		}
	})
}
