package storetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"cvvrotation/rotation/engine/store"
)

// write adds events of a card, which it creates if it does not exist, and returns
// them as ListEvents does.
func (f *fixture) write(id string, payloads ...string) []store.Queued {
	f.Helper()
	for _, p := range payloads {
		f.update(id, func(change *store.Change) {
			if change.Card.Version == 0 {
				change.Card = due(id, time.Time{})
			}
			change.Event, change.Write = event(change, p), true
		})
	}
	events := f.eventsOf(id)
	return events[len(events)-len(payloads):]
}

// pending returns the events that wait.
func (f *fixture) pending(limit int, except ...string) []store.Queued {
	f.Helper()
	events, err := f.ListWaiting(f.Context(), limit, except)
	f.must(err)
	return events
}

// settle records the result of an event's delivery.
func (f *fixture) settle(e store.Queued, s store.Status, failure string) {
	f.Helper()
	f.must(f.RecordDeliveries(f.Context(), []store.Delivery{{Position: e.Position, Status: s, Failure: failure}}))
}

// replay requeues events and returns how many.
func (f *fixture) replay(first, last int64) int64 {
	f.Helper()
	n, err := f.Requeue(f.Context(), first, last)
	f.must(err)
	return n
}

// names returns the payloads.
func names(events []store.Queued) string {
	var s []string
	for _, e := range events {
		s = append(s, string(e.Payload))
	}
	return strings.Join(s, " ")
}

var outboxTests = []test{
	{"an event waits as it was written, to the byte and the nanosecond", func(f *fixture) {
		payload := make([]byte, 100_000)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		want := store.Event{Card: "A.b:c", Number: 1<<40 + 1, At: epoch.Add(7), Payload: payload}
		f.put(due(want.Card, time.Time{}))
		f.update(want.Card, func(change *store.Change) {
			in := want
			in.At = in.At.In(time.FixedZone("elsewhere", 3600))
			change.Event = &in
		})
		for what, get := range map[string]func() ([]store.Queued, error){
			"ListWaiting": func() ([]store.Queued, error) { return f.ListWaiting(f.Context(), 10, nil) },
			"ListEvents":  func() ([]store.Queued, error) { return f.ListEvents(f.Context(), 0, 10) },
		} {
			events, err := get()
			f.must(err)
			if len(events) != 1 {
				f.Fatalf("%s: %d events, want 1", what, len(events))
			}
			e := events[0]
			if !bytes.Equal(e.Payload, payload) {
				f.Errorf("%s: the payload is another", what)
			}
			if e.Position < 1 || e.At.Location() != time.UTC {
				f.Errorf("%s: position %d, at %v", what, e.Position, e.At)
			}
			e.Payload = payload
			f.equal(what, e, store.Queued{Event: want, Position: e.Position})
		}
	}},

	{"an event's bytes belong to the store or to the caller", func(f *fixture) {
		in := []byte("payload")
		f.put(due("a", time.Time{}))
		f.update("a", func(change *store.Change) {
			change.Event = event(change, "")
			change.Event.Payload = in
		})
		in[0] = '!'
		f.pending(1)[0].Payload[1] = '!'
		f.eventsOf("a")[0].Payload[2] = '!'
		f.equal("payload", names(f.pending(1)), "payload")
	}},

	{"positions grow with every event of a card, and differ between cards", func(f *fixture) {
		const cards, times = 8, 8
		f.promptly("updates", func() {
			each(cards*2, func(i int) {
				for range times {
					f.report(f.Update(f.Context(), "card-"+strconv.Itoa(i%cards), "", func(change *store.Change) error {
						if change.Card.Version == 0 {
							change.Card = due(change.Card.ID, time.Time{})
						}
						change.Event, change.Write = event(change, "e"), true
						return nil
					}))
				}
			})
		})
		numbers, last := map[string]int64{}, int64(0)
		for _, e := range f.pending(1000) {
			if e.Position <= last {
				f.Errorf("position %d after %d", e.Position, last)
			}
			last = e.Position
			if numbers[e.Card]++; e.Number != numbers[e.Card] {
				f.Errorf("%s: number %d in the place of %d", e.Card, e.Number, numbers[e.Card])
			}
		}
		for card, n := range numbers {
			if n != 2*times {
				f.Errorf("%s: %d events, want %d", card, n, 2*times)
			}
		}
		if len(numbers) != cards {
			f.Errorf("%d cards, want %d", len(numbers), cards)
		}
	}},

	{"ListWaiting returns up to limit events in the order of positions, without those of some cards", func(f *fixture) {
		f.equal("of nothing", f.pending(10), []store.Queued{})
		f.write("a", "a1", "a2")
		f.write("b", "b1")
		f.write("A", "A1")
		f.write("a", "a3")
		f.write("c,d", "cd1")
		check := func(want string, limit int, except ...string) {
			f.Helper()
			f.equal(strings.Join(except, " "), names(f.pending(limit, except...)), want)
		}
		check("a1 a2 b1 A1 a3 cd1", 10)
		check("a1 a2 b1", 3)
		check("", 0)
		check("b1 A1 cd1", 10, "a")
		check("b1 A1", 2, "a")
		check("a1 a2 a3", 10, "b", "A", "c,d", "unknown", "a'); --", "")
		check("", 10, "a", "b", "A", "c,d")
		many := make([]string, 2000)
		for i := range many {
			many[i] = "other-" + strconv.Itoa(i)
		}
		check("b1 A1 cd1", 10, append(many, "a")...)
	}},

	{"what is delivered or parked no longer waits; what failed waits on, and counts an attempt", func(f *fixture) {
		e := f.write("a", "1", "2", "3", "4")
		f.must(f.RecordDeliveries(f.Context(), []store.Delivery{
			{Position: e[0].Position, Status: store.StatusDelivered},
			{Position: e[1].Position, Status: store.StatusParked, Failure: "poison; it's"},
			{Position: e[2].Position, Status: store.StatusWaiting, Failure: "first"},
		}))
		e[0].Status = store.StatusDelivered
		e[1].Status, e[1].Attempts, e[1].Failure = store.StatusParked, 1, "poison; it's"
		e[2].Attempts, e[2].Failure = 1, "first"
		f.equal("log", f.eventsOf("a"), e)
		f.equal("pending", f.pending(10), e[2:])

		f.settle(e[2], store.StatusWaiting, "second")
		e[2].Attempts, e[2].Failure = 2, "second"
		f.equal("log after another failure", f.eventsOf("a"), e)

		f.settle(e[2], store.StatusDelivered, "")
		e[2].Status = store.StatusDelivered
		f.equal("log after delivery, with the failures before", f.eventsOf("a"), e)
		f.equal("pending in the end", names(f.pending(10)), "4")
	}},

	{"RecordDeliveries ignores positions that do not wait", func(f *fixture) {
		e := f.write("a", "1", "2", "3")
		f.settle(e[0], store.StatusDelivered, "")
		f.settle(e[1], store.StatusParked, "no")
		want := f.eventsOf("a")
		want[2].Status = store.StatusDelivered
		f.must(f.RecordDeliveries(f.Context(), []store.Delivery{
			{Position: e[0].Position, Status: store.StatusParked, Failure: "late"},
			{Position: e[1].Position, Status: store.StatusDelivered},
			{Position: e[0].Position, Status: store.StatusWaiting, Failure: "late"},
			{Position: 0, Status: store.StatusDelivered},
			{Position: -1, Status: store.StatusDelivered},
			{Position: e[2].Position + 1, Status: store.StatusParked},
			{Position: math.MaxInt64, Status: store.StatusWaiting},
			{Position: e[2].Position, Status: store.StatusDelivered},
		}))
		f.equal("log", f.eventsOf("a"), want)
		f.must(f.RecordDeliveries(f.Context(), nil))
		f.equal("log after nothing", f.eventsOf("a"), want)
		f.equal("a new event waits", names(f.write("a", "4")), "4")
		f.equal("pending", names(f.pending(10)), "4")
	}},

	{"ListEvents returns up to limit events after a position, whatever their status", func(f *fixture) {
		f.write("a", "a1")
		f.write("b", "b1")
		f.write("a", "a2")
		f.write("b", "b2")
		log := func(after int64, limit int) []store.Queued {
			f.Helper()
			events, err := f.ListEvents(f.Context(), after, limit)
			f.must(err)
			return events
		}
		all := log(0, 10)
		f.equal("all", names(all), "a1 b1 a2 b2")
		f.settle(all[0], store.StatusDelivered, "")
		f.settle(all[2], store.StatusParked, "no")
		f.equal("all, later", names(log(0, 10)), "a1 b1 a2 b2")
		f.equal("a page", names(log(all[0].Position, 2)), "b1 a2")
		f.equal("the last", names(log(all[3].Position-1, 2)), "b2")
		f.equal("after the last", log(all[3].Position, 2), []store.Queued{})
		f.equal("limit 0", log(0, 0), []store.Queued{})
		f.equal("from before the first", names(log(-5, 2)), "a1 b1")
	}},

	{"the report of the relay is the one stored last", func(f *fixture) {
		for _, want := range []store.RelayReport{
			{Holder: "a"},
			{Holder: "b", Down: epoch.Add(time.Nanosecond), Failure: "status 502"},
			{Holder: "b"},
		} {
			before, err := f.Now(f.Context())
			f.must(err)
			f.must(f.ReportRelay(f.Context(), want))
			got, err := f.RelayReport(f.Context())
			f.must(err)
			after, err := f.Now(f.Context())
			f.must(err)
			if got.At.Before(before.Add(-time.Second)) || got.At.After(after) {
				f.Errorf("stored at %v, between %v and %v", got.At, before, after)
			}
			want.At = got.At
			f.equal("report", got, want)
		}
	}},

	{"CheckWrites changes nothing that other methods report", func(f *fixture) {
		f.furnish()
		before := f.content()
		for range 2 {
			f.must(f.CheckWrites(f.Context()))
		}
		f.equal("content", f.content(), before)
		stats, err := f.Stats(f.Context())
		f.must(err)
		f.equal("cards", stats.Cards, int64(2))
		n, err := f.DeleteExpired(f.Context(), epoch, 100)
		f.must(err)
		f.equal("expired rows", n, 0)
	}},

	{"Requeue makes delivered and parked events wait again, as if no attempt had been made", func(f *fixture) {
		e := f.write("a", "1", "2", "3", "4", "5", "6")
		f.settle(e[0], store.StatusDelivered, "")
		f.settle(e[1], store.StatusWaiting, "not yet")
		f.settle(e[1], store.StatusDelivered, "")
		f.settle(e[2], store.StatusParked, "no")
		f.settle(e[3], store.StatusWaiting, "not yet")
		f.settle(e[4], store.StatusDelivered, "")
		f.settle(e[5], store.StatusDelivered, "")
		f.equal("waits", names(f.pending(10)), "4")

		f.equal("from the second to the fifth", f.replay(e[1].Position, e[4].Position), int64(3))
		e[0].Status, e[5].Status = store.StatusDelivered, store.StatusDelivered
		e[3].Attempts, e[3].Failure = 1, "not yet" // it still waited, so Requeue ignores it
		f.equal("log", f.eventsOf("a"), e)
		f.equal("pending", f.pending(10), e[1:5])
		f.equal("the same again", f.replay(e[1].Position, e[4].Position), int64(0))
		f.equal("nothing in between", f.replay(e[5].Position, e[0].Position), int64(0))
		f.equal("all", f.replay(math.MinInt64, math.MaxInt64), int64(2))
		f.equal("all wait", names(f.pending(10)), "1 2 3 4 5 6")

		f.settle(e[0], store.StatusParked, "again")
		f.settle(e[1], store.StatusDelivered, "")
		f.equal("settled again", names(f.pending(10)), "3 4 5 6")
	}},

	{"deleted events cannot be requeued, and a requeued event is not deleted", func(f *fixture) {
		e := f.write("a", "1", "2", "3")
		f.settle(e[0], store.StatusDelivered, "")
		f.settle(e[1], store.StatusDelivered, "")
		f.replay(e[1].Position, e[1].Position)
		n, err := f.DeleteExpired(f.Context(), epoch.Add(time.Hour), 10)
		f.must(err)
		f.equal("pruned", n, 1)
		f.equal("replayed", f.replay(0, math.MaxInt64), int64(0))
		f.equal("pending", names(f.pending(10)), "2 3")
		f.settle(e[0], store.StatusWaiting, "late")
		f.equal("log", names(f.eventsOf("a")), "2 3")
	}},

	{"a requeued event is deleted by the time of its last delivery", func(f *fixture) {
		e := f.write("a", "1")
		f.settle(e[0], store.StatusDelivered, "")
		f.replay(e[0].Position, e[0].Position)
		f.clk.Set(epoch.Add(time.Hour))
		f.settle(e[0], store.StatusDelivered, "")
		n, err := f.DeleteExpired(f.Context(), epoch.Add(time.Hour), 10)
		f.must(err)
		f.equal("at the instant of its delivery", n, 0)
		n, err = f.DeleteExpired(f.Context(), epoch.Add(time.Hour+1), 10)
		f.must(err)
		f.equal("a nanosecond later", n, 1)
	}},

	{"DeleteUndelivered deletes old events of the first limit that wait", func(f *fixture) {
		var e []store.Queued
		for i := range 6 {
			f.clk.Set(epoch.Add(time.Duration(i) * time.Minute))
			e = append(e, f.write([]string{"a", "b"}[i%2], "e"+strconv.Itoa(i))...)
		}
		f.settle(e[0], store.StatusDelivered, "")
		f.settle(e[1], store.StatusParked, "no")
		f.settle(e[2], store.StatusWaiting, "not yet")
		expire := func(before time.Time, limit int) int {
			f.Helper()
			n, err := f.DeleteUndelivered(f.Context(), before, limit)
			f.must(err)
			return n
		}
		f.equal("limit 0", expire(epoch.Add(time.Hour), 0), 0)
		f.equal("at the instant of the first that waits", expire(e[2].At, 10), 0)
		f.equal("a nanosecond later", expire(e[2].At.Add(1), 10), 1)
		f.equal("waits", names(f.pending(10)), "e3 e4 e5")
		f.equal("the first of two that are old", expire(e[4].At.Add(1), 1), 1)
		f.equal("waits then", names(f.pending(10)), "e4 e5")
		f.equal("log of a", names(f.eventsOf("a")), "e0 e4")
		f.equal("log of b", names(f.eventsOf("b")), "e1 e5")

		f.settle(e[2], store.StatusDelivered, "")
		f.equal("replayed", f.replay(0, math.MaxInt64), int64(2))
		f.equal("waits at last", names(f.pending(10)), "e0 e1 e4 e5")
		f.equal("all", expire(epoch.Add(time.Hour), 10), 4)
		f.equal("nothing waits", f.pending(10), []store.Queued{})
		stats, err := f.Stats(f.Context())
		f.must(err)
		f.equal("pending", stats.Waiting, int64(0))
		if p := f.write("a", "new")[0].Position; p <= e[5].Position {
			f.Errorf("position %d after %d", p, e[5].Position)
		}
	}},

	{"DeleteUndelivered reads up to limit events, even if the first of them are not old", func(f *fixture) {
		f.clk.Set(epoch.Add(time.Hour)) // the clock steps ahead
		f.write("a", "1", "2")
		f.clk.Set(epoch)
		f.write("a", "3")
		for n := range 2 { // with a limit of 2, then of 3
			got, err := f.DeleteUndelivered(f.Context(), epoch.Add(time.Minute), 2+n)
			f.must(err)
			f.equal("expired", got, n)
		}
		f.equal("waits", names(f.pending(10)), "1 2")
	}},

	{"positions are never reused", func(f *fixture) {
		e := f.write("a", "1", "2", "3")
		for i := range e {
			f.settle(e[i], store.StatusDelivered, "")
		}
		_, err := f.DeleteExpired(f.Context(), epoch.Add(time.Hour), 10)
		f.must(err)
		f.equal("log", f.eventsOf("a"), []store.Queued(nil))
		if p := f.write("a", "4")[0].Position; p <= e[2].Position {
			f.Errorf("position %d after %d", p, e[2].Position)
		}
	}},

	{"one relay holds the lease, until Release", func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		first, err := f.AcquireLease(ctx)
		f.must(err)
		defer first.Release()
		cancel() // ends the call, not the lease
		if _, err := f.AcquireLease(f.Context()); !errors.Is(err, store.ErrLeaseHeld) {
			f.Fatalf("second: got %v, want %v", err, store.ErrLeaseHeld)
		}
		select {
		case <-first.Lost():
			f.Error("the lease is lost")
		default:
		}
		if !first.Held() {
			f.Error("the lease is not held")
		}
		first.Release()
		f.promptly("Lost after Release", func() { <-first.Lost() })
		if first.Held() {
			f.Error("the lease is held after Release")
		}
		second, err := f.AcquireLease(f.Context())
		f.must(err)
		first.Release() // has no effect on the second lease
		select {
		case <-second.Lost():
			f.Error("releasing the first lease lost the second")
		default:
		}
		if _, err := f.AcquireLease(f.Context()); !errors.Is(err, store.ErrLeaseHeld) {
			f.Errorf("third: got %v, want %v", err, store.ErrLeaseHeld)
		}
		f.must(f.RecordDeliveries(f.Context(), nil)) // other calls still work
		second.Release()
		second.Release()
		third, err := f.AcquireLease(f.Context())
		f.must(err)
		third.Release()
	}},

	{"of many relays that acquire the lease, one gets it", func(f *fixture) {
		const relays = 8
		leases := make([]store.Lease, relays)
		f.promptly("Lead", func() {
			each(relays, func(i int) {
				lease, err := f.AcquireLease(f.Context())
				if err == nil {
					leases[i] = lease
				} else if !errors.Is(err, store.ErrLeaseHeld) {
					f.Error(err)
				}
			})
		})
		leading := 0
		for _, lease := range leases {
			if lease != nil {
				leading++
				lease.Release()
			}
		}
		if leading != 1 {
			f.Errorf("%d lead, want 1", leading)
		}
	}},
}
