package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// mustOpen opens a store and closes it when the test ends. clk may be nil.
func mustOpen(t testing.TB, path string, clk clock.Clock) *Store {
	t.Helper()
	s := must.Get(Open(t.Context(), path, Options{Clock: clk}))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func tempFile(t testing.TB) string { return filepath.Join(t.TempDir(), "cards.db") }

// ask returns the first column of a query's first row, as text.
func ask(t *testing.T, c *conn, query string, args ...any) (answer string) {
	t.Helper()
	must.Do(t, c.query(t.Context(), func(r *row) error {
		answer = fmt.Sprint(r.values[0])
		return errEnough
	}, query, args...))
	return answer
}

// execute runs statements on a file with a connection without settings.
func execute(t *testing.T, path, statements string) {
	t.Helper()
	c := must.Get(connect(t.Context(), dsn(path)))(t)
	defer c.Close()
	must.Do(t, c.script(t.Context(), statements))
}

// count increments the card's version, writes an event of that number, and creates the
// card if it does not exist.
func count(change *store.Change) error {
	change.Card.Version++
	change.Card.Events++
	change.Card.Due = change.Now
	change.Write = true
	change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte("{}")}
	return nil
}

// put runs count on a card.
func put(t testing.TB, s *Store, id string) {
	t.Helper()
	must.Do(t, s.Update(t.Context(), id, "", count))
}

func version(t testing.TB, s *Store, id string) int64 {
	t.Helper()
	c := must.Get(s.Card(t.Context(), id))(t)
	return c.Version
}

// numbers returns the numbers of all events of a card.
func numbers(t testing.TB, s *Store, id string) (numbers []int64) {
	t.Helper()
	events := must.Get(s.ListEvents(t.Context(), 0, 1_000_000))(t)
	for _, e := range events {
		if e.Card == id {
			numbers = append(numbers, e.Number)
		}
	}
	return numbers
}

// upTo returns 1 to n: the numbers of n events, none of them lost or repeated.
func upTo(n int64) (numbers []int64) {
	for i := range n {
		numbers = append(numbers, i+1)
	}
	return numbers
}
