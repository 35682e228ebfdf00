package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/webhook"
	"cvvrotation/sim/must"
)

// BenchmarkDeliver measures signed deliveries over loopback, 16 at the same time.
func BenchmarkDeliver(b *testing.B) {
	server := serve(b, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	sink := newSink(b, server.URL, webhook.Options{})
	payload := must.Get(os.ReadFile("../../engine/event/testdata/v1/automatic.json"))(b)
	events := make([]store.Queued, 1000)
	for i := range events {
		events[i] = queued(fmt.Sprintf("card-%d", i), 1)
		events[i].Payload = payload
	}
	n := 0
	for b.Loop() {
		for _, err := range sink.Deliver(b.Context(), events) {
			must.Do(b, err)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
