package postgres

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// enrol inserts due cards with different slots, and with schedules and sealed CVVs
// that the engine can read, in this order of the table.
func enrol(b *testing.B, conn *pgx.Conn, cards int, order string, random *cvvgen.Random, keys *seal.Keyring) {
	b.Helper()
	for _, sql := range []string{"TRUNCATE cards, outbox, settled", "DROP TABLE IF EXISTS enrolled", "CREATE UNLOGGED TABLE enrolled (n bigint, state bytea, sealed bytea, slot bigint)"} {
		must.Get(conn.Exec(b.Context(), sql))(b)
	}
	generator := engine.Random(random, keys)
	begin := time.Now().Add(-25 * time.Hour).UTC()
	n := 0
	rows := pgx.CopyFromFunc(func() ([]any, error) {
		if n == cards {
			return nil, nil
		}
		n++
		state, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(begin.Add(time.Duration(n)*time.Microsecond), 24*time.Hour))
		if err != nil {
			return nil, err
		}
		card := store.Card{ID: fmt.Sprintf("%x", md5.Sum(strconv.AppendInt(nil, int64(n), 10))), Version: 1}
		if err := generator.Draw(b.Context(), &card, servicecode.MustParse("201"), nil); err != nil {
			return nil, err
		}
		stored, _ := state.AppendBinary(nil)
		slot, _ := state.Next()
		return []any{int64(n), stored, card.Sealed, slot.UnixNano()}, nil
	})
	must.Get(conn.CopyFrom(b.Context(), pgx.Identifier{"enrolled"}, []string{"n", "state", "sealed", "slot"}, rows))(b)
	for _, sql := range []string{`
		INSERT INTO cards (id, account, version, events, state, next, interval, due, service_code, sealed, created, rotated, tries, failures, failure)
		SELECT md5(n::text), 'account-' || n % 1000, 1, 1, state, slot, 86400000000000, slot, '201', sealed, slot, slot, 0, 0, ''
		FROM enrolled ORDER BY ` + order, "DROP TABLE enrolled", "VACUUM ANALYZE cards", "CHECKPOINT"} {
		must.Get(conn.Exec(b.Context(), sql))(b)
	}
}

// BenchmarkBacklogEngine is BenchmarkBacklog with the engine: decisions, random
// CVVs that are not the ones they replace, sealing and events. Compare it with
// the one large update of the same run. Cards lie in the table in the order of
// their slots, as in BenchmarkBacklog, or in none, as after some time of forced
// calls: each claim then touches as many pages as cards.
func BenchmarkBacklogEngine(b *testing.B) {
	server := benchServer(b)
	url := server.Database(b)
	must.Do(b, Migrate(b.Context(), url, Options{}))
	conn := connect(b, url)
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(b)
	random := new(cvvgen.Random)
	for _, heap := range []struct{ name, order string }{{"in-order", "n"}, {"shuffled", "md5(n::text || 'shuffled')"}} {
		b.Run(fmt.Sprintf("%s/cards=%d", heap.name, *benchCards), func(b *testing.B) {
			backlogEngine(b, conn, url, heap.order, random, keys)
		})
	}
}

func backlogEngine(b *testing.B, conn *pgx.Conn, url, order string, random *cvvgen.Random, keys *seal.Keyring) {
	s := open(b, url, Options{})
	e := must.Get(engine.New(s, engine.Random(random, keys), engine.Options{Batch: *benchBatch}))(b)
	for b.Loop() {
		b.StopTimer()
		enrol(b, conn, *benchCards, order, random, keys)
		b.StartTimer()
		var done atomic.Int64
		var workers sync.WaitGroup
		for range *benchWorkers {
			workers.Go(func() {
				for done.Load() < int64(*benchCards) {
					n, err := e.Tick(b.Context())
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
	b.ReportMetric(float64(*benchCards)*float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
	b.StopTimer()
	var cards, events, failing int
	must.Do(b, conn.QueryRow(b.Context(), "SELECT (SELECT count(*) FROM cards WHERE version = 2), (SELECT count(*) FROM outbox), (SELECT count(*) FROM cards WHERE failures > 0)").Scan(&cards, &events, &failing))
	if cards != *benchCards || events != cards || failing != 0 {
		b.Fatalf("%d cards rotated, %d events, %d failing; want %d", cards, events, failing, *benchCards)
	}
}
