package memory_test

import (
	"context"
	"errors"
	"fmt"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
)

// A test injects the fault that a database shows when a reply is lost: the change
// is stored, and the caller gets an error.
func ExampleStore_SetFaults() {
	ctx := context.Background()
	s := memory.New(memory.Options{})
	s.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallUpdate {
			return memory.Fault{After: memory.ErrInjected}
		}
		return memory.Fault{}
	})
	err := s.Update(ctx, "card-1", "", func(change *store.Change) error {
		change.Card.Version, change.Write = 1, true
		return nil
	})
	fmt.Println("update:", errors.Is(err, memory.ErrInjected))
	c, err := s.Card(ctx, "card-1")
	fmt.Println("version", c.Version, err)
	// Output:
	// update: true
	// version 1 <nil>
}
