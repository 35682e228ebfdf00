package postgres

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

var schemas atomic.Int64

// newSchema returns a database's URL with a schema that is not there yet, which
// is quicker than a database for each test.
func newSchema(url string) string {
	return url + "&search_path=s" + strconv.FormatInt(schemas.Add(1), 10)
}

// open opens a store, and closes it with the test.
func open(t testing.TB, url string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// migrated returns the URL of a new schema.
func migrated(t testing.TB, database string) string {
	t.Helper()
	url := newSchema(database)
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}

func connect(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// waitFor waits until the database answers true.
func waitFor(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	conn := connect(t, url)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var ok bool
		if err := conn.QueryRow(t.Context(), sql, args...).Scan(&ok); err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not so after 20 s: %s", sql)
		}
	}
}

// consistent fails the test unless each card has as many events as rotations,
// numbered without a gap in the order of positions.
func consistent(t testing.TB, url string) {
	t.Helper()
	var wrong int
	if err := connect(t, url).QueryRow(t.Context(), `
		SELECT count(*) FROM cards LEFT JOIN (
			SELECT card, count(*) AS n, count(*) FILTER (WHERE number <> place) AS misplaced
			FROM (SELECT card, number, row_number() OVER (PARTITION BY card ORDER BY position) AS place FROM outbox) AS o
			GROUP BY card) AS e ON card = id
		WHERE version - 1 <> coalesce(n, 0) OR events <> coalesce(n, 0) OR misplaced > 0`).Scan(&wrong); err != nil {
		t.Fatal(err)
	}
	if wrong > 0 {
		t.Errorf("%d cards are half done", wrong)
	}
}

// put stores a card that is due then.
func put(t testing.TB, s *Store, id string, due time.Time) {
	t.Helper()
	if err := s.Update(t.Context(), id, "", func(tx *store.Change) error {
		tx.Card.Version, tx.Card.Account, tx.Card.State = 1, "a", make([]byte, 38)
		tx.Card.Sealed = make([]byte, 35)
		tx.Card.Interval = 24 * time.Hour
		tx.Card.Next, tx.Card.Due = due, due
		tx.Write = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// claimed returns the ids that a claim gives, rotating them.
func claimed(t testing.TB, s *Store, limit int) (ids []string) {
	t.Helper()
	if _, err := s.Claim(t.Context(), limit, func(tx *store.Change) error {
		ids = append(ids, tx.Card.ID)
		return rotate(tx)
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// tell writes an event of a card.
func tell(t testing.TB, s *Store, card string) {
	t.Helper()
	if err := s.Update(t.Context(), card, "", func(tx *store.Change) error {
		tx.Event = &store.Event{Card: card, Number: 1, At: tx.Now, Payload: []byte(card)}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// pending returns the cards of the events that wait.
func pending(t testing.TB, s *Store) (cards string, events []store.Queued) {
	t.Helper()
	events, err := s.ListWaiting(t.Context(), 100, nil)
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
		results = append(results, store.Delivery{Position: e.Position, Status: store.StatusDelivered})
	}
	if err := s.RecordDeliveries(t.Context(), results); err != nil {
		t.Fatal(err)
	}
}
