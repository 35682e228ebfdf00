package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// maxTries is the maximum number of attempts of an update. It is repeated where that
// is safe: another update inserted the card first, the database aborted the
// transaction, or the connection broke before the commit was sent.
const maxTries = 6

// Update implements store.Cards.
func (s *Store) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	for try := 1; ; try++ {
		err := s.update(ctx, id, key, fn)
		var no *callerError
		if errors.As(err, &no) {
			return no.err
		}
		if err == nil {
			return nil
		}
		s.leave(err)
		if try == maxTries || !retryable(err) || !s.wait(ctx, try) {
			return wrapError("update", err)
		}
	}
}

// wait waits a random time before the next attempt. It returns false if ctx has
// ended.
func (s *Store) wait(ctx context.Context, try int) bool {
	timer := s.timer.Timer(rand.N(5 * time.Millisecond << try))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// lockedRow is a card under its lock.
type lockedRow struct {
	change store.Change
	before store.Card // as stored; shares no memory with change.Card
	tid    [6]byte    // place of the row, which is fixed while it is locked
	exists bool
}

// read decodes a row of ctid and columns.
func (l *lockedRow) read(values [][]byte) {
	copy(l.tid[:], values[0])
	readCard(&l.before, values[1:])
	readCard(&l.change.Card, values[1:])
	l.exists = true
}

// lockSQL is the beginning of every statement that locks cards. The clock is read by
// a later statement: the same one could read it before it holds the lock.
const lockSQL = "SELECT ctid, "

func (s *Store) update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	conn, err := s.foreground.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release(ctx, conn)
	defer s.bound(conn)()
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	l, err := s.lock(ctx, b, id, key, func(ctx context.Context, b *pgx.Batch) error { return conn.SendBatch(ctx, b).Close() })
	if err != nil {
		return err
	}
	if err := fn(&l.change); err != nil {
		return &callerError{err}
	}
	if l.change.Fingerprints != nil {
		if err := s.putFingerprints(ctx, l, id, func(ctx context.Context, b *pgx.Batch) error { return conn.SendBatch(ctx, b).Close() }); err != nil {
			return err
		}
	}
	if err := s.commit(ctx, conn, []*lockedRow{l}, id, key); err != nil {
		return err
	}
	s.cursor.written(l)
	return nil
}

// lock sends the batch, together with the statements that lock and read the card and
// then read the clock.
func (s *Store) lock(ctx context.Context, b *pgx.Batch, id, key string, send func(context.Context, *pgx.Batch) error) (*lockedRow, error) {
	l := &lockedRow{change: store.Change{Card: store.Card{ID: id}}}
	var prior *store.Answer
	var now int64
	b.Queue(lockSQL+columnNames+" FROM "+s.schema+"cards WHERE id = $1 FOR UPDATE", id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l.read(rows.RawValues())
		}
		return rows.Err()
	})
	if key != "" {
		b.Queue("SELECT request, body, expires FROM "+s.schema+"answers WHERE card = $1 AND key = $2", id, key).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				values := rows.RawValues()
				prior = &store.Answer{Body: append([]byte{}, values[1]...), Expires: instantOf(values[2])}
				copy(prior.Request[:], values[0])
			}
			return rows.Err()
		})
	}
	b.Queue("SELECT " + clockSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if err := send(ctx, b); err != nil {
		return nil, err
	}
	l.change.Now = s.at(now)
	if prior != nil && prior.Expires.After(l.change.Now) {
		l.change.Prior = prior
	}
	return l, nil
}
