package storetest

import (
	"strconv"
	"time"

	"cvvrotation/rotation/engine/store"
)

var listTests = []test{
	{"ListCards pages through all cards in the order of ids, after the given one", func(f *fixture) {
		list := func(after string, limit int) []string {
			f.Helper()
			cards, err := f.ListCards(f.Context(), after, limit)
			f.must(err)
			for _, c := range cards {
				f.equal(c.ID, c, full(c.ID))
			}
			return idsOf(cards)
		}
		f.equal("none", list("", 10), []string{})
		for _, id := range []string{"b", "C", "a", "B", "c.1", "c"} {
			f.put(full(id))
		}
		f.equal("all", list("", 10), []string{"B", "C", "a", "b", "c", "c.1"})
		f.equal("limit 0", list("", 0), []string{})
		f.equal("first page", list("", 2), []string{"B", "C"})
		f.equal("second", list("C", 2), []string{"a", "b"})
		f.equal("after an id that is not there", list("aa", 2), []string{"b", "c"})
		f.equal("after the last", list("c.1", 2), []string{})
	}},

	{"IDsTooFarAhead lists cards whose Next is more than an Interval after the store's time", func(f *fixture) {
		card := func(id string, next time.Time, interval time.Duration) {
			f.put(store.Card{
				ID: id, Account: "a", Version: 1, State: []byte("s"), Created: epoch,
				Next: next, Interval: interval, Due: epoch.Add(-time.Hour),
			})
		}
		ahead := func(after string, limit int) []string {
			f.Helper()
			ids, err := f.IDsTooFarAhead(f.Context(), after, limit)
			f.must(err)
			return ids
		}
		f.equal("none", ahead("", 10), []string{})
		card("exactly", epoch.Add(time.Hour+1), time.Hour+1)
		card("off", time.Time{}, 0)
		card("past", epoch.Add(-time.Hour), time.Hour)
		card("b-more", epoch.Add(time.Hour+2), time.Hour+1)
		card("c-far", time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 10*365*24*time.Hour)
		card("A-more", epoch.Add(48*time.Hour), 24*time.Hour)
		f.equal("all", ahead("", 10), []string{"A-more", "b-more", "c-far"})
		f.equal("first page", ahead("", 2), []string{"A-more", "b-more"})
		f.equal("second", ahead("b-more", 2), []string{"c-far"})
		f.equal("limit 0", ahead("", 0), []string{})
		f.clk.Set(epoch.Add(1))
		f.equal("a nanosecond later", ahead("", 10), []string{"A-more", "c-far"})
		f.clk.Set(epoch.Add(-1))
		f.equal("a nanosecond before", ahead("", 10), []string{"A-more", "b-more", "c-far", "exactly"})
	}},

	{"ListFailingCards lists cards with Failures, in the order of ids", func(f *fixture) {
		for i, id := range []string{"c", "b", "a", "B"} {
			c := full(id)
			c.Failures = i
			f.put(c)
		}
		failing := func(limit int) []string {
			f.Helper()
			cards, err := f.ListFailingCards(f.Context(), limit)
			f.must(err)
			for _, c := range cards {
				f.equal("failure", c.Failure, full("").Failure)
			}
			return idsOf(cards)
		}
		f.equal("all", failing(10), []string{"B", "a", "b"})
		f.equal("two", failing(2), []string{"B", "a"})
		f.equal("limit 0", failing(0), []string{})
		f.update("a", func(change *store.Change) { change.Card.Failures, change.Write = 0, true })
		f.equal("one recovered", failing(10), []string{"B", "b"})
	}},

	{"CountDue counts each step with its start and without its end", func(f *fixture) {
		const step = time.Minute
		for i, at := range []time.Time{
			epoch.Add(-1), epoch, epoch.Add(step - 1), // the first is before
			epoch.Add(step),
			// none in the third
			epoch.Add(3 * step), epoch.Add(4*step - 1), epoch.Add(3*step + 7),
			epoch.Add(4 * step), // after the last
			{},
		} {
			f.put(due("card-"+strconv.Itoa(i), at))
		}
		counts := func(from time.Time, step time.Duration, n int) []int64 {
			f.Helper()
			got, err := f.CountDue(f.Context(), from, step, n)
			f.must(err)
			return got
		}
		f.equal("four steps", counts(epoch, step, 4), []int64{2, 1, 0, 3})
		f.equal("steps of a nanosecond", counts(epoch.Add(-1), 1, 3), []int64{1, 1, 0})
		f.equal("one big step", counts(time.Unix(0, 0), 200*365*24*time.Hour, 1), []int64{8})
		f.equal("no step", counts(epoch, step, 0), []int64{})
		f.equal("far from all", counts(epoch.Add(time.Hour), step, 2), []int64{0, 0})
	}},

	{"Stats counts cards, due cards and events", func(f *fixture) {
		stats := func() store.Stats {
			f.Helper()
			st, err := f.Stats(f.Context())
			f.must(err)
			if st.Cards < 0 {
				f.Errorf("%d cards", st.Cards)
			}
			st.Cards = 0 // may be an estimate
			return st
		}
		f.equal("of nothing", stats(), store.Stats{})
		f.put(due("never", time.Time{}))
		f.put(due("future", epoch.Add(time.Hour)))
		f.equal("OldestDue may be in the future", stats(), store.Stats{OldestDue: epoch.Add(time.Hour)})
		f.put(due("old", epoch.Add(-time.Hour+1)))
		f.put(due("older", epoch.Add(-2*time.Hour+1)))
		failing := due("failing", time.Time{})
		failing.Failures = 2
		f.put(failing)
		for i := range 4 {
			f.update("never", func(change *store.Change) {
				change.Event = &store.Event{Card: "never", Number: int64(i) + 1, At: epoch.Add(time.Duration(i)), Payload: []byte("e")}
			})
		}
		want := store.Stats{Backlog: 2, OldestDue: epoch.Add(-2*time.Hour + 1), Failing: 1, Waiting: 4, OldestWaiting: epoch}
		f.equal("before delivery", stats(), want)

		events := f.eventsOf("never")
		f.must(f.RecordDeliveries(f.Context(), []store.Delivery{
			{Position: events[0].Position, Status: store.StatusDelivered},
			{Position: events[1].Position, Status: store.StatusParked, Failure: "no"},
			{Position: events[2].Position, Status: store.StatusWaiting, Failure: "no"},
		}))
		want.Waiting, want.Parked, want.OldestWaiting = 2, 1, epoch.Add(2)
		f.equal("after delivery", stats(), want)
	}},

	{"DeleteExpired deletes expired answers and events delivered before, up to limit of each", func(f *fixture) {
		f.put(full("a"))
		for i, key := range []string{"1", "2", "3", "at the instant", "later"} {
			a := answerOf(key)
			a.Expires = epoch.Add(time.Hour + time.Duration(i-3))
			f.answer("a", key, a)
		}
		for range 6 {
			f.update("a", func(change *store.Change) { change.Event, change.Write = event(change, "e"), true })
		}
		events := f.eventsOf("a")
		settle := func(i int, s store.Status) {
			f.Helper()
			f.must(f.RecordDeliveries(f.Context(), []store.Delivery{{Position: events[i].Position, Status: s}}))
		}
		settle(1, store.StatusDelivered)
		settle(2, store.StatusDelivered)
		settle(3, store.StatusDelivered)
		settle(4, store.StatusParked)
		f.clk.Set(epoch.Add(1))
		settle(5, store.StatusDelivered)
		// 0 waits.

		f.clk.Set(epoch.Add(time.Hour))
		prune := func(limit int) int {
			f.Helper()
			n, err := f.DeleteExpired(f.Context(), epoch.Add(1), limit)
			f.must(err)
			return n
		}
		f.equal("limit 0", prune(0), 0)
		f.equal("at first", prune(3), 6)
		f.equal("then", prune(3), 1)
		f.equal("at last", prune(3), 0)
		var left []int64
		for _, e := range f.eventsOf("a") {
			left = append(left, e.Position)
		}
		f.equal("events left", left, []int64{events[0].Position, events[4].Position, events[5].Position})
		f.clk.Set(epoch)
		f.equal("answer that had expired", f.ask("a", "1"), (*store.Answer)(nil))
		f.equal("answer that expired at that instant", f.ask("a", "at the instant"), (*store.Answer)(nil))
		if f.ask("a", "later") == nil {
			f.Error("an answer that had not expired is gone")
		}
		f.equal("card", f.card("a").Version, full("a").Version)
	}},
}
