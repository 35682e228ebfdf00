package postgres

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
	"cvvrotation/rotation/service/postgres/pgtest"
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

func TestContract(t *testing.T) {
	database := pgtest.Start(t)
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
			url := migrated(t, database)
			reopen := func() store.Store { return open(t, url, Options{Clock: clk}) }
			return reopen(), reopen
		},
	})
}
