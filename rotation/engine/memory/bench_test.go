package memory_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
)

// BenchmarkUpdate is what the store adds to a function that changes one of
// 100,000 cards and writes an event, with a hook for faults.
func BenchmarkUpdate(b *testing.B) {
	s := fill(b, 100_000)
	s.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{} })
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = "card-" + strconv.Itoa(i*97)
	}
	e := store.Event{Card: "card", Payload: make([]byte, 500)}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%100_000 == 99_999 {
			b.StopTimer()
			s = fill(b, 100_000)
			b.StartTimer()
		}
		must.Do(b, s.Update(b.Context(), ids[n%len(ids)], "", func(change *store.Change) error {
			change.Card.Due = change.Card.Due.Add(time.Hour)
			change.Write, change.Event = true, &e
			return nil
		}))
	}
}

// BenchmarkClaim claims 1 of 100,000 cards that are due, and puts it at the end.
func BenchmarkClaim(b *testing.B) {
	s := fill(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := s.Claim(b.Context(), 1, func(change *store.Change) error {
			change.Card.Due = change.Card.Due.Add(100_000 * time.Millisecond)
			change.Write = true
			return nil
		}); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func fill(b *testing.B, n int) *memory.Store {
	clk := clock.NewMock()
	start := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	s := memory.New(memory.Options{Clock: clk})
	clk.Set(start.Add(10_000 * time.Hour)) // all are due, however often claimed
	for i := range n {
		s.Put(store.Card{
			ID: "card-" + strconv.Itoa(i), Version: 1, State: make([]byte, 45), Sealed: make([]byte, 35),
			Due: start.Add(time.Duration(i) * time.Millisecond),
		})
	}
	return s
}
