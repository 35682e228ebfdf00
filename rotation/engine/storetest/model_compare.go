package storetest

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/store"
)

// learn finds the positions of new events. Of two events of one card, the later
// one has the higher.
func (m *model) learn() {
	log, err := m.ListEvents(m.ctx, m.start, 10_000)
	m.must(err)
	last := map[string]int64{}
	for _, e := range m.events {
		i := slices.IndexFunc(log, func(q store.Queued) bool { return q.ID() == e.ID() && bytes.Equal(q.Payload, e.Payload) })
		if i < 0 {
			m.rt.Fatalf("event %s is not in the log", e.ID())
		}
		if e.Position == 0 {
			e.Position = log[i].Position
		}
		if e.Position <= last[e.Card] {
			m.rt.Fatalf("event %s has position %d, after %d", e.ID(), e.Position, last[e.Card])
		}
		last[e.Card] = e.Position
	}
}

// ids returns the ids of the model's cards, in order.
func (m *model) ids() []string {
	var ids []string
	for id := range m.cards {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// compare compares the results of the store's methods with the model.
func (m *model) compare(rt *rapid.T) {
	m.learn()
	now := m.now()
	want := store.Stats{}
	var cards, failing []store.Card
	var ahead []string
	counts := make([]int64, 4)
	from := now.Add(-time.Minute)
	for _, id := range m.ids() {
		c := m.cards[id]
		cards = append(cards, c)
		if c.Failures > 0 {
			failing = append(failing, c)
		}
		if !c.Next.IsZero() && c.Next.Sub(now) > c.Interval {
			ahead = append(ahead, id)
		}
		if c.Due.IsZero() {
			continue
		}
		if want.OldestDue.IsZero() || c.Due.Before(want.OldestDue) {
			want.OldestDue = c.Due
		}
		if !c.Due.After(now) {
			want.Backlog++
		}
		for i := range counts {
			begin := from.Add(time.Duration(i) * time.Minute)
			if !c.Due.Before(begin) && c.Due.Before(begin.Add(time.Minute)) {
				counts[i]++
			}
		}
	}
	want.Failing = int64(len(failing))
	var log, pending []store.Queued
	events := slices.Clone(m.events)
	slices.SortFunc(events, func(a, b *written) int { return cmp.Compare(a.Position, b.Position) })
	for _, e := range events {
		log = append(log, e.Queued)
		switch e.Status {
		case store.StatusWaiting:
			pending = append(pending, e.Queued)
			if want.OldestWaiting.IsZero() || e.At.Before(want.OldestWaiting) {
				want.OldestWaiting = e.At
			}
		case store.StatusParked:
			want.Parked++
		}
	}
	want.Waiting = int64(len(pending))

	var got []store.Card
	for after := m.prefix; ; { // page by page; cards of other histories have another prefix
		page, err := m.ListCards(m.ctx, after, 2)
		m.must(err)
		for _, c := range page {
			if len(c.ID) > len(m.prefix) && c.ID[:len(m.prefix)] == m.prefix {
				got = append(got, c)
			}
		}
		if len(page) < 2 {
			break
		}
		after = page[1].ID
	}
	m.same("Cards", got, cards)
	gotFailing, err := m.ListFailingCards(m.ctx, 100)
	m.must(err)
	m.same("Failing", gotFailing, failing)
	gotAhead, err := m.IDsTooFarAhead(m.ctx, "", 100)
	m.must(err)
	m.same("Ahead", gotAhead, ahead)
	gotCounts, err := m.CountDue(m.ctx, from, time.Minute, len(counts))
	m.must(err)
	m.same("DueCounts", gotCounts, counts)
	due, ok, err := m.NextDue(m.ctx)
	m.must(err)
	m.same("NextDue", due, want.OldestDue)
	m.same("whether a card is due", ok, !want.OldestDue.IsZero())
	gotLog, err := m.ListEvents(m.ctx, m.start, 10_000)
	m.must(err)
	m.same("ListEvents", gotLog, log)
	for _, id := range m.ids() {
		var history []store.Queued
		for _, e := range slices.Backward(log) {
			if e.Card == id {
				history = append(history, e)
			}
		}
		got, err := m.ListCardEvents(m.ctx, id, math.MaxInt64, 10_000)
		m.must(err)
		m.same("ListCardEvents", got, history)
	}
	gotPending, err := m.ListWaiting(m.ctx, 10_000, nil)
	m.must(err)
	m.same("ListWaiting", gotPending, pending)
	st, err := m.Stats(m.ctx)
	m.must(err)
	st.Cards = 0 // may be an estimate
	if len(pending) > 0 && st.OldestWaiting.Equal(pending[0].At) {
		want.OldestWaiting = pending[0].At // the first by position, not the oldest, where the clock stepped back
	}
	m.same("Stats", st, want)
}

func (m *model) lastPosition() int64 {
	last := int64(0)
	for {
		page, err := m.ListEvents(m.ctx, last, 1000)
		m.must(err)
		if len(page) == 0 {
			return last
		}
		last = page[len(page)-1].Position
	}
}
