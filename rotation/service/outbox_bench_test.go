package service_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/rotation/service/sqlite"
)

var benchEvents = flag.Int("events", 30_000, "events that wait in benchmarks")

// benchPayload is of the length of an event of a card whose id is a UUID.
var benchPayload = bytes.Repeat([]byte("x"), 635)

// relayed delivers what waits in the outbox to a sink that takes everything.
func relayed(b *testing.B, o store.Outbox, events int) {
	b.Helper()
	var delivered atomic.Int64
	all := make(chan struct{})
	sink := sinkFunc(func(_ context.Context, events []store.Queued) []error { return make([]error, len(events)) })
	r, err := outbox.New(o, sink, outbox.Options{
		Observe: func(o outbox.Outcome) {
			if o.Status == store.StatusDelivered && delivered.Add(1) == int64(events) {
				close(all)
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	<-all
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(*benchEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRelay is the relay alone, as fast as each store goes: the sink takes
// everything and does nothing. The events are of as many cards.
func BenchmarkRelay(b *testing.B) {
	fill := func(b *testing.B, s store.Store, round int) {
		for i := range *benchEvents {
			if err := s.Update(b.Context(), fmt.Sprintf("0191e7c5-7d3a-7b21-%04x-%012x", round, i), "", func(tx *store.Change) error {
				tx.Card.Version, tx.Card.Events, tx.Write = 1, 1, true
				tx.Event = &store.Event{Card: tx.Card.ID, Number: 1, At: tx.Now, Payload: benchPayload}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("memory", func(b *testing.B) {
		for round := 0; b.Loop(); round++ {
			b.StopTimer()
			s := memory.New(clock.New())
			fill(b, s, round)
			b.StartTimer()
			relayed(b, s, *benchEvents)
		}
		perSecond(b)
	})
	b.Run("sqlite", func(b *testing.B) {
		s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "cvvd.db"), sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		for round := 0; b.Loop(); round++ {
			b.StopTimer()
			fill(b, s, round)
			b.StartTimer()
			relayed(b, s, *benchEvents)
		}
		perSecond(b)
	})
	b.Run("postgres", benchPostgres)
}

// benchPostgres is the relay, and as a baseline the same rows read by one
// statement and moved by another.
func benchPostgres(b *testing.B) {
	server := pgtest.New(b, "fsync=on", "synchronous_commit=on", "shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=1h", "autovacuum=off")
	url := server.Database(b)
	if err := postgres.Migrate(b.Context(), url); err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(sql string, args ...any) {
		if _, err := conn.Exec(b.Context(), sql, args...); err != nil {
			b.Fatal(err)
		}
	}
	fill := func() {
		exec("TRUNCATE outbox, settled")
		exec("INSERT INTO outbox (number, at, card, payload) SELECT 1, i, md5(i::text), $2 FROM generate_series(1, $1::int) AS i", *benchEvents, benchPayload)
		exec("VACUUM ANALYZE outbox")
		exec("CHECKPOINT")
	}
	for range 2 { // each after the other has made the files of the log
		b.Run("relay", func(b *testing.B) {
			s, err := postgres.Open(b.Context(), url, postgres.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for b.Loop() {
				b.StopTimer()
				fill()
				b.StartTimer()
				relayed(b, s, *benchEvents)
			}
			perSecond(b)
		})
		b.Run("two-statements", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				fill()
				b.StartTimer()
				rows, err := conn.Query(b.Context(), "SELECT position, card, number, at, payload FROM outbox ORDER BY position")
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for rows.Next() {
					n++
				}
				if n != *benchEvents || rows.Err() != nil {
					b.Fatal(n, rows.Err())
				}
				exec(`WITH gone AS (DELETE FROM outbox RETURNING *)
					INSERT INTO settled (position, settled, number, at, attempts, status, card, failure, payload)
					SELECT position, 1, number, at, attempts, 1, card, failure, payload FROM gone`)
			}
			perSecond(b)
		})
	}
}
