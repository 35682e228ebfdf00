package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/jetstream"
)

// A subscriber reads one card's events from one subject, in order.
func Example() {
	dir, err := os.MkdirTemp("", "jetstream")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	if err != nil {
		panic(err)
	}
	broker.Start()
	defer stop(broker)
	broker.ReadyForConnections(20 * time.Second)

	conn, err := jetstream.Dial(broker.ClientURL(), jetstream.DialOptions{})
	if err != nil {
		panic(err)
	}
	sink, err := jetstream.New(conn, jetstream.Options{Create: true})
	if err != nil {
		panic(err)
	}
	defer sink.Close()
	subscription, err := conn.SubscribeSync("card.cvv.changed.v1.*")
	if err != nil {
		panic(err)
	}
	e := store.Event{Card: "card_7", Number: 12, Payload: []byte(`{"id":"card_7.12"}`)} // by the relay
	for range 2 {                                                                       // the stream drops the duplicate
		if err := errors.Join(sink.Deliver(context.Background(), []store.Queued{{Event: e}})...); err != nil {
			panic(err)
		}
	}
	m, err := subscription.NextMsg(20 * time.Second)
	if err != nil {
		panic(err)
	}
	fmt.Println(m.Subject, m.Header.Get("Nats-Msg-Id"), string(m.Data))
	// Output:
	// card.cvv.changed.v1.95 card_7.12 {"id":"card_7.12"}
}
