package storetest_test

import (
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
)

// A store's own tests run the suite. Here the store is the one in memory.
func ExampleRun() {
	testStoreMeetsTheContract := func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
			s := memory.New(memory.Options{Clock: clk})
			return s, func() store.Store {
				s = s.Reopen(memory.Options{Clock: clk})
				return s
			}
		})
	}
	_ = testStoreMeetsTheContract
}
