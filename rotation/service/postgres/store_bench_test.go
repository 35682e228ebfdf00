package postgres

import (
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

var (
	benchCards   = flag.Int("cards", 100_000, "cards that are due in benchmarks")
	benchBatch   = flag.Int("batch", 1000, "cards in one claim in benchmarks")
	benchWorkers = flag.Int("workers", 2, "workers that claim in benchmarks")
)

// benchPayload is the length of an event of a card whose id is a UUID.
const benchPayload = 635

// benchServer starts a server that syncs to disk and checkpoints so rarely that no
// benchmark includes one.
func benchServer(b *testing.B) *pgtest.Server {
	return pgtest.New(b, "fsync=on", "synchronous_commit=on", "shared_buffers=2GB", "max_wal_size=16GB", "min_wal_size=8GB", "checkpoint_timeout=1h", "autovacuum=off")
}

// dueSQL inserts n due cards with different dues and values of the size that random
// CVVs have. Ids are in another order than dues.
const dueSQL = `
INSERT INTO cards (id, account, version, events, state, next, interval, due, service_code, sealed, created, rotated, tries, failures, failure)
SELECT gen_random_uuid()::text, 'account-' || i % 1000, 1, 1,
	substring(sha512(i::text::bytea) FOR 38), n.at, 86400000000000, n.at, '201',
	substring(sha512(i::text::bytea) FOR 35), n.at - 86400000000000, n.at - 86400000000000, 0, 0, ''
FROM generate_series(1, $1::bigint) AS i,
	LATERAL (SELECT (extract(epoch FROM now()) * 1000)::bigint * 1000000 - i * 1000 AS at) AS n`

// fill empties the tables, inserts due cards and writes them to disk.
func fill(b *testing.B, conn *pgx.Conn, cards int) {
	b.Helper()
	for _, sql := range []string{"TRUNCATE cards, outbox, settled", dueSQL, "VACUUM ANALYZE cards", "CHECKPOINT"} {
		var args []any
		if sql == dueSQL {
			args = []any{cards}
		}
		must.Get(conn.Exec(b.Context(), sql, args...))(b)
	}
}

// rotate changes a card like a rotation of a random CVV, with values of the same
// size: a state of 38 bytes, a sealed value of 35, an event of benchPayload.
func rotate(change *store.Change) error {
	c := &change.Card
	c.Version++
	c.Events++
	c.State = append(make([]byte, 0, 38), c.State...)
	c.State[c.Version%38]++
	c.Next = c.Next.Add(c.Interval)
	c.Due = c.Next
	c.PreviousCode, c.PreviousSealed, c.PreviousUntil = c.ServiceCode, c.Sealed, change.Now
	c.ServiceCode = servicecode.MustParse("221")
	c.Sealed = append(make([]byte, 0, 35), c.Sealed...)
	c.Sealed[c.Version%35]++
	c.Rotated = change.Now
	payload := make([]byte, benchPayload)
	copy(payload, c.ID)
	change.Event = &store.Event{Card: c.ID, Number: c.Events, At: change.Now, Payload: payload}
	change.Write = true
	return nil
}

// BenchmarkBacklog works off cards that are all due: by claims, and as a
// baseline by one UPDATE and one INSERT … SELECT of the same rows, columns and
// sizes in one transaction. Run it with -benchtime 1x -cards 1000000.
func BenchmarkBacklog(b *testing.B) {
	server := benchServer(b)
	url := server.Database(b)
	must.Do(b, Migrate(b.Context(), url, Options{}))
	conn := connect(b, url)
	check := func(b *testing.B, wal string) {
		b.Helper()
		var cards, events, bytes int64
		must.Do(b, conn.QueryRow(b.Context(), "SELECT (SELECT count(*) FROM cards WHERE version = 2 AND octet_length(sealed) = 35 AND octet_length(previous_sealed) = 35), (SELECT count(*) FROM outbox WHERE octet_length(payload) = 635), pg_current_wal_lsn() - $1::text::pg_lsn", wal).
			Scan(&cards, &events, &bytes))
		if cards != int64(*benchCards) || events != cards {
			b.Fatalf("%d cards rotated, %d events; want %d", cards, events, *benchCards)
		}
		b.ReportMetric(float64(*benchCards)*float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
		b.ReportMetric(float64(bytes)/float64(*benchCards), "WAL-bytes/rotation")
	}
	lsn := func(b *testing.B) (wal string) {
		must.Do(b, conn.QueryRow(b.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&wal))
		return wal
	}

	// Otherwise the first benchmark includes the creation of the log's files.
	fill(b, conn, *benchCards)
	oneUpdate(b, conn)

	b.Run(fmt.Sprintf("claims/cards=%d", *benchCards), func(b *testing.B) {
		s := open(b, url, Options{})
		var wal string
		for b.Loop() {
			b.StopTimer()
			fill(b, conn, *benchCards)
			wal = lsn(b)
			b.StartTimer()
			var done atomic.Int64
			var workers sync.WaitGroup
			for range *benchWorkers {
				workers.Go(func() {
					for done.Load() < int64(*benchCards) {
						n, err := s.Claim(b.Context(), *benchBatch, rotate)
						if err != nil {
							b.Error(err)
							return
						}
						done.Add(int64(n))
					}
				})
			}
			workers.Wait()
		}
		check(b, wal)
	})

	b.Run(fmt.Sprintf("one-update/cards=%d", *benchCards), func(b *testing.B) {
		var wal string
		for b.Loop() {
			b.StopTimer()
			fill(b, conn, *benchCards)
			wal = lsn(b)
			b.StartTimer()
			oneUpdate(b, conn)
		}
		check(b, wal)
	})
}

// oneUpdate rotates all due cards in one transaction.
func oneUpdate(b *testing.B, conn *pgx.Conn) {
	b.Helper()
	must.Do(b, pgx.BeginFunc(b.Context(), conn, func(tx pgx.Tx) error {
		now := time.Now().UnixNano()
		if _, err := tx.Exec(b.Context(), `
			UPDATE cards SET version = version + 1, events = events + 1,
				state = $2, next = next + interval, due = due + interval,
				previous_code = service_code, previous_sealed = sealed, previous_until = $1,
				service_code = '221', sealed = $3, rotated = $1
			WHERE due <= $1`, now, make([]byte, 38), make([]byte, 35)); err != nil {
			return err
		}
		_, err := tx.Exec(b.Context(), `
			INSERT INTO outbox (card, number, at, payload)
			SELECT id, events, $1, $2 FROM cards WHERE rotated = $1`, now, make([]byte, benchPayload))
		return err
	}))
}

// BenchmarkListCardEvents lists the newest 20 events of a card among 700,000 settled
// ones, with few and with many events waiting.
func BenchmarkListCardEvents(b *testing.B) {
	url := benchServer(b).Database(b)
	must.Do(b, Migrate(b.Context(), url, Options{}))
	conn := connect(b, url)
	exec := func(sql string, args ...any) { must.Get(conn.Exec(b.Context(), sql, args...))(b) }
	exec(`INSERT INTO settled (position, settled, number, at, attempts, status, card, failure, payload)
		SELECT i, i, 1 + i / 100000, i, 0, 1, md5((i % 100000)::text), '', $1 FROM generate_series(1, 700000) AS i`, make([]byte, benchPayload))
	s := open(b, url, Options{})
	for _, waiting := range []int{100, 1_000_000} {
		exec("TRUNCATE outbox")
		exec("INSERT INTO outbox (number, at, card, payload) SELECT 9, i, md5((i % 100000)::text), $2 FROM generate_series(1, $1::int) AS i", waiting, make([]byte, benchPayload))
		exec("VACUUM ANALYZE outbox, settled")
		var card string
		must.Do(b, conn.QueryRow(b.Context(), "SELECT md5('77')").Scan(&card))
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			for b.Loop() {
				if events := must.Get(s.ListCardEvents(b.Context(), card, 10, 20))(b); len(events) < 7 {
					b.Fatalf("%d events", len(events))
				}
			}
		})
	}
}
