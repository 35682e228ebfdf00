package jetstream_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/sim/must"
)

// BenchmarkDeliver publishes batches of 1000 events of as many cards.
func BenchmarkDeliver(b *testing.B) {
	s := run(b, b.TempDir(), -1, nil)
	sink := newSink(b, dial(b, s.ClientURL()), jetstream.Options{Create: true})
	events := batch(b)
	number := int64(0)
	for b.Loop() {
		number++
		for i := range events {
			events[i].Number = number
		}
		must.Do(b, errors.Join(sink.Deliver(b.Context(), events)...))
	}
	b.ReportMetric(float64(number)*float64(len(events))/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkOneByOne is the baseline: each publish waits for its acknowledgement.
func BenchmarkOneByOne(b *testing.B) {
	s := run(b, b.TempDir(), -1, nil)
	conn := dial(b, s.ClientURL())
	must.Do(b, newSink(b, conn, jetstream.Options{Create: true}).Check(b.Context()))
	js := must.Get(natsjs.New(conn))(b)
	events := batch(b)
	number := int64(0)
	for b.Loop() {
		number++
		for i, e := range events {
			e.Number = number
			must.Get(js.Publish(b.Context(), fmt.Sprintf("card.cvv.changed.v1.%02x", i&0xff), e.Payload, natsjs.WithMsgID(e.ID())))(b)
		}
	}
	b.ReportMetric(float64(number)*float64(len(events))/b.Elapsed().Seconds(), "events/s")
}

func batch(b *testing.B) []store.Queued {
	payload := must.Get(os.ReadFile("../../engine/event/testdata/v1/automatic.json"))(b)
	events := make([]store.Queued, 1000)
	for i := range events {
		events[i] = queued(fmt.Sprintf("card-%d", i), 1)
		events[i].Payload = payload
	}
	return events
}
