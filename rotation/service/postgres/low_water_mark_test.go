package postgres

import (
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/service/postgres/pgtest"
)

// TestFloorNewestTransactionLate: an event whose transaction is the newest one and commits after two looks at
// the outbox is seen by the third.
func TestFloorNewestTransactionLate(t *testing.T) {
	ctx := t.Context()
	url := pgtest.Start(t)
	if err := Migrate(ctx, url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range []string{"BEGIN", "INSERT INTO outbox (card, number, at, payload) VALUES ('A', 1, 0, '{}')"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if events, err := s.ListWaiting(ctx, 10, nil); err != nil || len(events) != 0 {
			t.Fatalf("%v, %v", events, err)
		}
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if events, err := s.ListWaiting(ctx, 10, nil); err != nil || len(events) != 1 {
		t.Errorf("the event is not seen: %v, %v", events, err)
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
	if n, err := other.Requeue(t.Context(), 2, 3); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	deliver(t, s, "card card")
	deliver(t, s, "")

	// A card that waits holds the floor, whether the relay asks for it or not.
	tell(t, s, "stuck")
	tell(t, s, "card")
	for range 3 {
		if _, err := s.ListWaiting(t.Context(), 10, []string{"stuck"}); err != nil {
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
		if n, err := s.DeleteExpired(t.Context(), now.Add(time.Second), 3); err != nil || n != want {
			t.Errorf("pruned %d, %v; want %d", n, err, want)
		}
	}
}
