package memory_test

import (
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
)

func TestStore_MeetsTheContract(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
		s := memory.New(memory.Options{Clock: clk})
		return s, func() store.Store {
			s = s.Reopen(memory.Options{Clock: clk})
			return s
		}
	})
}
