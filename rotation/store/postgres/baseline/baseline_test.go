package baseline

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"cvvrotation/rotation/store"
	"cvvrotation/rotation/store/postgres"
	"cvvrotation/rotation/store/postgres/pgtest"
	"cvvrotation/servicecode"
)

var (
	cards   = flag.Int("cards", 20_000, "cards that are due")
	workers = flag.Int("workers", 2, "workers that claim")
	jobs    = flag.Int("jobs", 50, "jobs that the queue works on at once")
)

// dueSQL makes cards as BenchmarkBacklog of the store does.
const dueSQL = `
INSERT INTO cards (id, account, version, events, state, next, interval, due, service_code, sealed, created, rotated, tries, failures, failure)
SELECT gen_random_uuid()::text, 'account-' || i % 1000, 1, 1,
	substring(sha512(i::text::bytea) FOR 38), n.at, 86400000000000, n.at, '201',
	substring(sha512(i::text::bytea) FOR 35), n.at - 86400000000000, n.at - 86400000000000, 0, 0, ''
FROM generate_series(1, $1::bigint) AS i,
	LATERAL (SELECT (extract(epoch FROM now()) * 1000)::bigint * 1000000 - i * 1000 AS at) AS n`

// rotate does to a card what a rotation does, in sizes.
func rotate(tx *store.Tx) error {
	c := &tx.Card
	c.Version++
	c.Events++
	c.State = append([]byte{}, c.State...)
	c.State[c.Version%38]++
	c.Next = c.Next.Add(c.Interval)
	c.Due = c.Next
	c.PreviousCode, c.PreviousSealed, c.PreviousUntil = c.ServiceCode, c.Sealed, tx.Now
	c.ServiceCode = servicecode.MustParse("221")
	c.Sealed = append([]byte{}, c.Sealed...)
	c.Sealed[c.Version%35]++
	c.Rotated = tx.Now
	tx.Event = &store.Event{Card: c.ID, Number: c.Events, At: tx.Now, Payload: make([]byte, 635)}
	tx.Write = true
	return nil
}

// fixture is a server with cards that are due.
type fixture struct {
	*testing.B
	url   string
	pool  *pgxpool.Pool
	store *postgres.Store
}

func newFixture(b *testing.B) *fixture {
	b.Helper()
	server := pgtest.New(b, "fsync=on", "synchronous_commit=on", "shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=1h")
	f := &fixture{B: b, url: server.Database(b)}
	f.must(postgres.Migrate(b.Context(), f.url))
	var err error
	f.pool, err = pgxpool.New(b.Context(), f.url+fmt.Sprintf("&pool_max_conns=%d", *jobs+10))
	f.must(err)
	b.Cleanup(f.pool.Close)
	f.store, err = postgres.Open(b.Context(), postgres.Options{URL: f.url, Conns: *jobs})
	f.must(err)
	b.Cleanup(func() { f.store.Close() })
	_, err = f.pool.Exec(b.Context(), dueSQL, *cards)
	f.must(err)
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// check reports the rate, if every card was rotated once.
func (f *fixture) check() {
	f.Helper()
	f.ReportMetric(float64(*cards)/f.Elapsed().Seconds(), "rotations/s")
	var rotated, events int
	f.must(f.pool.QueryRow(f.Context(), "SELECT (SELECT count(*) FROM cards WHERE version = 2), (SELECT count(*) FROM outbox)").Scan(&rotated, &events))
	if rotated != *cards || events != *cards {
		f.Fatalf("%d cards rotated with %d events, want %d", rotated, events, *cards)
	}
}

// BenchmarkClaims is the store.
func BenchmarkClaims(b *testing.B) {
	f := newFixture(b)
	b.ResetTimer()
	var done atomic.Int64
	var wg sync.WaitGroup
	for range *workers {
		wg.Go(func() {
			for done.Load() < int64(*cards) {
				n, err := f.store.Claim(b.Context(), 1000, rotate)
				if err != nil {
					b.Error(err)
					return
				}
				done.Add(int64(n))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	f.check()
}

// BenchmarkRiver is the queue with the same work in its jobs: as one
// transaction with the job's completion, and beside it, where the queue
// completes jobs by batches.
func BenchmarkRiver(b *testing.B) {
	b.Run("transaction", func(b *testing.B) {
		f := newFixture(b)
		f.river(func(ctx context.Context, job *river.Job[card]) error { return f.inTransaction(ctx, job) })
	})
	b.Run("beside", func(b *testing.B) {
		f := newFixture(b)
		f.river(func(ctx context.Context, job *river.Job[card]) error {
			return f.store.Update(ctx, job.Args.Card, "", rotate)
		})
	})
}

// card is a job's arguments.
type card struct {
	Card string `json:"card"`
}

// Kind implements river.JobArgs.
func (card) Kind() string { return "rotate" }

type worker struct {
	river.WorkerDefaults[card]
	work func(context.Context, *river.Job[card]) error
	done *sync.WaitGroup
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[card]) error {
	err := w.work(ctx, job)
	if err == nil {
		w.done.Done()
	}
	return err
}

func (f *fixture) river(work func(context.Context, *river.Job[card]) error) {
	driver := riverpgxv5.New(f.pool)
	migrator, err := rivermigrate.New(driver, nil)
	f.must(err)
	_, err = migrator.Migrate(f.Context(), rivermigrate.DirectionUp, nil)
	f.must(err)
	var done sync.WaitGroup
	done.Add(*cards)
	all := river.NewWorkers()
	river.AddWorker(all, &worker{work: work, done: &done})
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: *jobs}},
		Workers:           all,
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: 10 * time.Millisecond,
	})
	f.must(err)
	rows, err := f.pool.Query(f.Context(), "SELECT id FROM cards ORDER BY due")
	f.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	f.must(err)
	for len(ids) > 0 {
		n := min(len(ids), 5000)
		var batch []river.InsertManyParams
		for _, id := range ids[:n] {
			batch = append(batch, river.InsertManyParams{Args: card{id}})
		}
		_, err := client.InsertManyFast(f.Context(), batch)
		f.must(err)
		ids = ids[n:]
	}
	_, err = f.pool.Exec(f.Context(), "VACUUM ANALYZE")
	f.must(err)
	f.ResetTimer()
	f.must(client.Start(f.Context()))
	done.Wait()
	f.must(client.Stop(f.Context())) // completes what is left
	f.StopTimer()
	f.check()
}

// inTransaction rotates a card and completes its job, all or nothing.
func (f *fixture) inTransaction(ctx context.Context, job *river.Job[card]) error {
	return pgx.BeginFunc(ctx, f.pool, func(db pgx.Tx) error {
		tx := store.Tx{Card: store.Card{ID: job.Args.Card}}
		c := &tx.Card
		var next, interval, now int64
		if err := db.QueryRow(ctx, `SELECT version, events, state, next, interval, sealed, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000
			FROM cards WHERE id = $1 FOR UPDATE`, c.ID).Scan(&c.Version, &c.Events, &c.State, &next, &interval, &c.Sealed, &now); err != nil {
			return err
		}
		tx.Now, c.Next, c.Interval = time.Unix(0, now), time.Unix(0, next), time.Duration(interval)
		if err := rotate(&tx); err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(`UPDATE cards SET version = $2, events = $3, state = $4, next = $5, due = $5, service_code = $6, sealed = $7,
			previous_code = service_code, previous_sealed = sealed, previous_until = $8, rotated = $8 WHERE id = $1`,
			c.ID, c.Version, c.Events, c.State, c.Next.UnixNano(), c.ServiceCode.String(), c.Sealed, now)
		b.Queue("INSERT INTO outbox (card, number, at, payload) VALUES ($1, $2, $3, $4)", c.ID, tx.Event.Number, now, tx.Event.Payload)
		if err := db.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, db, job)
		return err
	})
}
