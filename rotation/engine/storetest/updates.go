package storetest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"cvvrotation/rotation/engine/store"
)

// event returns an event for a card's next number.
func event(change *store.Change, payload string) *store.Event {
	change.Card.Events++
	return &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte(payload)}
}

// eventsOf returns all events of a card that are not pruned.
func (f *fixture) eventsOf(id string) []store.Queued {
	f.Helper()
	var events []store.Queued
	for after := int64(0); ; {
		page, err := f.ListEvents(f.Context(), after, 100)
		f.must(err)
		if len(page) == 0 {
			return events
		}
		for _, e := range page {
			if e.Card == id {
				events = append(events, e)
			}
		}
		if page[0].Position <= after {
			f.Fatalf("Log after position %d begins with %d", after, page[0].Position)
		}
		after = page[len(page)-1].Position
	}
}

// each calls f in n goroutines, which start together, and waits for them.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// section is code that only one goroutine may run at a time.
type section struct{ inside atomic.Int32 }

// enter lets other goroutines run, and reports whether none of them entered.
func (s *section) enter() bool {
	alone := s.inside.Add(1) == 1
	for range 3 {
		runtime.Gosched()
	}
	return s.inside.Add(-1) == 0 && alone
}

var updateTests = []test{
	{"a card that is not stored has Version 0, and only its id", func(f *fixture) {
		id := f.id()
		f.update(id, func(change *store.Change) { f.equal("card", change.Card, store.Card{ID: id}) })
		if _, err := f.Card(f.Context(), id); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("after an update that does not write: %v", err)
		}
	}},

	{"an update sees the store's time, no slot and no prior answer", func(f *fixture) {
		f.update(f.id(), func(change *store.Change) {
			if change.Now != f.now() {
				f.Errorf("Now %#v, want %#v", change.Now, f.now())
			}
			if !change.Slot.IsZero() || change.Prior != nil || change.Write || change.Event != nil || change.Answer != nil {
				f.Errorf("not zero: %+v", change)
			}
		})
	}},

	{"what is not asked for is not stored", func(f *fixture) {
		want := full(f.id())
		f.put(want)
		f.update(want.ID, func(change *store.Change) { change.Card.Version++ })
		f.equal("card", f.card(want.ID), want)
		f.equal("events", f.eventsOf(want.ID), []store.Queued(nil))

		f.update(want.ID, func(change *store.Change) {
			change.Card.Version++
			change.Event = event(change, "alone")
		})
		f.equal("card after an event alone", f.card(want.ID), want)
		if n := len(f.eventsOf(want.ID)); n != 1 {
			f.Errorf("%d events, want 1", n)
		}
	}},

	{"an error of fn is returned unchanged, and nothing is stored", func(f *fixture) {
		want := full(f.id())
		f.put(want)
		none := f.id()
		fnErr := &refusal{}
		for _, id := range []string{want.ID, none} {
			err := f.Update(f.Context(), id, "key", func(change *store.Change) error {
				change.Card.Version++
				change.Event = event(change, "no")
				change.Answer = &store.Answer{Expires: change.Now.Add(1e12)}
				change.Write = true
				return fnErr
			})
			if err != error(fnErr) {
				f.Errorf("error %v, want fn's own", err)
			}
			f.equal("events", f.eventsOf(id), []store.Queued(nil))
			f.must(f.Update(f.Context(), id, "key", func(change *store.Change) error {
				if change.Prior != nil {
					f.Error("an answer was stored")
				}
				return nil
			}))
		}
		f.equal("card", f.card(want.ID), want)
		if _, err := f.Card(f.Context(), none); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("card that was not there: %v", err)
		}
	}},

	{"a panic of fn reaches the caller, nothing is stored, and the lock is released", func(f *fixture) {
		want := full(f.id())
		f.put(want)
		f.promptly("update that panics", func() {
			defer func() {
				if r := recover(); r != "fn's panic" {
					f.Errorf("recovered %v, want fn's panic", r)
				}
			}()
			_ = f.Update(f.Context(), want.ID, "", func(change *store.Change) error {
				change.Card.Version++
				change.Event = event(change, "no")
				change.Write = true
				panic("fn's panic")
			})
			f.Error("the update returned")
		})
		f.promptly("update after a panic", func() {
			_ = f.Update(f.Context(), want.ID, "", func(change *store.Change) error { return nil })
		})
		f.equal("card", f.card(want.ID), want)
		f.equal("events", f.eventsOf(want.ID), []store.Queued(nil))
	}},

	{"updates of one card come one after the other, and none is lost", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		const callers, times = 64, 5
		before := full(id)
		var lock section
		f.promptly("updates", func() {
			each(callers, func(int) {
				for range times {
					f.report(f.Update(f.Context(), id, "", func(change *store.Change) error {
						if !lock.enter() {
							f.Error("two functions have the card at once")
						}
						change.Card.Version++
						change.Event = event(change, "one more")
						change.Write = true
						return nil
					}))
				}
			})
		})
		c := f.card(id)
		if got := c.Version - before.Version; got != callers*times {
			f.Errorf("%d updates are left of %d", got, callers*times)
		}
		events := f.eventsOf(id)
		if len(events) != callers*times {
			f.Errorf("%d events, want %d", len(events), callers*times)
		}
		for i, e := range events {
			if e.Number != before.Events+int64(i)+1 {
				f.Fatalf("event %d in the order of positions has number %d, want %d", i, e.Number, before.Events+int64(i)+1)
			}
		}
	}},

	{"updates of a card that does not exist come one after the other", func(f *fixture) {
		for range 5 {
			id := f.id()
			const callers = 16
			first := make([]bool, callers)
			f.promptly("updates", func() {
				each(callers, func(i int) {
					f.report(f.Update(f.Context(), id, "", func(change *store.Change) error {
						first[i] = change.Card.Version == 0
						runtime.Gosched()
						change.Card.Version++
						change.Card.Account = "a"
						change.Card.State = []byte("s")
						change.Card.Created = change.Now
						change.Event = event(change, "made")
						change.Write = true
						return nil
					}))
				})
			})
			creators := 0
			for _, was := range first {
				if was {
					creators++
				}
			}
			if creators != 1 {
				f.Errorf("%d callers found no card, want 1", creators)
			}
			if v := f.card(id).Version; v != callers {
				f.Errorf("Version %d, want %d", v, callers)
			}
		}
	}},

	{"a call whose context has ended does nothing", func(f *fixture) {
		want := full(f.id())
		f.put(want)
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		err := f.Update(ctx, want.ID, "", func(change *store.Change) error {
			change.Card.Version++
			change.Event = event(change, "no")
			change.Write = true
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			f.Errorf("got %v, want %v", err, context.Canceled)
		}
		f.equal("card", f.card(want.ID), want)
		f.equal("events", f.eventsOf(want.ID), []store.Queued(nil))
	}},
}

// refusal is an error that fn returns.
type refusal struct{ _ int }

func (*refusal) Error() string { return "fn refuses" }
