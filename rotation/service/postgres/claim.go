package postgres

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// Claim implements store.Store. Under a backlog it goes on from where the claim
// before it ended; see cursor.
func (s *Store) Claim(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	if limit <= 0 {
		return 0, ctx.Err()
	}
	for {
		from := s.cursor.from(s.timer.Now())
		n, err := s.claim(ctx, from, limit, fn)
		if err != nil {
			s.cursor.reset()
			return 0, failed("claim", err)
		}
		if n > 0 || from == everything {
			return n, nil
		}
		s.cursor.reset() // and look once more, from the beginning
	}
}

// claimSQL locks up to limit cards that are due. The lock is taken above what is
// found and below the LIMIT, so there are exactly as many as asked for; in a
// subquery of an UPDATE, IN (SELECT … LIMIT), there could be more.
func claimSQL(limit int) string {
	return lockSQL + columnNames + " FROM cards WHERE due >= $1 AND due <= coalesce($2, " + beganSQL +
		") ORDER BY due LIMIT " + strconv.Itoa(limit) + " FOR UPDATE SKIP LOCKED"
}

func (s *Store) claim(ctx context.Context, from int64, limit int, fn func(*store.Tx) error) (int, error) {
	conn, err := s.back.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer release(ctx, conn)
	committed := false
	defer func() {
		if !committed { // a panic of fn, too
			s.cursor.reset()
		}
	}()
	var found []*locked
	var now int64
	began := s.timer.Now()
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(claimSQL(limit), from, s.given()).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l := &locked{}
			l.read(rows.RawValues())
			found = append(found, l)
		}
		return rows.Err()
	})
	b.Queue("SELECT " + clockSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return 0, err
	}
	last := int64(everything)
	if len(found) == limit {
		last = found[limit-1].before.Due.UnixNano()
	}
	ended := s.timer.Now()
	s.cursor.found(from, last, ended, ended.Sub(began))
	if len(found) == 0 {
		committed = true
		return 0, nil
	}
	at := s.at(now)
	for _, l := range found {
		l.tx.Now, l.tx.Slot = at, l.before.Next
		if fn(&l.tx) != nil {
			l.tx.Write, l.tx.Event = false, nil
		}
		l.tx.Answer = nil
	}
	if err := s.commit(ctx, conn, found, "", ""); err != nil {
		return 0, err
	}
	committed = true
	s.cursor.written(found...)
	return len(found), nil
}

// everything is a cursor from which all cards are found.
const everything = math.MinInt64

// cursor is the Due from which claims look for cards. A rotation leaves a dead
// entry in the index on Due until vacuum removes it, and while a snapshot is
// held anywhere, vacuum can't: then each claim would wade through the entries
// of all claims before it. So a claim starts where the last one ended.
//
// Cards can be left below it: locked while claims went past, put there by
// another process, taken back with a claim that failed. What this store knows
// of takes the cursor back. For the rest a claim looks from the beginning
// whenever one finds fewer cards than asked for, and under a lasting backlog
// every second, or less often where that takes more than a twentieth of the
// time. So the cursor delays a card and never loses it.
type cursor struct {
	mu    sync.Mutex
	set   bool
	low   int64
	sweep time.Time // when to look from the beginning
}

// The time from one sweep to the next is sweepEvery, and at least sweepShare
// times what the sweep took.
const (
	sweepEvery = time.Second
	sweepShare = 20
)

// from returns where a claim looks from.
func (c *cursor) from(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set || !now.Before(c.sweep) {
		return everything
	}
	return c.low
}

// reset makes the next claim look from the beginning.
func (c *cursor) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = false
}

// found moves the cursor to the last card that a claim found, everything where
// there was none beyond. Looking took so long.
func (c *cursor) found(from, last int64, now time.Time, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from == everything {
		c.sweep = now.Add(max(sweepEvery, sweepShare*took))
		c.set, c.low = last != everything, last
		return
	}
	if last == everything {
		c.set = false
	} else if c.set {
		c.low = max(c.low, last)
	}
}

// written takes the cursor back to cards that are due before it.
func (c *cursor) written(cards ...*locked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range cards {
		due := l.before.Due
		if l.tx.Write {
			due = l.tx.Card.Due
		}
		if !due.IsZero() {
			c.low = min(c.low, due.UnixNano())
		}
	}
}
