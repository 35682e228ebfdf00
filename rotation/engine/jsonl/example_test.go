package jsonl_test

import (
	"context"
	"os"

	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/store"
)

func Example() {
	sink, err := jsonl.New(os.Stdout)
	if err != nil {
		panic(err)
	}
	sink.Deliver(context.Background(), []store.Queued{ // by the relay
		{Event: store.Event{Card: "card_7", Number: 1, Payload: []byte(`{"id":"card_7.1"}`)}},
		{Event: store.Event{Card: "card_8", Number: 1, Payload: []byte(`{"id":"card_8.1"}`)}},
	})
	// Output:
	// {"id":"card_7.1"}
	// {"id":"card_8.1"}
}
