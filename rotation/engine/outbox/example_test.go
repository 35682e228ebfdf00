package outbox_test

import (
	"context"
	"fmt"
	"os"

	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// Events go to standard output. In a service, engine.Options.Written is
// relay.Wake.
func Example() {
	s := memory.New(memory.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	sink, err := jsonl.New(os.Stdout)
	if err != nil {
		panic(err)
	}
	relay, err := outbox.New(s, sink, outbox.Options{
		Observe: func(o outbox.Outcome) {
			if o.Event.Number == 2 {
				cancel()
			}
		},
	})
	if err != nil {
		panic(err)
	}
	for range 2 {
		s.Update(ctx, "card_7", "", func(change *store.Change) error { // by the engine
			change.Card.Version, change.Card.Events, change.Write = 1, change.Card.Events+1, true
			change.Event = &store.Event{
				Card: change.Card.ID, Number: change.Card.Events, At: change.Now,
				Payload: fmt.Appendf(nil, `{"id":"card_7.%d"}`, change.Card.Events),
			}
			return nil
		})
	}
	if err := relay.Run(ctx); err != nil {
		panic(err)
	}
	// Output:
	// {"id":"card_7.1"}
	// {"id":"card_7.2"}
}
