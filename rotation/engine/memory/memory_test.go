package memory_test

import (
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(_ *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
			s := memory.New(clk)
			return s, func() store.Store {
				s = s.Reopen(clk)
				return s
			}
		},
	})
}
