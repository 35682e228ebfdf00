package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// stalled makes RecordDeliveries hang until the channel is closed.
func stalled(s *memory.Store) chan struct{} {
	open := make(chan struct{})
	s.SetFaults(func(op memory.Op) (f memory.Fault) {
		if op.Call == memory.CallRecordDeliveries {
			f.Stall = open
		}
		return f
	})
	return open
}

// TestAcknowledge_SlowStoreBlocksOnlyItsCards shows that other cards' events
// are delivered meanwhile, up to a limit.
func TestAcknowledge_SlowStoreBlocksOnlyItsCards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := newStore(), &script{}
		for i := range 20 {
			write(t, s, fmt.Sprintf("card-%d", i), 1)
		}
		write(t, s, "card-0", 1)
		open := stalled(s)
		_, stop := start(t, s, sink, outbox.Options{Batch: 1, MaxInFlight: 2})
		time.Sleep(time.Minute)
		if n := sink.all(); n < 3 || n > 6 {
			t.Errorf("%d deliveries while the first ones are recorded", n)
		}
		if len(sink.of("card-0.2")) > 0 {
			t.Error("a later event was delivered before the earlier one was recorded")
		}
		close(open)
		time.Sleep(time.Minute)
		stop()
		if err := orderFault(sink.accepted(), s); err != nil || waiting(s) != 0 || sink.all() != 21 {
			t.Error(err, statuses(s))
		}
	})
}

// TestRun_EndsWhileTheStoreHangs covers a lease that is lost, and a stop,
// during a call of the store.
func TestRun_EndsWhileTheStoreHangs(t *testing.T) {
	for name, end := range map[string]func(s *memory.Store, stop func() error) error{
		"and the lease is lost": func(s *memory.Store, stop func() error) error {
			s.LoseLease()
			time.Sleep(25 * time.Second) // when the first relay has given up what it could not record
			return stop()
		},
		"and the relay is to stop": func(_ *memory.Store, stop func() error) error { return stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				began := time.Now()
				var once sync.Once
				var cut time.Duration // until the first delivery was cancelled
				sink := sinkFunc(func(ctx context.Context, events []store.Queued) []error {
					if events[0].Card != "slow" {
						return make([]error, len(events))
					}
					<-ctx.Done()
					once.Do(func() { cut = time.Since(began) })
					return []error{ctx.Err()}
				})
				write(t, s, "quick", 1)
				write(t, s, "slow", 1)
				stalled(s)
				_, stop := start(t, s, sink, outbox.Options{Batch: 1, Grace: 10 * time.Second})
				synctest.Wait()
				err := end(s, stop)
				if name == "and the lease is lost" && cut > time.Second {
					t.Errorf("cancelled only after %v", cut)
				}
				if took := time.Since(began); took > 50*time.Second || name == "and the relay is to stop" && (err == nil || took > 20*time.Second) {
					t.Errorf("ended after %v: %v", took, err)
				}
			})
		})
	}
}

// TestLease_LossDuringReadCancelsDeliveries shows that the events that the
// hanging call returns later are left to the next relay.
func TestLease_LossDuringReadCancelsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		began := time.Now()
		reads := 0
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.CallListWaiting {
				if reads++; reads == 2 {
					f.Stall = make(chan struct{})
				}
			}
			return f
		})
		var cut time.Duration // until the first delivery was cancelled
		sink := &script{answer: func(store.Queued, int) error { return nil }}
		first := true
		slow := sinkFunc(func(ctx context.Context, events []store.Queued) []error {
			if !first {
				return sink.Deliver(ctx, events)
			}
			first = false
			<-ctx.Done()
			cut = time.Since(began)
			return []error{ctx.Err()}
		})
		write(t, s, "a", 1)
		write(t, s, "b", 1)
		_, stop := start(t, s, slow, outbox.Options{Batch: 1})
		time.Sleep(time.Second)
		s.LoseLease()
		time.Sleep(time.Minute)
		if err := stop(); err != nil || cut != time.Second || waiting(s) != 0 {
			t.Errorf("%v; cancelled after %v; %v", err, cut, statuses(s))
		}
	})
}

func TestAcknowledge_DoesNotWaitForSinkThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		failed := false
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.CallRecordDeliveries && !failed {
				failed, f.Before = true, memory.ErrInjected
			}
			return f
		})
		sink := &script{answer: func(e store.Queued, _ int) error {
			if e.Card == "b" {
				return &outbox.Unavailable{Err: errors.New("too many"), After: time.Hour}
			}
			return nil
		}}
		write(t, s, "a", 1)
		write(t, s, "b", 1)
		_, stop := start(t, s, sink, outbox.Options{})
		time.Sleep(time.Minute)
		if st := statuses(s); st["a.1"] != store.StatusDelivered || !failed {
			t.Error("not recorded while the sink is down:", st)
		}
		stop()
	})
}

func TestRun_StopLetsAcknowledgementFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		open := make(chan struct{})
		records := 0
		s.SetFaults(func(op memory.Op) (f memory.Fault) {
			if op.Call == memory.CallRecordDeliveries {
				records++
				f.Stall = open
			}
			return f
		})
		write(t, s, "a", 1)
		_, stop := start(t, s, &script{}, outbox.Options{})
		synctest.Wait()
		time.AfterFunc(3*time.Second, func() { close(open) })
		if err := stop(); err != nil || records != 1 || waiting(s) != 0 {
			t.Errorf("%v; %d records, %v", err, records, statuses(s))
		}
	})
}
