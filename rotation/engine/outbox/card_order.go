package outbox

import (
	"time"

	"cvvrotation/rotation/engine/store"
)

// A card's events stay in order because of three things. In the relay, a card
// with an event in flight, not yet acknowledged or waiting for a retry is
// excluded from the next read of the store (excluded). In a sink, one event of a
// card is delivered at a time (ByCard, InOrder). After a failure, the batch's
// later events of the card are ignored (deliver.go, finish).

// excluded returns the cards whose events must not be read from the store now,
// and how many of them wait for a retry. It forgets retries of events that are
// no longer in the outbox.
func (s *session) excluded(now time.Time) (cards []string, blocked int) {
	cards = make([]string, 0, len(s.busy)+len(s.retries)+len(s.breaker.probed))
	for card := range s.busy {
		cards = append(cards, card)
	}
	for card := range s.breaker.probed {
		cards = append(cards, card)
	}
	for card, r := range s.retries {
		switch {
		case s.busy[card]:
		case r.at.After(now):
			cards = append(cards, card)
			blocked++
		case r.at.Add(s.o.MaxBackoff + s.o.MaxPause).Before(now):
			delete(s.retries, card)
		}
	}
	return cards, blocked
}

// ByCard returns the indexes of a batch, grouped by card and in order.
func ByCard(events []store.Queued) [][]int {
	at := make(map[string]int, len(events))
	var cards [][]int
	for i, e := range events {
		n, ok := at[e.Card]
		if !ok {
			n = len(cards)
			at[e.Card], cards = n, append(cards, nil)
		}
		cards[n] = append(cards[n], i)
	}
	return cards
}

// InOrder delivers the events of one card one after the other: those at the
// indexes given, as [ByCard] returns them. It sets their errors. After a failure it
// sets ErrNotTried for the later ones.
func InOrder(card []int, errs []error, deliver func(i int) error) {
	for n, i := range card {
		if errs[i] = deliver(i); errs[i] == nil {
			continue
		}
		for _, later := range card[n+1:] {
			errs[later] = ErrNotTried
		}
		return
	}
}
