package service_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

var benchEvents = flag.Int("events", 30_000, "waiting events in benchmarks")

// benchPayload has the length of an event of a card whose id is a UUID.
var benchPayload = bytes.Repeat([]byte("x"), 635)

// discard is a sink that accepts everything and does nothing.
type discard struct{}

func (discard) Deliver(_ context.Context, events []store.Queued) []error {
	return make([]error, len(events))
}

func (discard) Close() error { return nil }

// deliver runs a relay until it has delivered the waiting events.
func deliver(b *testing.B, o store.Outbox, events int) {
	b.Helper()
	var delivered atomic.Int64
	all := make(chan struct{})
	r := must.Get(outbox.New(o, discard{}, outbox.Options{
		Observe: func(o outbox.Outcome) {
			if o.Status == store.StatusDelivered && delivered.Add(1) == int64(events) {
				close(all)
			}
		},
	}))(b)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	<-all
	cancel()
	must.Do(b, <-done)
}

func reportEvents(b *testing.B) {
	b.ReportMetric(float64(*benchEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRelay measures the relay on each store with a sink that does nothing. Each
// event is of another card.
func BenchmarkRelay(b *testing.B) {
	fill := func(b *testing.B, s store.Store, round int) {
		for i := range *benchEvents {
			must.Do(b, s.Update(b.Context(), fmt.Sprintf("0191e7c5-7d3a-7b21-%04x-%012x", round, i), "", func(change *store.Change) error {
				change.Card.Version, change.Card.Events, change.Write = 1, 1, true
				change.Event = &store.Event{Card: change.Card.ID, Number: 1, At: change.Now, Payload: benchPayload}
				return nil
			}))
		}
	}
	for _, st := range stores[:2] {
		b.Run(st.name, func(b *testing.B) {
			s := st.open(b, clock.New())
			for round := 0; b.Loop(); round++ {
				b.StopTimer()
				fill(b, s, round)
				b.StartTimer()
				deliver(b, s, *benchEvents)
			}
			reportEvents(b)
		})
	}
	b.Run("postgres", benchPostgres)
}

// benchPostgres measures the relay, and as a baseline the same rows read by one
// statement and moved by another.
func benchPostgres(b *testing.B) {
	server := pgtest.New(b, "fsync=on", "synchronous_commit=on", "shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=1h", "autovacuum=off")
	url := server.Database(b)
	must.Do(b, postgres.Migrate(b.Context(), url, postgres.Options{}))
	conn := must.Get(pgx.Connect(b.Context(), url))(b)
	defer conn.Close(context.Background())
	exec := func(sql string, args ...any) {
		must.Get(conn.Exec(b.Context(), sql, args...))(b)
	}
	fill := func() {
		exec("TRUNCATE outbox, settled")
		exec("INSERT INTO outbox (number, at, card, payload) SELECT 1, i, md5(i::text), $2 FROM generate_series(1, $1::int) AS i", *benchEvents, benchPayload)
		exec("VACUUM ANALYZE outbox")
		exec("CHECKPOINT")
	}
	for range 2 { // the second round finds the log's files created
		b.Run("relay", func(b *testing.B) {
			s := must.Get(postgres.Open(b.Context(), url, postgres.Options{}))(b)
			defer s.Close()
			var wal string
			var bytes float64
			for b.Loop() {
				b.StopTimer()
				fill()
				must.Do(b, conn.QueryRow(b.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&wal))
				b.StartTimer()
				deliver(b, s, *benchEvents)
			}
			must.Do(b, conn.QueryRow(b.Context(), "SELECT pg_current_wal_lsn() - $1::text::pg_lsn", wal).Scan(&bytes))
			b.ReportMetric(bytes/float64(*benchEvents), "WAL-bytes/event")
			reportEvents(b)
		})
		b.Run("two-statements", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				fill()
				b.StartTimer()
				rows := must.Get(conn.Query(b.Context(), "SELECT position, card, number, at, payload FROM outbox ORDER BY position"))(b)
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
			reportEvents(b)
		})
	}
}
