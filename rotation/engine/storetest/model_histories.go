package storetest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// histories makes random calls, one after the other, and compares the results with
// a model of maps and slices. The flags of rapid say how many
// histories: -rapid.checks, -rapid.steps. They share a store, with cards of
// different names. A history ends with no card due and no event undelivered.
func histories(t *testing.T, open Open) {
	f := newFixture(t, open)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		m := &model{
			fixture: f, rt: rt, ctx: context.Background(), prefix: "h" + strconv.Itoa(n) + "-",
			cards: map[string]store.Card{}, answers: map[string]store.Answer{},
		}
		f.clk.Set(epoch)
		m.start = m.lastPosition()
		defer m.tidy()
		actions := map[string]func(*rapid.T){
			"update": m.update, "claim": m.claim, "clock": m.clock, "record deliveries": m.recordDeliveries,
			"requeue": m.requeue, "delete expired": m.deleteExpired, "delete undelivered": m.deleteUndelivered, "compare": m.compare, "leases": m.acquireLease,
		}
		if f.reopen != nil {
			actions["reopen"] = m.reopenStore
		}
		rt.Repeat(actions)
		m.compare(rt)
	})
}

// model is what a store should hold.
type model struct {
	*fixture
	rt     *rapid.T
	ctx    context.Context
	prefix string
	start  int64 // the last position before this history

	cards   map[string]store.Card
	answers map[string]store.Answer // by card and key
	events  []*written
}

// written is an event of the model; the position is the store's.
type written struct {
	store.Queued
	delivered time.Time
}

func (m *model) must(err error) {
	if err != nil {
		m.rt.Fatal(err)
	}
}

func (m *model) same(what string, got, want any) {
	if diff := gocmp.Diff(want, got, alike); diff != "" {
		m.rt.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// drawn is a random change of a card.
type drawn struct {
	Fails, Writes, Tells, Answers bool
	Next, Due                     time.Time
	Sealed                        []byte
	Failures                      int
	Keep                          time.Duration
}

func (m *model) draw(rt *rapid.T, label string) drawn {
	at := rapid.SampledFrom([]time.Duration{-2 * time.Hour, -time.Minute, -1, 0, 1, time.Minute, time.Hour, time.Hour + 1, 0x7fff})
	instant := func(label string) time.Time {
		d := at.Draw(rt, label)
		if d == 0x7fff {
			return time.Time{}
		}
		return m.now().Add(d)
	}
	return drawn{
		Fails: rapid.IntRange(0, 5).Draw(rt, label+" fails") == 5, Writes: rapid.IntRange(0, 3).Draw(rt, label+" writes") < 3,
		Tells: rapid.Bool().Draw(rt, label+" tells"), Answers: rapid.Bool().Draw(rt, label+" answers"),
		Next: instant(label + " next"), Due: instant(label + " due"),
		Sealed:   rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(rt, label+" sealed"),
		Failures: rapid.IntRange(0, 2).Draw(rt, label+" failures"),
		Keep:     rapid.SampledFrom([]time.Duration{1, time.Minute, 24 * time.Hour}).Draw(rt, label+" keep"),
	}
}

// change is the function given to the store. It depends on d and the card alone.
func (d drawn) change(change *store.Change) error {
	c := &change.Card
	c.Version++
	c.Account, c.State, c.Created = "account", []byte{byte(c.Version)}, epoch
	c.Next, c.Due, c.Interval = d.Next, d.Due, time.Hour
	if d.Next.IsZero() {
		c.Interval = 0
	}
	c.PreviousSealed, c.Sealed, c.Failures = c.Sealed, d.Sealed, d.Failures
	c.PreviousUntil, c.Rotated, c.Tries = change.Now.Add(d.Keep), change.Now, int(c.Version)
	c.PreviousCode, c.ServiceCode = c.ServiceCode, servicecode.CVV2()
	c.Failure = strconv.Itoa(d.Failures)
	c.First, c.Spread, c.FailedAt, c.Compromised = d.Due, !d.Next.IsZero(), d.Sealed, c.PreviousSealed
	if change.Write = d.Writes; d.Writes && d.Tells {
		change.Event = event(change, c.ID+" in version "+strconv.FormatInt(c.Version, 10))
	}
	if d.Answers {
		change.Answer = &store.Answer{Request: [32]byte{byte(c.Version)}, Body: d.Sealed, Expires: change.Now.Add(d.Keep)}
	}
	if d.Fails {
		return errFails
	}
	return nil
}

var errFails = errors.New("fn fails")

// apply applies change to the model.
func (m *model) apply(id, key string, d drawn) {
	change := &store.Change{Now: m.now(), Card: m.cardOr(id)}
	if d.change(change) != nil {
		return
	}
	if change.Write {
		m.cards[id] = change.Card
	}
	if change.Event != nil {
		m.events = append(m.events, &written{Queued: store.Queued{Event: *change.Event}})
	}
	if change.Answer != nil && key != "" {
		m.answers[id+" "+key] = *change.Answer
	}
}

func (m *model) cardOr(id string) store.Card {
	if c, ok := m.cards[id]; ok {
		return c
	}
	return store.Card{ID: id}
}

func (m *model) id(rt *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "A", "b", "b.1", "c"}).Draw(rt, "card")
}

func (m *model) update(rt *rapid.T) {
	id := m.id(rt)
	key := rapid.SampledFrom([]string{"", "k", "K"}).Draw(rt, "key")
	d := m.draw(rt, "fn")
	var seen store.Change
	err := m.Update(m.ctx, id, key, func(change *store.Change) error {
		seen = *change
		return d.change(change)
	})
	if want := map[bool]error{true: errFails}[d.Fails]; err != want {
		rt.Fatalf("error %v, want %v", err, want)
	}
	want := store.Change{Now: m.now(), Card: m.cardOr(id)}
	if a, ok := m.answers[id+" "+key]; ok && m.now().Before(a.Expires) {
		want.Prior = &a
	}
	m.same("what fn was given", seen, want)
	m.apply(id, key, d)
}

func (m *model) claim(rt *rapid.T) {
	limit := rapid.IntRange(0, 6).Draw(rt, "limit")
	plan := map[string]drawn{}
	var want []time.Time
	for _, id := range m.ids() {
		if c := m.cards[id]; !c.Due.IsZero() && !c.Due.After(m.now()) {
			plan[id] = m.draw(rt, id)
			want = append(want, c.Due)
		}
	}
	slices.SortFunc(want, time.Time.Compare)
	want = want[:min(limit, len(want))]
	var claimed []string
	var dues []time.Time
	n, err := m.Claim(m.ctx, limit, func(change *store.Change) error {
		c := m.cards[change.Card.ID]
		m.same("what fn was given", *change, store.Change{Now: m.now(), Card: c, Slot: c.Next})
		claimed = append(claimed, change.Card.ID)
		dues = append(dues, change.Card.Due)
		return plan[change.Card.ID].change(change)
	})
	m.must(err)
	m.same("instants claimed", dues, want)
	m.same("number claimed", n, len(want))
	for i, id := range claimed {
		if slices.Contains(claimed[:i], id) {
			rt.Fatalf("%s claimed twice", id)
		}
		m.apply(id, "", plan[id])
	}
}

func (m *model) clock(rt *rapid.T) {
	step := rapid.SampledFrom([]time.Duration{1, time.Minute, time.Hour, -time.Minute}).Draw(rt, "step")
	m.clk.Set(m.clk.Now().Add(step))
}

func (m *model) recordDeliveries(rt *rapid.T) {
	m.learn()
	var results []store.Delivery
	for _, e := range m.events {
		if rapid.Bool().Draw(rt, e.ID()) {
			d := store.Delivery{Position: e.Position, Status: store.Status(rapid.IntRange(0, 2).Draw(rt, "status"))}
			if d.Status != store.StatusDelivered {
				d.Failure = "failure of " + e.ID()
			}
			results = append(results, d)
			if e.Status == store.StatusWaiting {
				if e.Status = d.Status; d.Status == store.StatusDelivered {
					e.delivered = m.now()
				} else {
					e.Attempts++
					e.Failure = d.Failure
				}
			}
		}
	}
	m.must(m.RecordDeliveries(m.ctx, results))
}

func (m *model) requeue(rt *rapid.T) {
	m.learn()
	if len(m.events) == 0 {
		return
	}
	place := rapid.IntRange(0, len(m.events)-1)
	first := m.events[place.Draw(rt, "first")].Position
	last := m.events[place.Draw(rt, "last")].Position
	want := int64(0)
	for _, e := range m.events {
		if e.Position >= first && e.Position <= last && e.Status != store.StatusWaiting {
			e.Status, e.Attempts, e.Failure = store.StatusWaiting, 0, ""
			want++
		}
	}
	n, err := m.Requeue(m.ctx, first, last)
	m.must(err)
	m.same("number replayed", n, want)
}

func (m *model) deleteExpired(rt *rapid.T) {
	m.learn()
	before := m.now().Add(rapid.SampledFrom([]time.Duration{-time.Hour, 0, 1}).Draw(rt, "before"))
	want := 0
	for k, a := range m.answers {
		if !m.now().Before(a.Expires) {
			delete(m.answers, k)
			want++
		}
	}
	m.events = slices.DeleteFunc(m.events, func(e *written) bool {
		old := e.Status == store.StatusDelivered && e.delivered.Before(before)
		if old {
			want++
		}
		return old
	})
	n, err := m.DeleteExpired(m.ctx, before, 1000)
	m.must(err)
	m.same("number pruned", n, want)
}

func (m *model) deleteUndelivered(rt *rapid.T) {
	m.learn()
	before := m.now().Add(rapid.SampledFrom([]time.Duration{-time.Hour, 0, 1}).Draw(rt, "before"))
	limit := rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "limit")
	want, seen := 0, 0
	m.events = slices.DeleteFunc(m.events, func(e *written) bool {
		if e.Status != store.StatusWaiting {
			return false
		}
		seen++
		old := seen <= limit && e.At.Before(before)
		if old {
			want++
		}
		return old
	})
	n, err := m.DeleteUndelivered(m.ctx, before, limit)
	m.must(err)
	m.same("number expired", n, want)
}

func (m *model) acquireLease(rt *rapid.T) {
	lease, err := m.AcquireLease(m.ctx)
	m.must(err)
	if _, err := m.AcquireLease(m.ctx); !errors.Is(err, store.ErrLeaseHeld) {
		rt.Fatalf("second relay: %v", err)
	}
	lease.Release()
}

func (m *model) reopenStore(rt *rapid.T) {
	if rapid.IntRange(0, 9).Draw(rt, "open again") < 9 {
		return
	}
	m.must(m.Close())
	m.fixture.Store = m.reopen()
}

// tidy removes what the next history would find: due cards and waiting events.
func (m *model) tidy() {
	for id := range m.cards {
		_ = m.Update(m.ctx, id, "", func(change *store.Change) error {
			change.Card.Next, change.Card.Due, change.Card.Failures = time.Time{}, time.Time{}, 0
			change.Write = true
			return nil
		})
	}
	m.clk.Set(epoch.Add(100 * 24 * time.Hour))
	_, _ = m.Requeue(m.ctx, m.start, math.MaxInt64)
	if pending, err := m.ListWaiting(m.ctx, 10_000, nil); err == nil {
		results := make([]store.Delivery, len(pending))
		for i, e := range pending {
			results[i] = store.Delivery{Position: e.Position, Status: store.StatusDelivered}
		}
		_ = m.RecordDeliveries(m.ctx, results)
	}
	_, _ = m.DeleteExpired(m.ctx, m.now().Add(1), 10_000)
}
