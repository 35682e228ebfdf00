package store_test

import (
	"context"
	"fmt"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
)

// A change of a card and its event are stored together, or not at all.
func ExampleCards() {
	ctx := context.Background()
	s := memory.New(memory.Options{})
	err := s.Update(ctx, "card-1", "", func(change *store.Change) error {
		c := &change.Card
		c.Version, c.Events = c.Version+1, c.Events+1
		change.Write = true
		change.Event = &store.Event{Card: c.ID, Number: c.Events, At: change.Now, Payload: []byte("{}")}
		return nil
	})
	fmt.Println(err)
	waiting, err := s.ListWaiting(ctx, 10, nil)
	for _, e := range waiting {
		fmt.Println(e.ID(), e.Status, err)
	}
	// Output:
	// <nil>
	// card-1.1 waiting <nil>
}
