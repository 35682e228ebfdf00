package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
)

// tell writes an event of a card.
func tell(t testing.TB, s *Store, card string) {
	t.Helper()
	if err := s.Update(t.Context(), card, "", func(tx *store.Tx) error {
		tx.Event = &store.Event{Card: card, Number: 1, At: tx.Now, Payload: []byte(card)}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// pending returns the cards of the events that wait.
func pending(t testing.TB, s *Store) (cards string, events []store.Queued) {
	t.Helper()
	events, err := s.Pending(t.Context(), 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		cards += e.Card + " "
	}
	return strings.TrimSpace(cards), events
}

// deliver settles what waits.
func deliver(t testing.TB, s *Store, want string) {
	t.Helper()
	cards, events := pending(t, s)
	if cards != want {
		t.Fatalf("%q wait, want %q", cards, want)
	}
	var results []store.Delivery
	for _, e := range events {
		results = append(results, store.Delivery{Position: e.Position, Status: store.Delivered})
	}
	if err := s.Settle(t.Context(), results); err != nil {
		t.Fatal(err)
	}
}

// A transaction that took its position early and commits late is not lost,
// however far the relay has come meanwhile.
func TestLateCommitsAreDelivered(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s := open(t, url, Options{})
	s.timer = clock.NewMock() // no sweep
	tell(t, s, "first")
	deliver(t, s, "first")

	late, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Exec(t.Context(), "INSERT INTO outbox (card, number, at, payload) VALUES ('late', 1, 1, '')"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		tell(t, s, "early")
		deliver(t, s, "early")
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	tell(t, s, "early")
	deliver(t, s, "late early")
	deliver(t, s, "")
}

// The relay does not wade through what it has delivered, yet sees what another
// process brings back.
func TestFloorRises(t *testing.T) {
	url := migrated(t, pgtest.Start(t))
	s, other := open(t, url, Options{}), open(t, url, Options{})
	s.timer = clock.NewMock()
	for range 5 {
		tell(t, s, "card")
		deliver(t, s, "card")
	}
	deliver(t, s, "")
	if low := s.floor.from(s.timer.Now()); low != 6 {
		t.Errorf("the floor is %d after 5 deliveries, want 6", low)
	}
	if n, err := other.Replay(t.Context(), 2, 3); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	deliver(t, s, "card card")
	deliver(t, s, "")

	// A card that waits holds the floor, whether the relay asks for it or not.
	tell(t, s, "stuck")
	tell(t, s, "card")
	for range 3 {
		if _, err := s.Pending(t.Context(), 10, []string{"stuck"}); err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, s, "stuck card")

	// A database from a backup gives out its positions again.
	if _, err := connect(t, url).Exec(t.Context(), "TRUNCATE outbox, settled RESTART IDENTITY"); err != nil {
		t.Fatal(err)
	}
	tell(t, s, "restored")
	deliver(t, s, "restored")
}

// What is replayed keeps its payload to the byte and is pruned like the rest.
func TestSettledEventsCanBePruned(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{})
	for range 5 {
		tell(t, s, "card")
	}
	deliver(t, s, "card card card card card")
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3, 2, 0} {
		if n, err := s.Prune(t.Context(), now.Add(time.Second), 3); err != nil || n != want {
			t.Errorf("pruned %d, %v; want %d", n, err, want)
		}
	}
}
