package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"cvvrotation/rotation/engine/store"
)

// calls are all methods of a store but Close and Clock, and whether they change something.
var calls = []struct {
	name    string
	changes bool
	call    func(context.Context, store.Store) error
}{
	{"Now", false, func(ctx context.Context, s store.Store) error { _, err := s.Now(ctx); return err }},
	{"Card", false, func(ctx context.Context, s store.Store) error { _, err := s.Card(ctx, "a"); return err }},
	{"Update", true, func(ctx context.Context, s store.Store) error { return s.Update(ctx, "a", "key", bump) }},
	{"Claim", true, func(ctx context.Context, s store.Store) error { _, err := s.Claim(ctx, 10, bump); return err }},
	{"NextDue", false, func(ctx context.Context, s store.Store) error { _, _, err := s.NextDue(ctx); return err }},
	{"IDsTooFarAhead", false, func(ctx context.Context, s store.Store) error { _, err := s.IDsTooFarAhead(ctx, "", 10); return err }},
	{"ListCards", false, func(ctx context.Context, s store.Store) error { _, err := s.ListCards(ctx, "", 10); return err }},
	{"ListFailingCards", false, func(ctx context.Context, s store.Store) error { _, err := s.ListFailingCards(ctx, 10); return err }},
	{"CountDue", false, func(ctx context.Context, s store.Store) error {
		_, err := s.CountDue(ctx, epoch, time.Minute, 10)
		return err
	}},
	{"Stats", false, func(ctx context.Context, s store.Store) error { _, err := s.Stats(ctx); return err }},
	{"DeleteExpired", true, func(ctx context.Context, s store.Store) error {
		_, err := s.DeleteExpired(ctx, epoch.Add(time.Hour), 10)
		return err
	}},
	{"DeleteUndelivered", true, func(ctx context.Context, s store.Store) error {
		_, err := s.DeleteUndelivered(ctx, epoch.Add(time.Hour), 10)
		return err
	}},
	{"AcquireLease", true, func(ctx context.Context, s store.Store) error {
		lease, err := s.AcquireLease(ctx)
		if err == nil {
			lease.Release()
		}
		return err
	}},
	{"ListWaiting", false, func(ctx context.Context, s store.Store) error { _, err := s.ListWaiting(ctx, 10, nil); return err }},
	{"RecordDeliveries", true, func(ctx context.Context, s store.Store) error {
		return s.RecordDeliveries(ctx, []store.Delivery{{Position: 2, Status: store.StatusDelivered}})
	}},
	{"ListEvents", false, func(ctx context.Context, s store.Store) error { _, err := s.ListEvents(ctx, 0, 10); return err }},
	{"ListCardEvents", false, func(ctx context.Context, s store.Store) error {
		_, err := s.ListCardEvents(ctx, "a", 10, 10)
		return err
	}},
	{"Fingerprints", false, func(ctx context.Context, s store.Store) error {
		_, err := s.Fingerprints(ctx, "a")
		return err
	}},
	{"SealingKey", false, func(ctx context.Context, s store.Store) error { _, err := s.SealingKey(ctx); return err }},
	{"SetSealingKey", true, func(ctx context.Context, s store.Store) error { return s.SetSealingKey(ctx, 8) }},
	{"ReportRelay", true, func(ctx context.Context, s store.Store) error {
		return s.ReportRelay(ctx, store.RelayReport{Holder: "other"})
	}},
	{"RelayReport", false, func(ctx context.Context, s store.Store) error { _, err := s.RelayReport(ctx); return err }},
	{"CheckWrites", true, func(ctx context.Context, s store.Store) error { return s.CheckWrites(ctx) }},
	{"Requeue", true, func(ctx context.Context, s store.Store) error { _, err := s.Requeue(ctx, 1, 10); return err }},
}

// bump sets every field of a Change.
func bump(change *store.Change) error {
	change.Card.Version++
	change.Event = event(change, "changed")
	change.Answer = &store.Answer{Expires: change.Now.Add(time.Hour)}
	change.Write = true
	change.Fingerprints = [][]byte{[]byte("bumped")}
	return nil
}

// furnish stores something of every kind: a card that is due, an answer, events
// delivered, waiting after a failure, parked and new, the id of a
// sealing key and a report of the relay.
func (f *fixture) furnish() {
	f.Helper()
	f.put(due("a", epoch))
	f.put(full("b"))
	f.must(f.setPrints("b", "2", "1"))
	f.answer("b", "key", answerOf("b"))
	e := f.write("a", "1", "2", "3", "4")
	f.settle(e[0], store.StatusDelivered, "")
	f.settle(e[1], store.StatusWaiting, "not yet")
	f.settle(e[2], store.StatusParked, "no")
	f.must(f.SetSealingKey(f.Context(), 7))
	f.must(f.ReportRelay(f.Context(), store.RelayReport{Holder: "this", Down: epoch, Failure: "no"}))
}

// content is everything that a store's methods return of its content.
type content struct {
	Cards                        []store.Card
	Log, Waiting                 []store.Queued
	NextDue                      time.Time
	Due                          bool
	Answer                       *store.Answer // of the card b
	FingerprintsA, FingerprintsB string
	SealingKey                   uint32
	RelayReport                  store.RelayReport
}

func (f *fixture) content() (c content) {
	f.Helper()
	var err error
	c.Cards, err = f.ListCards(f.Context(), "", 100)
	f.must(err)
	c.Log, err = f.ListEvents(f.Context(), 0, 100)
	f.must(err)
	c.Waiting, err = f.ListWaiting(f.Context(), 100, nil)
	f.must(err)
	c.NextDue, c.Due, err = f.NextDue(f.Context())
	f.must(err)
	c.RelayReport, err = f.RelayReport(f.Context())
	f.must(err)
	c.SealingKey, err = f.SealingKey(f.Context())
	f.must(err)
	c.Answer, c.FingerprintsA, c.FingerprintsB = f.ask("b", "key"), f.prints("a"), f.prints("b")
	return c
}

var closeTests = []test{
	{"after Close every call is ErrClosed", func(f *fixture) {
		f.furnish()
		f.must(f.Close())
		for _, c := range calls {
			f.Run(c.name, func(t *testing.T) {
				if err := c.call(t.Context(), f.Store); !errors.Is(err, store.ErrClosed) {
					t.Errorf("got %v, want %v", err, store.ErrClosed)
				}
			})
		}
		f.promptly("second Close", func() {
			if err := f.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
				f.Errorf("second Close: %v", err)
			}
		})
	}},

	{"a call that would change something does nothing when its context has ended", func(f *fixture) {
		f.furnish()
		want := f.content()
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		for _, c := range calls {
			if c.changes {
				f.Run(c.name, func(t *testing.T) {
					if err := c.call(ctx, f.Store); !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, want %v", err, context.Canceled)
					}
				})
			}
		}
		f.equal("content", f.content(), want)
	}},

	{"Close waits for calls that have begun", func(f *fixture) {
		f.put(due("a", time.Time{}))
		begun, finish := make(chan struct{}, 100), make(chan struct{})
		result := make(chan error, 1)
		go func() {
			result <- f.Update(context.Background(), "a", "", func(change *store.Change) error {
				begun <- struct{}{}
				<-finish
				return bump(change)
			})
		}()
		<-begun
		closed := make(chan error, 1)
		go func() { closed <- f.Close() }()
		select {
		case <-closed:
			f.Error("Close returned during an update")
		case <-time.After(20 * time.Millisecond):
		}
		close(finish)
		f.promptly("update and Close", func() {
			if err := <-result; err != nil {
				f.Errorf("update that had begun before Close: %v", err)
			}
			if err := <-closed; err != nil {
				f.Errorf("Close: %v", err)
			}
		})
		if f.reopen == nil {
			return
		}
		f.Store = f.reopen()
		if v := f.card("a").Version; v != 2 {
			f.Errorf("Version %d, want 2", v)
		}
	}},

	{"Close ends the lease, and the next process can acquire it", func(f *fixture) {
		lease, err := f.AcquireLease(f.Context())
		f.must(err)
		f.promptly("Close", func() { f.must(f.Close()) })
		f.promptly("Lost", func() { <-lease.Lost() })
		lease.Release()
		if f.reopen == nil {
			return
		}
		f.Store = f.reopen()
		lease, err = f.AcquireLease(f.Context())
		f.must(err)
		lease.Release()
	}},

	{"what a method reports as done is there after the store is reopened", func(f *fixture) {
		if f.reopen == nil {
			f.Skip("nothing survives this store")
		}
		f.furnish()
		want := f.content()
		f.must(f.Close())
		f.Store = f.reopen()
		f.equal("content", f.content(), want)
		f.equal("claimed", f.claim(10, nil), []string{"a"})
		f.equal("replayed", f.replay(0, 100), int64(2))
	}},

	{"positions are never reused, even after all events are deleted and the store is reopened", func(f *fixture) {
		if f.reopen == nil {
			f.Skip("nothing survives this store")
		}
		e := f.write("a", "1", "2", "3")
		for i := range e {
			f.settle(e[i], store.StatusDelivered, "")
		}
		_, err := f.DeleteExpired(f.Context(), epoch.Add(time.Hour), 10)
		f.must(err)
		f.must(f.Close())
		f.Store = f.reopen()
		if p := f.write("a", "4")[0].Position; p <= e[2].Position {
			f.Errorf("position %d after %d", p, e[2].Position)
		}
	}},
}
