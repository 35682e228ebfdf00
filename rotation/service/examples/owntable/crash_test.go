package owntable_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/examples/owntable"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/check/checktest"
	"cvvrotation/sim/must"
)

// tracer calls crash around each statement.
type tracer struct {
	crash func(where string, disconnect func())
}

func (t tracer) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	t.crash("before "+d.SQL, func() { c.PgConn().Conn().Close() })
	return ctx
}

func (t tracer) TraceQueryEnd(_ context.Context, c *pgx.Conn, d pgx.TraceQueryEndData) {
	t.crash("after "+d.CommandTag.String(), func() { c.PgConn().Conn().Close() })
}

// A forced call stores the new state, CVV and event together or not at all, wherever
// its process dies.
func TestForce_SurvivesCrashes(t *testing.T) {
	checktest.Crash(t, func(t *testing.T, crash func(where string, disconnect func())) checktest.Operation {
		ctx := t.Context()
		url := pgtest.Start(t)
		config := must.Get(pgxpool.ParseConfig(url))(t)
		config.ConnConfig.Tracer = tracer{crash}
		db := must.Get(pgxpool.NewWithConfig(ctx, config))(t)
		t.Cleanup(db.Close)
		must.Get(db.Exec(ctx, owntable.Schema))(t)
		clk := clock.NewMock()
		clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
		keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
		s := must.Get(owntable.Open(ctx, db, clk, keys))(t)
		must.Do(t, s.Add(ctx, "card-1", 24*time.Hour))

		after := must.Get(pgx.Connect(ctx, url))(t) // a new process
		t.Cleanup(func() { after.Close(context.Background()) })
		var first []byte
		must.Do(t, after.QueryRow(ctx, "SELECT cvv FROM cards").Scan(&first))
		answered := 0
		return checktest.Operation{
			Do: func() error {
				err := s.Force(ctx, "card-1")
				if err == nil {
					answered++
				}
				return err
			},
			Found: func() (e checktest.Effects) {
				e.Acted = answered
				const found = `SELECT count(*) FILTER (WHERE state LIKE '% guard=forced@%' AND cvv <> $1),
					(SELECT count(*) FROM events WHERE event LIKE '% forced') FROM cards`
				must.Do(t, after.QueryRow(ctx, found, first).Scan(&e.Rotations, &e.Events))
				return e
			},
		}
	})
}
