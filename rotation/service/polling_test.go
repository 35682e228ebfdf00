package service_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite"

	"cvvrotation/rotation"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// A service's own table finds due cards by a column that may be less precise than the
// nanoseconds of State.Next. Due takes the slot from the state, so the service rotates
// each slot once.

// column is a service's own table: states, and the column by which it polls.
type column interface {
	put(t *testing.T, card int, next time.Time) // the zero time is none
	due(t *testing.T, now time.Time) []int
}

// rounding is how a column rounds an instant.
type rounding struct {
	precision time.Duration
	round     bool // to the nearest; otherwise it truncates
}

func (r rounding) String() string {
	if r.round {
		return fmt.Sprintf("%v rounded", r.precision)
	}
	return fmt.Sprintf("%v truncated", r.precision)
}

func (r rounding) apply(next time.Time) time.Time {
	if r.round {
		return next.Round(r.precision)
	}
	return next.Truncate(r.precision)
}

func TestPolling_ColumnOfAnyPrecision(t *testing.T) {
	for name, open := range map[string]func(*testing.T, rounding) column{
		"memory": openMemory, "SQLite": openSQLite, "PostgreSQL": openPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []rounding{
				{time.Nanosecond, false},
				{time.Microsecond, false}, {time.Microsecond, true},
				{time.Millisecond, false}, {time.Millisecond, true},
				{time.Second, false}, {time.Second, true},
			} {
				t.Run(r.String(), func(t *testing.T) { pollForAMonth(t, r, open(t, r)) })
			}
		})
	}
}

// pollForAMonth runs 30 days of random events on 12 cards, and finds due ones by the
// column.
func pollForAMonth(t *testing.T, r rounding, table column) {
	const cards = 12
	var rules rotation.Rules
	random := rand.New(rand.NewPCG(8, uint64(r.precision)))
	start := time.Date(2026, 11, 22, 15, 0, 0, 123_456_789, time.UTC)
	states := make([]rotation.State, cards)
	served := make([]map[time.Time]bool, cards)
	automatic := 0
	apply := func(card int, e rotation.Event) rotation.Decision {
		after, d, err := rules.Decide(states[card], e)
		must.Do(t, err)
		states[card] = after
		next, _ := after.Next()
		table.put(t, card, next)
		return d
	}
	for card := range cards {
		served[card] = make(map[time.Time]bool)
		apply(card, rotation.SetInterval(start.Add(time.Duration(random.Int64N(int64(time.Hour)))), time.Hour*time.Duration(1+random.IntN(24))))
	}
	for now := start.Add(time.Hour); now.Before(start.AddDate(0, 0, 30)); now = now.Add(1 + time.Duration(random.Int64N(int64(3*time.Hour)))) {
		if random.IntN(2) == 0 { // poll at a slot, or just before or after it
			card := random.IntN(cards)
			if next, on := states[card].Next(); on && next.After(now) {
				now = next.Add(time.Duration(random.IntN(3)-1) * r.precision / 2)
			}
		}
		for _, card := range table.due(t, now) {
			e, due := states[card].Due(now)
			if !due {
				continue // the column has rounded down
			}
			slot, _ := e.Slot()
			if served[card][slot] {
				t.Fatalf("slot %v served twice", slot)
			}
			served[card][slot] = true
			missed := int64(now.Sub(slot) / states[card].Interval())
			d := apply(card, e)
			if !d.Rotate() || d.Missed != missed {
				t.Fatalf("%v for a due card, %d slots late", d, missed)
			}
			automatic++
		}
		for card, s := range states {
			if next, on := s.Next(); on && !next.After(now) && !r.apply(next).After(now) {
				t.Fatalf("card %d is overdue after the poll at %v: next %v", card, now, next)
			}
		}
		switch card := random.IntN(cards); random.IntN(8) {
		case 0:
			apply(card, rotation.Forced(now))
		case 1:
			apply(card, rotation.SetInterval(now, 3*time.Minute+time.Duration(random.Int64N(int64(24*time.Hour)))))
		case 2:
			apply(card, rotation.Disable(now))
		}
	}
	if automatic < 200 {
		t.Errorf("%d automatic rotations in 30 days are too few to prove anything", automatic)
	}
}

type memoryColumn struct {
	rounding
	next map[int]time.Time
}

func openMemory(_ *testing.T, r rounding) column { return &memoryColumn{r, make(map[int]time.Time)} }

func (m *memoryColumn) put(_ *testing.T, card int, next time.Time) {
	if delete(m.next, card); !next.IsZero() {
		m.next[card] = m.apply(next)
	}
}

func (m *memoryColumn) due(_ *testing.T, now time.Time) (due []int) {
	for card, next := range m.next {
		if !next.After(now) {
			due = append(due, card)
		}
	}
	slices.Sort(due)
	return due
}

// sqliteColumn stores the instant as a number of units since 1970.
type sqliteColumn struct {
	rounding
	db *sql.DB
}

func openSQLite(t *testing.T, r rounding) column {
	db := must.Get(sql.Open("sqlite", filepath.Join(t.TempDir(), "cards.db")+"?_pragma=synchronous(off)"))(t)
	t.Cleanup(func() { db.Close() })
	must.Get(db.Exec("CREATE TABLE card (id INTEGER PRIMARY KEY, next_at INTEGER)"))(t)
	return &sqliteColumn{r, db}
}

func (s *sqliteColumn) put(t *testing.T, card int, next time.Time) {
	var units any
	if !next.IsZero() {
		units = s.apply(next).UnixNano() / int64(s.precision)
	}
	must.Get(s.db.Exec("INSERT OR REPLACE INTO card VALUES (?, ?)", card, units))(t)
}

func (s *sqliteColumn) due(t *testing.T, now time.Time) (due []int) {
	rows := must.Get(s.db.Query("SELECT id FROM card WHERE next_at <= ? ORDER BY id", now.UnixNano()/int64(s.precision)))(t)
	defer rows.Close()
	for rows.Next() {
		var card int
		must.Do(t, rows.Scan(&card))
		due = append(due, card)
	}
	must.Do(t, rows.Err())
	return due
}

// postgresColumn is a timestamptz, which the server rounds to its precision, or a bigint
// for nanoseconds.
type postgresColumn struct {
	rounding
	conn *pgx.Conn
}

func openPostgres(t *testing.T, r rounding) column {
	ctx := context.Background()
	conn := must.Get(pgx.Connect(ctx, pgtest.Start(t)))(t)
	t.Cleanup(func() { conn.Close(ctx) })
	kind := map[time.Duration]string{
		time.Nanosecond: "bigint", time.Microsecond: "timestamptz", time.Millisecond: "timestamptz(3)", time.Second: "timestamptz(0)",
	}[r.precision]
	must.Get(conn.Exec(ctx, "CREATE TABLE card (id int PRIMARY KEY, next_at "+kind+")"))(t)
	return &postgresColumn{r, conn}
}

// stored returns the instant as the client sends it: as text with all digits, so that
// the server rounds, unless the client truncates.
func (p *postgresColumn) stored(next time.Time) any {
	switch {
	case p.precision == time.Nanosecond:
		return next.UnixNano()
	case !p.round:
		next = next.Truncate(p.precision)
	}
	return next.Format(time.RFC3339Nano)
}

func (p *postgresColumn) cast() string {
	if p.precision == time.Nanosecond {
		return "$1::bigint"
	}
	return "$1::text::timestamptz"
}

func (p *postgresColumn) put(t *testing.T, card int, next time.Time) {
	var at any
	if !next.IsZero() {
		at = p.stored(next)
	}
	must.Get(p.conn.Exec(context.Background(),
		"INSERT INTO card (next_at, id) VALUES ("+p.cast()+", $2) ON CONFLICT (id) DO UPDATE SET next_at = excluded.next_at", at, card))(t)
}

func (p *postgresColumn) due(t *testing.T, now time.Time) []int {
	at := any(now.Truncate(time.Microsecond).Format(time.RFC3339Nano))
	if p.precision == time.Nanosecond {
		at = now.UnixNano()
	}
	rows := must.Get(p.conn.Query(context.Background(), "SELECT id FROM card WHERE next_at <= "+p.cast()+" ORDER BY id", at))(t)
	return must.Get(pgx.CollectRows(rows, pgx.RowTo[int]))(t)
}
