package owntable_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/examples/owntable"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/rotation/timers/timerstest"
	"cvvrotation/sim/must"
)

// TestService_RotatesOnTimersAcrossARestart: three days of a card that rotates at
// 3 PM, forced once at 9 AM, with the service down from 11 AM of the third day until
// the day after at 10 AM.
func TestService_RotatesOnTimersAcrossARestart(t *testing.T) {
	ctx := t.Context()
	db := must.Get(pgxpool.New(ctx, pgtest.Start(t)))(t)
	defer db.Close()
	must.Get(db.Exec(ctx, owntable.Schema))(t)
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 123456789, time.UTC))

	open := func() (*owntable.Service, func()) {
		s := must.Get(owntable.Open(ctx, db, clk, keys))(t)
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(running) }()
		return s, func() { stop(); must.Do(t, <-ended) }
	}
	s, stop := open()
	must.Do(t, s.Add(ctx, "card-1", 24*time.Hour))
	if s.Add(ctx, "card-1", time.Hour) == nil {
		t.Error("a card was added twice")
	}
	timerstest.Advance(clk, 42*time.Hour) // 3 PM, then 9 AM
	must.Do(t, s.Force(ctx, "card-1"))
	must.Do(t, s.Force(ctx, "card-1"))
	timerstest.Advance(clk, 26*time.Hour)
	stop()
	clk.Set(clk.Now().Add(23 * time.Hour))
	s, stop = open()
	timerstest.Advance(clk, time.Second)
	stop()
	if s.Force(ctx, "card-2") == nil {
		t.Error("an unknown card was rotated")
	}

	want := `2026-11-22T15:00:00.123456789Z set_interval interval=24h | R8 interval_set
2026-11-23T15:00:00.123456789Z auto slot=2026-11-23T15:00:00.123456789Z | R5 scheduled
2026-11-24T09:00:00.123456789Z forced | R3 scheduled
2026-11-24T09:00:00.123456789Z forced | R2 guard, scenario 3
2026-11-25T09:00:00.123456789Z auto slot=2026-11-25T09:00:00.123456789Z | R5 scheduled
2026-11-26T10:00:00.123456789Z auto slot=2026-11-26T09:00:00.123456789Z | R5 scheduled`
	rows, err := db.Query(ctx, "SELECT event || ' | ' || decision FROM events ORDER BY number")
	if got := strings.Join(must.Get(pgx.CollectRows(rows, pgx.RowTo[string]))(t), "\n"); err != nil || got != want {
		t.Errorf("events\n%s\nwant\n%s", got, want)
	}
}
