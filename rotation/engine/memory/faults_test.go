package memory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// oneCard returns a store with a card that is due, in Version 1.
func oneCard() (*memory.Store, *clock.Mock) {
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	s := memory.New(memory.Options{Clock: clk})
	s.Put(store.Card{ID: "a", Version: 1, Next: clk.Now(), Due: clk.Now()})
	return s, clk
}

// rotate asks for all that can be stored.
func rotate(change *store.Change) error {
	change.Card.Version++
	change.Card.Events++
	change.Card.Next = change.Card.Next.Add(time.Hour)
	change.Card.Due = change.Card.Next
	change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events}
	change.Answer = &store.Answer{Expires: change.Now.Add(time.Hour)}
	change.Write = true
	return nil
}

// on returns a hook that makes one call go wrong.
func on(call memory.Call, f memory.Fault) func(memory.Op) memory.Fault {
	return func(op memory.Op) memory.Fault {
		if op.Call == call {
			return f
		}
		return memory.Fault{}
	}
}

// expect checks how many rotations of the card took place.
func expect(t *testing.T, s *memory.Store, rotations int64) {
	t.Helper()
	s.SetFaults(nil)
	c := must.Get(s.Card(t.Context(), "a"))(t)
	if n := int64(len(s.Written(0))); c.Version != 1+rotations || n != rotations {
		t.Errorf("Version %d with %d events; want %d with %d", c.Version, n, 1+rotations, rotations)
	}
}

func TestFault_BeforeCommitStoresNothing(t *testing.T) {
	s, _ := oneCard()
	s.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected} })
	called := 0
	fn := func(change *store.Change) error {
		called++
		return rotate(change)
	}
	if err := s.Update(t.Context(), "a", "key", fn); !errors.Is(err, memory.ErrInjected) {
		t.Errorf("Update: %v", err)
	}
	if n, err := s.Claim(t.Context(), 10, fn); !errors.Is(err, memory.ErrInjected) || n != 0 {
		t.Errorf("Claim: %d, %v", n, err)
	}
	if called != 2 {
		t.Errorf("fn was called %d times, want 2", called)
	}
	expect(t, s, 0)
}

func TestFault_AfterCommitLosesOnlyTheReply(t *testing.T) {
	s, clk := oneCard()
	s.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{After: memory.ErrInjected} })
	if err := s.Update(t.Context(), "a", "key", rotate); !errors.Is(err, memory.ErrInjected) {
		t.Errorf("Update: %v", err)
	}
	clk.Add(time.Hour)
	if n, err := s.Claim(t.Context(), 10, rotate); !errors.Is(err, memory.ErrInjected) || n != 0 {
		t.Errorf("Claim: %d, %v", n, err)
	}
	if err := s.RecordDeliveries(t.Context(), []store.Delivery{{Position: 1, Status: store.StatusDelivered}}); !errors.Is(err, memory.ErrInjected) {
		t.Errorf("RecordDeliveries: %v", err)
	}
	if lease, err := s.AcquireLease(t.Context()); !errors.Is(err, memory.ErrInjected) || lease != nil {
		t.Errorf("AcquireLease: %v, %v", lease, err)
	}
	expect(t, s, 2)
	if events, err := s.ListWaiting(t.Context(), 10, nil); err != nil || len(events) != 1 {
		t.Errorf("%d events wait, %v; want 1", len(events), err)
	}
	if _, err := s.AcquireLease(t.Context()); err != nil {
		t.Errorf("AcquireLease after a lost reply: %v", err)
	}
}

func TestFault_AgainForgetsTheFirstTry(t *testing.T) {
	s, clk := oneCard()
	s.SetFaults(on(memory.CallUpdate, memory.Fault{
		Again: true,
		Race: func() { // another caller's update, between the tries
			s.SetFaults(nil)
			if err := s.Update(t.Context(), "a", "", rotate); err != nil {
				t.Error(err)
			}
		},
	}))
	var seen []int64
	must.Do(t, s.Update(t.Context(), "a", "", func(change *store.Change) error {
		seen = append(seen, change.Card.Version)
		if err := rotate(change); len(seen) > 1 {
			return err
		}
		return errors.New("of the first try")
	}))
	if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
		t.Errorf("fn saw versions %d, want 1 and 2", seen)
	}
	clk.Add(2 * time.Hour)
	s.SetFaults(on(memory.CallClaim, memory.Fault{Again: true}))
	calls := 0
	if n, err := s.Claim(t.Context(), 10, func(change *store.Change) error {
		calls++
		return rotate(change)
	}); err != nil || n != 1 || calls != 2 {
		t.Errorf("Claim: %d, %v after %d calls of fn; want 1 after 2", n, err, calls)
	}
	expect(t, s, 3)
}

func TestFault_RaceMovesACardThatWasFound(t *testing.T) {
	s, clk := oneCard()
	slot := clk.Now()
	s.SetFaults(on(memory.CallClaim, memory.Fault{Race: func() {
		if err := s.Update(t.Context(), "a", "", rotate); err != nil {
			t.Error(err)
		}
	}}))
	n, err := s.Claim(t.Context(), 10, func(change *store.Change) error {
		if !change.Slot.Equal(slot) || !change.Card.Next.Equal(slot.Add(time.Hour)) || change.Card.Version != 2 {
			t.Errorf("Slot %v, Next %v, Version %d", change.Slot, change.Card.Next, change.Card.Version)
		}
		return nil
	})
	if n != 1 || err != nil {
		t.Errorf("Claim: %d, %v; want 1", n, err)
	}
	expect(t, s, 1)
}

func TestFault_StallEndsWithItsChannelOrTheContext(t *testing.T) {
	s, _ := oneCard()
	stall, stalled := make(chan struct{}), make(chan struct{}, 2)
	s.SetFaults(func(memory.Op) memory.Fault {
		stalled <- struct{}{}
		return memory.Fault{Stall: stall}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended, done := make(chan error), make(chan error)
	go func() { ended <- s.Update(ctx, "a", "", rotate) }()
	go func() { done <- s.Update(context.Background(), "a", "", rotate) }()
	<-stalled
	<-stalled
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
	close(stall)
	if err := <-done; err != nil {
		t.Errorf("after the stall ended: %v", err)
	}
	expect(t, s, 1)
}

func TestClose_WaitsForStalledCalls(t *testing.T) {
	s, clk := oneCard()
	stall, stalled := make(chan struct{}), make(chan struct{})
	s.SetFaults(on(memory.CallUpdate, memory.Fault{Race: func() {
		close(stalled)
		<-stall
	}}))
	result, closed := make(chan error, 1), make(chan error, 1)
	go func() { result <- s.Update(context.Background(), "a", "", rotate) }()
	<-stalled
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
		t.Error("Close returned during an update")
	case <-time.After(20 * time.Millisecond):
	}
	close(stall)
	if err := <-result; err != nil {
		t.Errorf("update that had begun: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	expect(t, s.Reopen(memory.Options{Clock: clk}), 1)
}

func TestReopen_ActsAsACrash(t *testing.T) {
	s, clk := oneCard()
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	stall, stalled := make(chan struct{}), make(chan struct{})
	s.SetFaults(on(memory.CallUpdate, memory.Fault{Race: func() {
		close(stalled)
		<-stall
	}}))
	result := make(chan error)
	go func() { result <- s.Update(context.Background(), "a", "", rotate) }()
	<-stalled
	next := s.Reopen(memory.Options{Clock: clk})
	<-lease.Lost()
	close(stall)
	if err := <-result; !errors.Is(err, store.ErrClosed) {
		t.Errorf("update of the process that was killed: %v", err)
	}
	if _, err := s.Now(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a later call of the process that was killed: %v", err)
	}
	if _, err := next.AcquireLease(t.Context()); err != nil {
		t.Errorf("AcquireLease of the next process: %v", err)
	}
	if err := s.Close(); err != nil { // which is not the next one's
		t.Error(err)
	}
	must.Do(t, next.Update(t.Context(), "a", "", rotate))
	expect(t, next, 1)
}

func TestLoseLease_EndsTheLeaseAndFreesIt(t *testing.T) {
	s, _ := oneCard()
	s.LoseLease() // no lease is held
	lease := must.Get(s.AcquireLease(t.Context()))(t)
	s.LoseLease()
	<-lease.Lost()
	lease.Release()
	must.Get(s.AcquireLease(t.Context()))(t)
}

func TestWritten_KeepsDeletedEvents(t *testing.T) {
	s, clk := oneCard()
	for range 3 {
		must.Do(t, s.Update(t.Context(), "a", "", rotate))
	}
	must.Do(t, s.RecordDeliveries(t.Context(), []store.Delivery{{Position: 2, Status: store.StatusDelivered}}))
	if n, err := s.DeleteExpired(t.Context(), clk.Now().Add(time.Hour), 10); err != nil || n != 1 {
		t.Fatalf("pruned %d, %v; want 1", n, err)
	}
	for after := range int64(5) {
		events := s.Written(after)
		if len(events) != max(0, 3-int(after)) || len(events) > 0 && events[0].Position != after+1 {
			t.Errorf("after %d: %v", after, events)
		}
	}
}
