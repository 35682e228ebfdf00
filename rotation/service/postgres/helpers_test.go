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
	"cvvrotation/sim/must"
)

var schemas atomic.Int64

// newSchema returns the URL of a schema that does not exist yet, which is faster
// than a database for each test.
func newSchema(url string) string {
	return url + "&search_path=s" + strconv.FormatInt(schemas.Add(1), 10)
}

// open opens a store and closes it when the test ends.
func open(t testing.TB, url string, o Options) *Store {
	t.Helper()
	s := must.Get(Open(t.Context(), url, o))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

// migrated creates a schema with all tables, and returns its URL.
func migrated(t testing.TB, database string) string {
	t.Helper()
	url := newSchema(database)
	must.Do(t, Migrate(t.Context(), url, Options{}))
	return url
}

// connect opens a connection and closes it when the test ends.
func connect(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	conn := must.Get(pgx.Connect(tb.Context(), url))(tb)
	tb.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// waitFor runs a query until it returns true.
func waitFor(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	conn := connect(t, url)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var ok bool
		must.Do(t, conn.QueryRow(t.Context(), sql, args...).Scan(&ok))
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not true within 20 s: %s", sql)
		}
	}
}

// checkConsistent reports an error unless each card has one event for each rotation,
// numbered without gaps in the order of positions.
func checkConsistent(t testing.TB, url string) {
	t.Helper()
	var wrong int
	must.Do(t, connect(t, url).QueryRow(t.Context(), `
		SELECT count(*) FROM cards LEFT JOIN (
			SELECT card, count(*) AS n, count(*) FILTER (WHERE number <> place) AS misplaced
			FROM (SELECT card, number, row_number() OVER (PARTITION BY card ORDER BY position) AS place FROM outbox) AS o
			GROUP BY card) AS e ON card = id
		WHERE version - 1 <> coalesce(n, 0) OR events <> coalesce(n, 0) OR misplaced > 0`).Scan(&wrong))
	if wrong > 0 {
		t.Errorf("%d cards have missing or misplaced events", wrong)
	}
}

// putDue stores a card that is due at the given time.
func putDue(t testing.TB, s *Store, id string, due time.Time) {
	t.Helper()
	must.Do(t, s.Update(t.Context(), id, "", func(change *store.Change) error {
		change.Card.Version, change.Card.Account, change.Card.State = 1, "a", make([]byte, 38)
		change.Card.Sealed = make([]byte, 35)
		change.Card.Interval = 24 * time.Hour
		change.Card.Next, change.Card.Due = due, due
		change.Write = true
		return nil
	}))
}

// claim rotates up to limit due cards, and returns their ids.
func claim(t testing.TB, s *Store, limit int) (ids []string) {
	t.Helper()
	must.Get(s.Claim(t.Context(), limit, func(change *store.Change) error {
		ids = append(ids, change.Card.ID)
		return rotate(change)
	}))(t)
	return ids
}

// writeEvent adds an event of a card to the outbox.
func writeEvent(t testing.TB, s *Store, card string) {
	t.Helper()
	must.Do(t, s.Update(t.Context(), card, "", func(change *store.Change) error {
		change.Event = &store.Event{Card: card, Number: 1, At: change.Now, Payload: []byte(card)}
		return nil
	}))
}

// pending returns the waiting events, and their cards.
func pending(t testing.TB, s *Store) (cards string, events []store.Queued) {
	t.Helper()
	events = must.Get(s.ListWaiting(t.Context(), 100, nil))(t)
	for _, e := range events {
		cards += e.Card + " "
	}
	return strings.TrimSpace(cards), events
}

// deliver marks the waiting events, which must be of these cards, as delivered.
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
	must.Do(t, s.RecordDeliveries(t.Context(), results))
}
