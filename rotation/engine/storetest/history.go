package storetest

import (
	"math"
	"strconv"
	"time"

	"cvvrotation/rotation/engine/store"
)

// history returns the events of a card.
func (f *fixture) history(card string, before int64, limit int) []store.Queued {
	f.Helper()
	events, err := f.ListCardEvents(f.Context(), card, before, limit)
	f.must(err)
	return events
}

var historyTests = []test{
	{"ListCardEvents returns up to limit events of one card before a number, newest first", func(f *fixture) {
		f.write("a", "a1", "a2")
		f.write("a.1", "other")
		f.write("A", "other")
		f.write("a", "a3", "a4", "a5")
		f.write("b", "other")
		page := func(want, card string, before int64, limit int) {
			f.Helper()
			f.equal(card+" before "+strconv.FormatInt(before, 10), names(f.history(card, before, limit)), want)
		}
		page("a5 a4 a3 a2 a1", "a", math.MaxInt64, 10)
		page("a5 a4", "a", 6, 2)
		page("a3 a2", "a", 4, 2)
		page("a1", "a", 2, 2)
		page("", "a", 1, 2)
		page("", "a", 0, 2)
		page("", "a", math.MinInt64, 2)
		page("", "a", math.MaxInt64, 0)
		page("other", "a.1", math.MaxInt64, 10)
		page("", "c", math.MaxInt64, 10)
		page("", "a'; --", math.MaxInt64, 10)
	}},

	{"ListCardEvents returns events of every status in the order of their numbers", func(f *fixture) {
		e := f.write("a", "1", "2", "3", "4", "5", "6")
		f.settle(e[4], store.StatusDelivered, "")
		f.settle(e[0], store.StatusDelivered, "")
		f.settle(e[2], store.StatusParked, "no")
		f.settle(e[3], store.StatusWaiting, "not yet")
		want := f.eventsOf("a")
		for i, q := range f.history("a", math.MaxInt64, 10) {
			f.equal("event as ListEvents returns it", q, want[len(want)-1-i])
		}
		f.equal("all", names(f.history("a", math.MaxInt64, 10)), "6 5 4 3 2 1")
		f.equal("a page across statuses", names(f.history("a", 6, 4)), "5 4 3 2")
		f.replay(e[0].Position, e[0].Position)
		f.equal("requeued", names(f.history("a", 3, 4)), "2 1")
	}},

	{"ListCardEvents returns each event once while it is delivered and requeued", func(f *fixture) {
		e := f.write("a", "1", "2", "3", "4")
		done := make(chan struct{})
		f.promptly("deliveries", func() {
			go func() {
				defer close(done)
				for range 100 {
					for _, q := range e {
						if f.report(f.RecordDeliveries(f.Context(), []store.Delivery{{Position: q.Position, Status: store.StatusDelivered}})) {
							return
						}
					}
					if _, err := f.Requeue(f.Context(), e[0].Position, e[3].Position); f.report(err) {
						return
					}
				}
			}()
			for {
				events, err := f.ListCardEvents(f.Context(), "a", math.MaxInt64, 10)
				if f.report(err) {
					return
				}
				if got := names(events); got != "4 3 2 1" {
					f.Errorf("events %s", got)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		<-done
	}},

	{"ListCardEvents leaves out events that were deleted", func(f *fixture) {
		e := f.write("a", "1", "2", "3", "4")
		f.settle(e[0], store.StatusDelivered, "")
		f.settle(e[2], store.StatusDelivered, "")
		f.clk.Set(epoch.Add(time.Hour))
		n, err := f.DeleteExpired(f.Context(), epoch.Add(time.Minute), 10)
		f.must(err)
		f.equal("deleted", n, 2)
		f.equal("left", names(f.history("a", math.MaxInt64, 10)), "4 2")
		_, err = f.DeleteUndelivered(f.Context(), epoch.Add(time.Minute), 1)
		f.must(err)
		f.equal("left in the end", names(f.history("a", math.MaxInt64, 10)), "4")
	}},
}
