package bboltstore

import (
	"path/filepath"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
	"cvvrotation/sim/must"
)

func TestStore_MeetsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
		path := filepath.Join(t.TempDir(), "cards.db")
		reopen := func() store.Store {
			s := must.Get(Open(path, clk))(t)
			s.db.NoSync = true // for speed; a test that cuts the power needs it
			return s
		}
		return reopen(), reopen
	})
}
