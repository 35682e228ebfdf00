package postgres

import (
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
	"cvvrotation/rotation/service/postgres/pgtest"
)

func TestStore_MeetsTheContract(t *testing.T) {
	database := pgtest.Start(t)
	storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
		url := migrated(t, database)
		reopen := func() store.Store { return open(t, url, Options{Clock: clk}) }
		return reopen(), reopen
	})
}
