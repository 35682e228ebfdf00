package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
)

func TestStore_MeetsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
		path := filepath.Join(t.TempDir(), "cards.db")
		reopen := func() store.Store { return mustOpen(t, path, clk) }
		return reopen(), reopen
	})
}
