package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// Claim implements store.Cards. Under a backlog it starts where the previous claim
// ended; see claimCursor.
func (s *Store) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
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
			s.leave(err)
			s.cursor.reset()
			return 0, wrapError("claim", err)
		}
		if n > 0 || from == everything {
			return n, nil
		}
		s.cursor.reset() // and scan once more, from the beginning
	}
}

// claimSQL returns the statement that locks up to limit due cards. The lock is
// between the scan and the LIMIT, so the limit is exact. An UPDATE with
// IN (SELECT … LIMIT) could lock more.
func claimSQL(limit int) string {
	return lockSQL + columnNames + " FROM cards WHERE due >= $1 AND due <= coalesce($2, " + beganSQL +
		") ORDER BY due LIMIT " + strconv.Itoa(limit) + " FOR UPDATE SKIP LOCKED"
}

func (s *Store) claim(ctx context.Context, from int64, limit int, fn func(*store.Change) error) (int, error) {
	conn, err := s.background.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer release(ctx, conn)
	defer s.bound(conn)()
	committed := false
	defer func() {
		if !committed { // also after a panic of fn
			s.cursor.reset()
		}
	}()
	var found []*lockedRow
	var now int64
	began := s.timer.Now()
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(claimSQL(limit), from, s.given()).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l := &lockedRow{}
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
		l.change.Now, l.change.Slot = at, l.before.Next
		if fn(&l.change) != nil {
			l.change.Write, l.change.Event = false, nil
		}
	}
	if err := s.commit(ctx, conn, found, "", ""); err != nil {
		return 0, err
	}
	committed = true
	s.cursor.written(found...)
	return len(found), nil
}
