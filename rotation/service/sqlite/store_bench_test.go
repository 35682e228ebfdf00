package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// fleet and batch count cards, the rest are sizes in bytes of what the engine writes.
const (
	fleet   = 100_000
	batch   = 1000
	state   = 38
	sealed  = 35
	payload = 635
)

// filled returns a store with a fleet whose slots are spread over a day in random
// order, and which is overdue for a century.
func filled(b *testing.B, path string) *Store {
	clk := clock.NewMock()
	clk.Set(time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC))
	s := mustOpen(b, path, clk)
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	must.Do(b, s.submit(s.others, newRequest(b.Context(), nil, func(c *conn, _ *request) error {
		for i := range fleet {
			slot := day.Add(rand.N(24 * time.Hour))
			l := loadedCard{id: cardID(i), change: store.Change{Write: true, Card: store.Card{
				Account: "account-00001234", Version: 1, Events: 1, State: make([]byte, state),
				Next: slot, Due: slot, Interval: 24 * time.Hour,
				ServiceCode: servicecode.MustParse("201"), Sealed: make([]byte, sealed), PreviousSealed: make([]byte, sealed),
				Created: day, Rotated: day,
			}}}
			if err := l.save(c); err != nil {
				return err
			}
		}
		return nil
	})))
	return s
}

func cardID(i int) string { return fmt.Sprintf("0191e7c5-7d3a-7b21-9e0f-%012x", i) }

// rotate changes a card like a rotation, with values of the same size.
func rotate(change *store.Change) error {
	c := &change.Card
	c.Version++
	c.Events++
	c.State = make([]byte, state)
	c.PreviousCode, c.PreviousSealed = c.ServiceCode, c.Sealed
	c.Sealed = make([]byte, sealed)
	c.Rotated = c.Next
	c.Next = c.Next.Add(c.Interval)
	c.Due = c.Next
	change.Write = true
	change.Event = &store.Event{Card: c.ID, Number: c.Events, At: c.Rotated, Payload: make([]byte, payload)}
	return nil
}

func report(b *testing.B, rotations int) {
	b.ReportMetric(float64(rotations)/b.Elapsed().Seconds(), "rotations/s")
}

// BenchmarkDue rotates a backlog: in claims, and as a baseline in one large statement
// each for cards and events, without decisions.
func BenchmarkDue(b *testing.B) {
	b.Run("claims", func(b *testing.B) {
		s := filled(b, filepath.Join(b.TempDir(), "cards.db"))
		b.ReportAllocs()
		done := 0
		for b.Loop() {
			n := must.Get(s.Claim(b.Context(), batch, rotate))(b)
			done += n
		}
		report(b, done)
	})
	b.Run("baseline", func(b *testing.B) {
		s := filled(b, filepath.Join(b.TempDir(), "cards.db"))
		b.ReportAllocs()
		done := 0
		for b.Loop() {
			must.Do(b, s.submit(s.others, newRequest(b.Context(), nil, func(c *conn, _ *request) error {
				return c.script(context.Background(), fmt.Sprintf(`
					INSERT INTO event (card, number, at, status, since, attempts, failure, payload)
						SELECT id, events + 1, next, 0, next, 0, '', zeroblob(%d) FROM card WHERE due <= %[2]d ORDER BY due;
					UPDATE card SET version = version + 1, events = events + 1, state = zeroblob(%[3]d),
						previous_code = service_code, previous_sealed = sealed, sealed = zeroblob(%[4]d),
						rotated = next, next = next + interval, due = next + interval WHERE due <= %[2]d`,
					payload, s.now().UnixNano(), state, sealed))
			})))
			done += fleet
		}
		report(b, done)
	})
}

// BenchmarkUpdate rotates single cards for 1 and 8 callers; the baseline commits each
// in plain database/sql with the same settings.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprintf("store/callers=%d", callers), func(b *testing.B) {
			s := filled(b, filepath.Join(b.TempDir(), "cards.db"))
			oneByOne(b, callers, func(id string) error {
				return s.Update(b.Context(), id, "", rotate)
			})
		})
		b.Run(fmt.Sprintf("baseline/callers=%d", callers), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "cards.db")
			filled(b, path).Close()
			db := must.Get(sql.Open("sqlite", dsn(path, forWriter...)+"&_txlock=immediate"))(b)
			defer db.Close()
			db.SetMaxOpenConns(1) // more would make them fail or sleep
			selects, err1 := db.Prepare(`SELECT events, sealed FROM card WHERE id = ?`)
			updates, err2 := db.Prepare(`UPDATE card SET version = version + 1, events = events + 1, state = ?,
				previous_code = service_code, previous_sealed = ?, sealed = ?,
				rotated = next, next = next + interval, due = next + interval WHERE id = ?`)
			inserts, err3 := db.Prepare(insertEvent)
			if err1 != nil || err2 != nil || err3 != nil {
				b.Fatal(err1, err2, err3)
			}
			oneByOne(b, callers, func(id string) error {
				tx, err := db.Begin()
				if err != nil {
					return err
				}
				defer tx.Rollback()
				var events int64
				var before []byte
				if err := tx.Stmt(selects).QueryRow(id).Scan(&events, &before); err != nil {
					return err
				}
				if _, err := tx.Stmt(updates).Exec(make([]byte, state), before, make([]byte, sealed), id); err != nil {
					return err
				}
				if _, err := tx.Stmt(inserts).Exec(id, events+1, int64(1), int64(1), make([]byte, payload)); err != nil {
					return err
				}
				return tx.Commit()
			})
		})
	}
}

// oneByOne lets callers rotate random cards.
func oneByOne(b *testing.B, callers int, rotate func(id string) error) {
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	errs := make(chan error, callers)
	for range callers {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = rotate(cardID(rand.IntN(fleet)))
			}
			errs <- err
		}()
	}
	for range callers {
		must.Do(b, <-errs)
	}
	report(b, b.N)
}

// BenchmarkListCardEvents lists the newest 20 events of a card, with few and with many
// events waiting among those of the fleet.
func BenchmarkListCardEvents(b *testing.B) {
	for _, waiting := range []int{100, fleet} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			s := filled(b, filepath.Join(b.TempDir(), "cards.db"))
			must.Do(b, s.submit(s.others, newRequest(b.Context(), nil, func(c *conn, _ *request) error {
				return c.script(context.Background(), fmt.Sprintf(`
					INSERT INTO event (card, number, at, status, since, attempts, failure, payload)
						SELECT card.id, k.value, 1, 1, 1, 0, '', zeroblob(%[1]d) FROM json_each('[1,2,3,4,5,6,7]') AS k, card ORDER BY k.value, due;
					INSERT INTO event (card, number, at, status, since, attempts, failure, payload)
						SELECT id, 8, 1, 0, 1, 0, '', zeroblob(%[1]d) FROM card ORDER BY due LIMIT %[2]d`, payload, waiting))
			})))
			for b.Loop() {
				if events := must.Get(s.ListCardEvents(b.Context(), cardID(77), 10, 20))(b); len(events) < 7 {
					b.Fatalf("%d events", len(events))
				}
			}
		})
	}
}
