package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const (
	selectCard = `SELECT n, ` + cardColumns + ` FROM card WHERE id = ?`
	insertCard = `INSERT INTO card (` + cardColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateCard = `UPDATE card SET account = ?, version = ?, events = ?, state = ?, next = ?, interval = ?, due = ?,
		service_code = ?, sealed = ?, previous_code = ?, previous_sealed = ?, previous_until = ?, identity = ?,
		created = ?, rotated = ?, tries = ?, locked = ?, failures = ?, failure = ?,
		first = ?, spread = ?, failed_at = ?, compromised = ? WHERE n = ?`

	selectAnswer = `SELECT request, body, expires FROM answer WHERE card = ? AND key = ? AND expires > ?`
	upsertAnswer = `INSERT INTO answer (card, key, request, body, expires) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET request = excluded.request, body = excluded.body, expires = excluded.expires`

	insertEvent = `INSERT INTO event (card, number, at, status, since, attempts, failure, payload)
		VALUES (?, ?, ?, 0, ?, 0, '', ?)`
)

// loadedCard is a card in a transaction of the writer.
type loadedCard struct {
	n      int64 // number of the card's row; 0: no row yet
	id     string
	key    string // of an update
	change store.Change
	err    error // of the caller's function
}

// load reads the card of an update, and the unexpired answer under its key.
func (s *Store) load(c *conn, id, key string) (*loadedCard, error) {
	ctx := context.Background()
	l := &loadedCard{id: id, key: key, change: store.Change{Now: s.now(), Card: store.Card{ID: id}}}
	if err := c.query(ctx, func(r *row) error {
		l.n, l.change.Card = r.int(), scanCard(r)
		return nil
	}, selectCard, id); err != nil || key == "" {
		return l, err
	}
	return l, c.query(ctx, func(r *row) error {
		a := &store.Answer{}
		copy(a.Request[:], r.bytes())
		a.Body, a.Expires = r.bytes(), r.time()
		l.change.Prior = a
		return nil
	}, selectAnswer, id, key, l.change.Now.UnixNano())
}

// save stores what the caller's function has set.
func (l *loadedCard) save(c *conn) error {
	ctx := context.Background()
	if l.change.Write {
		l.change.Card.ID = l.id
		values := cardValues(&l.change.Card, l.n)
		query, args := updateCard, values[1:]
		if l.n == 0 {
			query, args = insertCard, values[:len(values)-1]
		}
		if _, err := c.exec(ctx, query, args...); err != nil {
			return err
		}
	}
	if e := l.change.Event; e != nil {
		if _, err := c.exec(ctx, insertEvent, e.Card, e.Number, instant(e.At), l.change.Now.UnixNano(), blob(e.Payload)); err != nil {
			return err
		}
	}
	if a := l.change.Answer; a != nil && l.key != "" {
		if _, err := c.exec(ctx, upsertAnswer, l.id, l.key, a.Request[:], blob(a.Body), a.Expires.UnixNano()); err != nil {
			return err
		}
	}
	return nil
}

// Update implements store.Cards. Updates that arrive while the writer is busy share
// its next transaction, and so its sync to disk. If that transaction fails, each update
// is repeated in a transaction of its own: fn is called again, and no caller gets an
// error of another one.
func (s *Store) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	return s.submit(s.updates, newRequest(ctx, fn, func(c *conn, q *request) error {
		l, err := s.load(c, id, key)
		if err != nil || !q.call(l) || l.err != nil {
			q.err = l.err
			return err
		}
		if q.err, err = l.checkFingerprints(c); err != nil || q.err != nil {
			return err
		}
		if err := l.saveFingerprints(c); err != nil {
			return err
		}
		return l.save(c)
	}))
}
