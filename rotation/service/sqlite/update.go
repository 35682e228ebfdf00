package sqlite

import (
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

const cardColumns = `id, account, version, events, state, next, interval, due,
	service_code, sealed, previous_code, previous_sealed, previous_until, identity,
	created, rotated, tries, locked, failures, failure`

const (
	selectCard = `SELECT n, ` + cardColumns + ` FROM card WHERE id = ?`
	selectDue  = `SELECT n, ` + cardColumns + ` FROM card WHERE due <= ? ORDER BY due, n LIMIT ?`
	insertCard = `INSERT INTO card (` + cardColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateCard = `UPDATE card SET account = ?, version = ?, events = ?, state = ?, next = ?, interval = ?, due = ?,
		service_code = ?, sealed = ?, previous_code = ?, previous_sealed = ?, previous_until = ?, identity = ?,
		created = ?, rotated = ?, tries = ?, locked = ?, failures = ?, failure = ? WHERE n = ?`

	selectAnswer = `SELECT request, body, expires FROM answer WHERE card = ? AND key = ? AND expires > ?`
	upsertAnswer = `INSERT INTO answer (card, key, request, body, expires) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET request = excluded.request, body = excluded.body, expires = excluded.expires`

	insertEvent = `INSERT INTO event (card, number, at, status, since, attempts, failure, payload)
		VALUES (?, ?, ?, 0, ?, 0, '', ?)`
)

// scanCard reads the columns of a card.
func scanCard(r *row) store.Card {
	return store.Card{
		ID: r.string(), Account: r.string(), Version: r.int(), Events: r.int(),
		State: r.bytes(), Next: r.time(), Interval: time.Duration(r.int()), Due: r.time(),
		ServiceCode: r.code(), Sealed: r.bytes(),
		PreviousCode: r.code(), PreviousSealed: r.bytes(), PreviousUntil: r.time(), Identity: r.bytes(),
		Created: r.time(), Rotated: r.time(),
		Tries: int(r.int()), Locked: r.time(), Failures: int(r.int()), Failure: r.string(),
	}
}

// locked is a card in the writer's transaction.
type locked struct {
	n   int64 // of the card's row; 0: there is none yet
	id  string
	key string // of an update
	tx  store.Tx
	err error // of the caller's function
}

// load reads the card of an update, and the answer under its key.
func (s *Store) load(c *conn, id, key string) (*locked, error) {
	ctx := context.Background()
	l := &locked{id: id, key: key, tx: store.Tx{Now: s.now(), Card: store.Card{ID: id}}}
	if err := c.query(ctx, func(r *row) error {
		l.n, l.tx.Card = r.int(), scanCard(r)
		return nil
	}, selectCard, id); err != nil || key == "" {
		return l, err
	}
	return l, c.query(ctx, func(r *row) error {
		a := &store.Answer{}
		copy(a.Request[:], r.bytes())
		a.Body, a.Expires = r.bytes(), r.time()
		l.tx.Prior = a
		return nil
	}, selectAnswer, id, key, l.tx.Now.UnixNano())
}

// loadDue reads up to limit cards that are due.
func (s *Store) loadDue(c *conn, limit int) (due []*locked, err error) {
	now := s.now()
	err = c.query(context.Background(), func(r *row) error {
		l := &locked{n: r.int(), tx: store.Tx{Now: now, Card: scanCard(r)}}
		l.id, l.tx.Slot = l.tx.Card.ID, l.tx.Card.Next
		due = append(due, l)
		return nil
	}, selectDue, now.UnixNano(), int64(limit))
	return due, err
}

// save stores what the caller's function asked for.
func (l *locked) save(c *conn) error {
	ctx := context.Background()
	if l.tx.Write {
		d := &l.tx.Card
		args := [...]any{
			l.id, d.Account, d.Version, d.Events, blob(d.State), instant(d.Next), int64(d.Interval), instant(d.Due),
			code(d.ServiceCode), blob(d.Sealed),
			code(d.PreviousCode), blob(d.PreviousSealed), instant(d.PreviousUntil), blob(d.Identity),
			instant(d.Created), instant(d.Rotated),
			int64(d.Tries), instant(d.Locked), int64(d.Failures), d.Failure,
			l.n,
		}
		query, values := updateCard, args[1:]
		if l.n == 0 {
			query, values = insertCard, args[:len(args)-1]
		}
		if _, err := c.exec(ctx, query, values...); err != nil {
			return err
		}
	}
	if e := l.tx.Event; e != nil {
		if _, err := c.exec(ctx, insertEvent, e.Card, e.Number, instant(e.At), l.tx.Now.UnixNano(), blob(e.Payload)); err != nil {
			return err
		}
	}
	if a := l.tx.Answer; a != nil && l.key != "" {
		if _, err := c.exec(ctx, upsertAnswer, l.id, l.key, a.Request[:], blob(a.Body), a.Expires.UnixNano()); err != nil {
			return err
		}
	}
	return nil
}

// Update implements store.Store. Updates that come while others are under way
// share a transaction, and its wait for the disk, with those that come next to
// them. If that transaction fails, each is tried again in one of its own, so
// that fn is called again and nobody gets another's error.
func (s *Store) Update(ctx context.Context, id, key string, fn func(*store.Tx) error) error {
	return s.submit(s.updates, newRequest(ctx, fn, func(c *conn, q *request) error {
		l, err := s.load(c, id, key)
		if err != nil || !q.call(l) || l.err != nil {
			q.err = l.err
			return err
		}
		return l.save(c)
	}))
}

// Claim implements store.Store. Each claim has a transaction of its own.
func (s *Store) Claim(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error) {
	n := 0
	err := s.submit(s.others, newRequest(ctx, fn, func(c *conn, q *request) error {
		due, err := s.loadDue(c, max(limit, 0))
		if err != nil || len(due) == 0 || !q.call(due...) {
			n = 0
			return err
		}
		for _, l := range due {
			if l.err == nil {
				if err := l.save(c); err != nil {
					return err
				}
			}
		}
		n = len(due)
		return nil
	}))
	if err != nil {
		return 0, err
	}
	return n, nil
}
