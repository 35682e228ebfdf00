// Package outbox delivers the events that a store has queued: at least once, and
// in order for each card. A [Relay] takes them from the store, a [Sink] takes
// them to subscribers; the sinks are in the folders below.
//
// # What subscribers can rely on
//
// Every event reaches them, or is parked: see below. It may come again, always
// with the same id and the same bytes: after a crash between delivery and its
// record, after an answer that was lost, after a replay. The first deliveries of
// a card's events come in the order of their numbers. So a subscriber keeps the
// number of the newest event of each card and passes over what is not newer.
//
// # Failures
//
// An event that fails holds back the later events of its card, and no others. It
// is tried again after a delay that doubles each time. What happens to it in the
// end depends on whose fault the failure is:
//
//   - The event's, says the sink (ErrRejected): it is parked at once. But a
//     sink that rejects one event after the other and takes nothing in between
//     is more likely to have a wrong address or secret: from the second one on
//     it is not believed until it takes an event.
//   - The sink's, says the sink (ErrUnavailable): everything pauses, then one
//     event probes whether the sink is back, after another pause one of another
//     card, and so on. Nothing is counted, unless an event probes in vain once
//     more after the sink has taken others: perhaps a receiver breaks down over
//     this one, and what stands before it says that it is unavailable.
//   - Unknown, which is any other error. It counts as an attempt only if the
//     sink took some other event since the card's last failure; if it takes
//     nothing from anybody, it is taken to be unavailable. After MaxAttempts of
//     them the event is parked.
//
// The later events of a card whose event was parked are delivered: a subscriber
// sees that a number is missing. A parked event waits for a person who replays it
// (store.Outbox.Replay), which then comes after the later ones.
//
// # Replicas
//
// One relay leads, in all processes (store.Outbox.Lead). A relay whose lease is
// lost stops, but what it had sent already may arrive after what its successor
// sends. It is old then, and passed over by its number.
package outbox

import (
	"context"
	"errors"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Sink takes events to subscribers. It is called from several goroutines, never
// with one card's events in two calls at the same time.
type Sink interface {
	// Deliver delivers a batch and returns an error for each event: nil
	// where it was taken for good. The events of a card are in order, and are
	// to be delivered in this order. After one that failed, other than
	// with ErrRejected, those of the same card are left alone, with ErrHeld.
	//
	// Deliver returns soon after ctx has ended. The errors hold no secret:
	// they are logged and stored.
	Deliver(ctx context.Context, events []store.Queued) []error

	// Close frees what the sink holds, after the last Deliver.
	Close() error
}

var (
	// ErrRejected is for an event that the sink will never take. It is parked.
	ErrRejected = errors.New("rejected")
	// ErrUnavailable is for a sink that takes no event at the moment,
	// whichever it is. See also [Unavailable].
	ErrUnavailable = errors.New("unavailable")
	// ErrHeld is for an event that was not tried, because another one of its
	// batch failed: an earlier one of its card, or one that showed that the
	// sink takes nothing.
	ErrHeld = errors.New("not tried: another event of the batch failed")
)

// Unavailable is an error that matches ErrUnavailable and knows more.
type Unavailable struct {
	Err   error         // why; holds no secret
	After time.Duration // when to try again, as the sink wishes; 0: it said nothing
}

// Error returns Err's text.
func (u *Unavailable) Error() string { return u.Err.Error() }

// Unwrap returns Err.
func (u *Unavailable) Unwrap() error { return u.Err }

// Is reports whether target is ErrUnavailable.
func (u *Unavailable) Is(target error) bool { return target == ErrUnavailable }

// ByCard returns the indexes of a batch, the events of each card together and in
// order.
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

// goesOn reports whether the next event of the same card may be delivered after
// one that ended with err.
func goesOn(err error) bool { return err == nil || errors.Is(err, ErrRejected) }

// InOrder delivers the events of one card, one after the other: those at the
// indexes given, as [ByCard] returns them. It sets their errors.
func InOrder(card []int, errs []error, deliver func(i int) error) {
	for n, i := range card {
		errs[i] = deliver(i)
		if goesOn(errs[i]) {
			continue
		}
		for _, later := range card[n+1:] {
			errs[later] = ErrHeld
		}
		return
	}
}
