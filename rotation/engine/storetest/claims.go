package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"cvvrotation/rotation/engine/store"
)

// due returns a card with this Due, which is a minute after its Next: it was put off.
func due(id string, at time.Time) store.Card {
	c := store.Card{
		ID: id, Account: "a", Version: 1, State: []byte("s"), Created: epoch,
		Next: at.Add(-time.Minute), Interval: 24 * time.Hour, Due: at,
	}
	if at.IsZero() {
		c.Next, c.Interval = time.Time{}, 0
	}
	return c
}

// claim claims cards, applies edit to each, and returns their ids. edit may be nil.
func (f *fixture) claim(limit int, edit func(*store.Change)) []string {
	f.Helper()
	ids := []string{}
	n, err := f.Claim(f.Context(), limit, func(change *store.Change) error {
		ids = append(ids, change.Card.ID)
		if edit != nil {
			edit(change)
		}
		return nil
	})
	f.must(err)
	if n != len(ids) {
		f.Errorf("Claim returned %d, and called fn %d times", n, len(ids))
	}
	return ids
}

// serve rotates a claimed card as the engine does. It changes nothing if the card
// has moved since it was found.
func serve(change *store.Change) {
	runtime.Gosched() // so that other goroutines run here
	if !change.Slot.Equal(change.Card.Next) {
		return
	}
	change.Card.Version++
	change.Event = event(change, change.Slot.String())
	change.Card.Next = change.Slot.Add(change.Card.Interval)
	change.Card.Due = change.Card.Next
	change.Write = true
}

var claimTests = []test{
	{"cards are claimed whose Due is not after the store's time, oldest first", func(f *fixture) {
		f.put(due("future", epoch.Add(1)))
		f.put(due("now", epoch))
		f.put(due("never", time.Time{}))
		f.put(due("past", epoch.Add(-1)))
		f.put(due("z-oldest", time.Unix(0, 0)))
		f.put(due("a-old", epoch.Add(-24*time.Hour)))
		f.equal("claimed", f.claim(10, nil), []string{"z-oldest", "a-old", "past", "now"})
		f.equal("claimed again, since nothing changed", f.claim(10, nil), []string{"z-oldest", "a-old", "past", "now"})
		f.clk.Set(epoch.Add(1))
		f.equal("a nanosecond later", f.claim(10, nil), []string{"z-oldest", "a-old", "past", "now", "future"})
	}},

	{"up to limit cards are claimed, and 0 when none is due", func(f *fixture) {
		f.equal("of nothing", f.claim(10, nil), []string{})
		for i, id := range []string{"e", "d", "c", "b", "a"} {
			f.put(due(id, epoch.Add(time.Duration(i-10))))
		}
		f.equal("limit 0", f.claim(0, serve), []string{})
		f.equal("first", f.claim(2, serve), []string{"e", "d"})
		f.equal("then", f.claim(2, serve), []string{"c", "b"})
		f.equal("last", f.claim(2, serve), []string{"a"})
		f.equal("none", f.claim(2, serve), []string{})
	}},

	{"fn is given the card as stored, the store's time and the slot", func(f *fixture) {
		want := full("card")
		want.Due, want.Next = epoch.Add(-time.Hour), epoch.Add(-2*time.Hour-1)
		f.put(want)
		f.claim(1, func(change *store.Change) {
			f.equal("card", change.Card, want)
			if change.Now != f.now() || change.Slot != want.Next {
				f.Errorf("Now %#v, Slot %#v; want %#v and %#v", change.Now, change.Slot, f.now(), want.Next)
			}
			if change.Prior != nil || change.Write || change.Event != nil || change.Answer != nil {
				f.Errorf("not zero: %+v", change)
			}
		})
	}},

	{"what fn asks for is stored for all cards, with every field and event", func(f *fixture) {
		want := map[string]store.Card{}
		for _, id := range []string{"a", "b", "c"} {
			f.put(due(id, epoch))
			want[id] = full(id)
		}
		f.claim(10, func(change *store.Change) {
			change.Card = full(change.Card.ID)
			change.Card.Events--
			change.Event = event(change, "full "+change.Card.ID)
			change.Write = true
		})
		for id, c := range want {
			f.equal("card", f.card(id), c)
			events := f.eventsOf(id)
			if len(events) != 1 {
				f.Fatalf("%d events, want 1", len(events))
			}
			f.equal("event", events[0].Event, store.Event{
				Card: id, Number: c.Events, At: epoch, Payload: []byte("full " + id),
			})
		}
	}},

	{"cards that fn asks nothing for stay as they are, beside ones that change", func(f *fixture) {
		f.put(due("a", epoch.Add(-3)))
		f.put(due("b", epoch.Add(-2)))
		f.put(due("c", epoch.Add(-1)))
		f.claim(10, func(change *store.Change) {
			switch change.Card.ID {
			case "a":
				change.Card.Version = 100 // not stored, because Write is false
			case "b":
				change.Event = event(change, "alone") // the card not written
			default:
				serve(change)
			}
		})
		f.equal("a", f.card("a"), due("a", epoch.Add(-3)))
		f.equal("b", f.card("b"), due("b", epoch.Add(-2)))
		f.equal("counts", []int{len(f.eventsOf("a")), len(f.eventsOf("b")), len(f.eventsOf("c"))}, []int{0, 1, 1})
		if v := f.card("c").Version; v != 2 {
			f.Errorf("c has Version %d, want 2", v)
		}
	}},

	{"an error of fn leaves out its card only", func(f *fixture) {
		for i, id := range []string{"a", "b", "c"} {
			f.put(due(id, epoch.Add(time.Duration(i-3))))
		}
		calls := 0
		n, err := f.Claim(f.Context(), 10, func(change *store.Change) error {
			calls++
			serve(change)
			if change.Card.ID == "b" {
				return &refusal{}
			}
			return nil
		})
		f.must(err)
		if n != 3 || calls != 3 {
			f.Errorf("Claim returned %d after %d calls of fn, want 3", n, calls)
		}
		f.equal("b", f.card("b"), due("b", epoch.Add(-2)))
		f.equal("counts", []int{len(f.eventsOf("a")), len(f.eventsOf("b")), len(f.eventsOf("c"))}, []int{1, 0, 1})
		f.equal("claimed again", f.claim(10, nil), []string{"b"})
	}},

	{"a panic of fn reaches the caller, nothing of the claim is stored, and the locks are released", func(f *fixture) {
		f.put(due("a", epoch.Add(-2)))
		f.put(due("b", epoch.Add(-1)))
		f.promptly("claim that panics", func() {
			defer func() {
				if r := recover(); r != "fn's panic" {
					f.Errorf("recovered %v, want fn's panic", r)
				}
			}()
			_, _ = f.Claim(f.Context(), 10, func(change *store.Change) error {
				serve(change)
				if change.Card.ID == "b" {
					panic("fn's panic")
				}
				return nil
			})
			f.Error("the claim returned")
		})
		f.promptly("claim after a panic", func() { f.equal("claimed", f.claim(10, nil), []string{"a", "b"}) })
		f.equal("a", f.card("a"), due("a", epoch.Add(-2)))
		f.equal("events", f.eventsOf("a"), []store.Queued(nil))
	}},

	{"a card put off is claimed when its Due comes, for the slot that it missed", func(f *fixture) {
		f.put(due("a", epoch))
		slot := f.card("a").Next
		later := epoch.Add(5*time.Second + 1)
		f.claim(1, func(change *store.Change) { change.Card.Due, change.Write = later, true })
		f.clk.Set(later.Add(-1))
		f.equal("before", f.claim(1, nil), []string{})
		f.clk.Set(later)
		f.equal("then", f.claim(1, func(change *store.Change) {
			if change.Slot != slot {
				f.Errorf("slot %v, want %v", change.Slot, slot)
			}
		}), []string{"a"})
	}},

	{"a claim whose context has ended does nothing", func(f *fixture) {
		f.put(due("a", epoch))
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		n, err := f.Claim(ctx, 10, func(change *store.Change) error {
			serve(change)
			return nil
		})
		if !errors.Is(err, context.Canceled) || n != 0 {
			f.Errorf("got %d, %v; want 0, %v", n, err, context.Canceled)
		}
		f.equal("card", f.card("a"), due("a", epoch))
	}},

	{"two claimers at once never both serve one slot", func(f *fixture) {
		const cards, claimers = 150, 4
		for i := range cards {
			f.put(due(f.id(), epoch.Add(time.Duration(-i))))
		}
		f.promptly("claimers", func() {
			each(claimers, func(int) {
				for f.backlog() {
					_, err := f.Claim(f.Context(), 7, func(change *store.Change) error {
						serve(change)
						return nil
					})
					if f.report(err) {
						return
					}
				}
			})
		})
		list, err := f.ListCards(f.Context(), "", cards+1)
		f.must(err)
		for _, c := range list {
			if c.Version != 2 || c.Events != 1 {
				f.Errorf("%s: Version %d with %d events; want 2 with 1", c.ID, c.Version, c.Events)
			}
		}
		if events, err := f.ListEvents(f.Context(), 0, 10*cards); err != nil || len(events) != cards {
			f.Errorf("%d events, %v; want %d", len(events), err, cards)
		}
	}},

	{"concurrent claims and updates of the same cards lose no change", func(f *fixture) {
		const cards, updaters, times = 40, 4, 40
		ids := make([]string, cards)
		for i := range ids {
			ids[i] = f.id()
			f.put(due(ids[i], epoch.Add(time.Duration(-i))))
		}
		f.promptly("claims and updates", func() {
			each(updaters+2, func(worker int) {
				if worker < 2 {
					for f.backlog() {
						_, err := f.Claim(f.Context(), 5, func(change *store.Change) error {
							serve(change)
							return nil
						})
						if f.report(err) {
							return
						}
					}
					return
				}
				for i := range times {
					f.report(f.Update(f.Context(), ids[(i*7+worker)%cards], "", func(change *store.Change) error {
						change.Card.Version++
						change.Event = event(change, "update")
						change.Write = true
						return nil
					}))
				}
			})
		})
		total := 0
		for _, id := range ids {
			c, served := f.card(id), 0
			for i, e := range f.eventsOf(id) {
				if e.Number != int64(i)+1 {
					f.Errorf("%s: event %d in the order of positions has number %d", id, i+1, e.Number)
				}
				if string(e.Payload) != "update" {
					served++
				}
			}
			if served != 1 || c.Version != c.Events+1 {
				f.Errorf("%s: slot served %d times, Version %d with %d events; want once, and one more", id, served, c.Version, c.Events)
			}
			total += int(c.Version) - 1
		}
		if want := cards + updaters*times; total != want {
			f.Errorf("%d rotations, want %d", total, want)
		}
	}},

	{"NextDue is the earliest Due, past or not", func(f *fixture) {
		check := func(want time.Time) {
			f.Helper()
			got, ok, err := f.NextDue(f.Context())
			f.must(err)
			if ok == want.IsZero() || ok && got != want.UTC() {
				f.Errorf("got %#v, %t; want %#v", got, ok, want)
			}
		}
		check(time.Time{})
		f.put(due("never", time.Time{}))
		check(time.Time{})
		f.put(due("b", epoch.Add(time.Hour+1)))
		check(epoch.Add(time.Hour + 1))
		f.put(due("c", epoch.Add(-time.Hour+1)))
		check(epoch.Add(-time.Hour + 1))
		f.put(due("a", time.Unix(0, 0)))
		check(time.Unix(0, 0))
		f.put(due("a", time.Time{}))
		f.put(due("c", epoch.Add(time.Hour+2)))
		check(epoch.Add(time.Hour + 1))
		f.put(due("b", time.Time{}))
		f.put(due("c", time.Time{}))
		check(time.Time{})
	}},
}

// backlog reports whether a card is due.
func (f *fixture) backlog() bool {
	next, ok, err := f.NextDue(f.Context())
	return !f.report(err) && ok && !next.After(f.now()) && f.Context().Err() == nil
}

// idsOf returns the cards' ids.
func idsOf(cards []store.Card) []string {
	ids := []string{}
	for _, c := range cards {
		ids = append(ids, c.ID)
	}
	return slices.Clip(ids)
}
