package postgres

import (
	"testing"

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
		if events, err := s.Pending(ctx, 10, nil); err != nil || len(events) != 0 {
			t.Fatalf("%v, %v", events, err)
		}
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if events, err := s.Pending(ctx, 10, nil); err != nil || len(events) != 1 {
		t.Errorf("the event is not seen: %v, %v", events, err)
	}
}
