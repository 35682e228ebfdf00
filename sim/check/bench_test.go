package check

import (
	"testing"
)

// One operation is one event, decided in the simulated host with all invariants
// on, by one goroutine.
func BenchmarkHost_DecidesAndChecksEvents(b *testing.B) {
	h := newHost(theRules, Bug{})
	b.ReportAllocs()
	seed := uint64(1)
	for left := b.N; left > 0; left -= h.events {
		h.run(seed, drawOptions(seed))
		if h.failure != nil {
			b.Fatalf("seed %d: %v", seed, h.failure.broken)
		}
		seed++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
