package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// tries is how often an update is tried at most, where trying again is safe:
// when another one made the card first, when the database took this one back,
// and when the connection broke before the commit was sent.
const tries = 6

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	for try := 1; ; try++ {
		err := s.update(ctx, id, key, fn)
		var no *refused
		if errors.As(err, &no) {
			return no.err
		}
		if err == nil {
			return nil
		}
		if try == tries || !again(err) || !s.wait(ctx, try) {
			return failed("update", err)
		}
	}
}

// wait waits a little before the next try, and returns false where there is
// none, since ctx has ended.
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

// locked is a card under its lock.
type locked struct {
	tx     store.Change
	before store.Card // as stored, with bytes of its own
	tid    [6]byte    // where its row is, which stays there while it is locked
	exists bool
	kept   bool // an answer is stored under the key, expired or not
}

// read makes l of a row whose values are ctid and the columns.
func (l *locked) read(values [][]byte) {
	copy(l.tid[:], values[0])
	readCard(&l.before, values[1:])
	readCard(&l.tx.Card, values[1:])
	l.exists = true
}

// lockSQL begins every statement that locks cards. Time is read by a statement
// after it: a clock read in the same one could be read before the lock is held.
const lockSQL = "SELECT ctid, "

func (s *Store) update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	conn, err := s.front.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release(ctx, conn)
	l := locked{tx: store.Change{Card: store.Card{ID: id}}}
	var prior *store.Answer
	var now int64
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(lockSQL+columnNames+" FROM cards WHERE id = $1 FOR UPDATE", id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l.read(rows.RawValues())
		}
		return rows.Err()
	})
	if key != "" {
		b.Queue("SELECT request, body, expires FROM answers WHERE card = $1 AND key = $2", id, key).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				values := rows.RawValues()
				prior = &store.Answer{Body: append([]byte{}, values[1]...), Expires: instantOf(values[2])}
				copy(prior.Request[:], values[0])
			}
			return rows.Err()
		})
	}
	b.Queue("SELECT " + clockSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	l.tx.Now = s.at(now)
	l.kept = prior != nil
	if prior != nil && prior.Expires.After(l.tx.Now) {
		l.tx.Prior = prior
	}
	if err := fn(&l.tx); err != nil {
		return &refused{err}
	}
	if l.tx.Answer != nil && key == "" {
		l.tx.Answer = nil
	}
	if err := s.commit(ctx, conn, []*locked{&l}, id, key); err != nil {
		return err
	}
	s.cursor.written(&l)
	return nil
}
