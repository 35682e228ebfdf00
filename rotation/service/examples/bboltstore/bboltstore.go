// Package bboltstore is an example: a store of one's own, on bbolt, that meets the
// contract. docs/embedding.md#write-a-store explains its decisions.
//
// bbolt has one process and one writer at a time, so its write transaction is the lock
// of every card. Rows are JSON. There are indexes for claims and for waiting events;
// what operators ask for is scanned.
package bboltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"cvvrotation/rotation/engine/store"
)

// Store is a database file. It implements store.Store.
type Store struct {
	db    *bolt.DB
	clock clock.Clock

	mu    sync.Mutex
	lease *lease // of the relay; nil: none
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Clocked = (*Store)(nil)
)

// The buckets, and their keys.
var buckets = []string{
	"cards",        // id
	"due",          // Due, id: the index of claims
	"answers",      // card, 0, idempotency key
	"events",       // position
	"waiting",      // position: the index of the relay
	"fingerprints", // fingerprint; the value is the card
	"prints",       // card, 0, fingerprint
	"settings",     // by name
	"history",      // card, 0, number: the index of a card's events; the value is the position
}

// Open opens or creates the database file. Another process that has it open makes Open
// fail after a second. The clock is the store's time; nil stands for the system's.
func Open(path string, clk clock.Clock) (*Store, error) {
	if clk == nil {
		clk = clock.New()
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err == nil {
		err = db.Update(func(t *bolt.Tx) error {
			for _, name := range buckets {
				if _, err := t.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("bboltstore: open: %w", err)
	}
	return &Store{db: db, clock: clk}, nil
}

// Close implements store.Store. bbolt waits for transactions that have begun.
func (s *Store) Close() error {
	err := s.db.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease.end()
	return err
}

// Clock implements store.Clocked.
func (s *Store) Clock() clock.Clock { return s.clock }

// tx is a transaction. Its time is read when it has the lock.
type tx struct {
	*bolt.Tx
	now time.Time
}

func (t tx) bucket(name string) *bolt.Bucket { return t.Bucket([]byte(name)) }

// errUnchanged makes a transaction end without a commit, and so without a sync.
var errUnchanged = errors.New("nothing was changed")

// do runs f in a transaction and commits it if it writes, unless f returns an error or
// panics.
func (s *Store) do(ctx context.Context, write bool, f func(tx) error) error {
	t, err := s.db.Begin(write)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	if err != nil {
		return err
	}
	defer t.Rollback() // after the commit it has no effect
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f(tx{t, instant(s.clock.Now())}); err != nil || !write {
		if err == errUnchanged {
			return nil
		}
		return err
	}
	return t.Commit()
}

// instant returns t as the contract wants it back: in UTC, with nanoseconds, without a
// monotonic reading.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(0, t.UnixNano()).UTC()
}

// number returns a key whose order is that of the numbers, which are not negative.
func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func dueKey(c *store.Card) []byte { return append(number(c.Due.UnixNano()), c.ID...) }

func dueOf(key []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(key))).UTC()
}

// get returns a row, and whether there is one.
func get[V any](b *bolt.Bucket, key []byte) (v V, ok bool, err error) {
	text := b.Get(key)
	if text == nil {
		return v, false, nil
	}
	return v, true, json.Unmarshal(text, &v)
}

func put(b *bolt.Bucket, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, text)
}

// keys yields the keys from one on. The bucket must not change meanwhile.
func keys(b *bolt.Bucket, from []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := b.Cursor()
		for k, _ := c.Seek(from); k != nil && yield(k); k, _ = c.Next() {
		}
	}
}

// rows returns up to limit rows, from a key on, for which want returns true.
func rows[V any](b *bolt.Bucket, from []byte, limit int, want func(*V) bool) (found []V, err error) {
	for k := range keys(b, from) {
		if len(found) >= limit {
			break
		}
		v, _, err := get[V](b, k)
		if err != nil {
			return nil, err
		}
		if want(&v) {
			found = append(found, v)
		}
	}
	return found, nil
}

func all[V any](*V) bool { return true }

// after returns the first key behind the card's.
func after(id string) []byte { return append([]byte(id), 0) }

// change returns the card for a function to change.
func (t tx) change(id string) (*store.Change, error) {
	c, _, err := get[store.Card](t.bucket("cards"), []byte(id))
	c.ID = id
	return &store.Change{Now: t.now, Card: c}, err
}

// apply stores what a function asked for, and reports whether it did.
func (t tx) apply(id, key string, change *store.Change) (bool, error) {
	if change.Write {
		if err := t.putCard(id, change.Card); err != nil {
			return false, err
		}
	}
	if e := change.Event; e != nil {
		position, err := t.bucket("events").NextSequence() // never reused
		if err != nil {
			return false, err
		}
		q := entry{Queued: store.Queued{Event: *e, Position: int64(position)}}
		q.At = instant(e.At)
		if err := t.putEvent(q); err != nil {
			return false, err
		}
	}
	if a := change.Answer; a != nil && key != "" {
		if err := put(t.bucket("answers"), append(after(id), key...), a); err != nil {
			return false, err
		}
	}
	return change.Write || change.Event != nil || change.Answer != nil, nil
}

func (t tx) putCard(id string, c store.Card) error {
	b, due := t.bucket("cards"), t.bucket("due")
	before, ok, err := get[store.Card](b, []byte(id))
	if err != nil {
		return err
	}
	if ok && !before.Due.IsZero() {
		if err := due.Delete(dueKey(&before)); err != nil {
			return err
		}
	}
	c.ID = id
	for _, at := range []*time.Time{&c.Next, &c.Due, &c.First, &c.PreviousUntil, &c.Created, &c.Rotated, &c.Locked} {
		*at = instant(*at)
	}
	if !c.Due.IsZero() {
		if err := due.Put(dueKey(&c), nil); err != nil {
			return err
		}
	}
	return put(b, []byte(id), c)
}

// Update implements store.Cards.
func (s *Store) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	return s.do(ctx, true, func(t tx) error {
		change, err := t.change(id)
		if err != nil {
			return err
		}
		if a, ok, err := get[store.Answer](t.bucket("answers"), append(after(id), key...)); err != nil {
			return err
		} else if ok && a.Expires.After(t.now) {
			change.Prior = &a
		}
		if err := fn(change); err != nil {
			return err
		}
		if change.Fingerprints != nil {
			if err := t.putFingerprints(id, change.Fingerprints); err != nil {
				return err
			}
		}
		changed, err := t.apply(id, key, change)
		if err == nil && !changed && change.Fingerprints == nil {
			err = errUnchanged
		}
		return err
	})
}

// Claim implements store.Cards.
func (s *Store) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (n int, err error) {
	err = s.do(ctx, true, func(t tx) error {
		var ids []string
		for k := range keys(t.bucket("due"), nil) {
			if len(ids) >= limit || dueOf(k).After(t.now) {
				break
			}
			ids = append(ids, string(k[8:]))
		}
		wrote := false
		for _, id := range ids {
			change, err := t.change(id)
			if err != nil {
				return err
			}
			change.Slot = change.Card.Next
			if fn(change) != nil {
				continue // it leaves out its card only
			}
			changed, err := t.apply(id, "", change)
			if err != nil {
				return err
			}
			wrote = wrote || changed
		}
		if n = len(ids); !wrote {
			return errUnchanged
		}
		return nil
	})
	if err != nil {
		n = 0
	}
	return n, err
}

// Now implements store.Cards.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.do(ctx, false, func(t tx) error {
		now = t.now
		return nil
	})
	return now, err
}

// Card implements store.Cards.
func (s *Store) Card(ctx context.Context, id string) (c store.Card, err error) {
	err = s.do(ctx, false, func(t tx) error {
		var ok bool
		if c, ok, err = get[store.Card](t.bucket("cards"), []byte(id)); err == nil && !ok {
			err = store.ErrNotFound
		}
		return err
	})
	return c, err
}

// NextDue implements store.Cards.
func (s *Store) NextDue(ctx context.Context) (due time.Time, ok bool, err error) {
	err = s.do(ctx, false, func(t tx) error {
		for k := range keys(t.bucket("due"), nil) {
			due, ok = dueOf(k), true
			break
		}
		return nil
	})
	return due, ok, err
}

// cards returns up to limit cards after an id that want says yes to.
func (s *Store) cards(ctx context.Context, id string, limit int, want func(*store.Card) bool) (found []store.Card, err error) {
	err = s.do(ctx, false, func(t tx) error {
		found, err = rows(t.bucket("cards"), after(id), limit, want)
		return err
	})
	return found, err
}

// ListCards implements store.Cards.
func (s *Store) ListCards(ctx context.Context, after string, limit int) ([]store.Card, error) {
	return s.cards(ctx, after, limit, all)
}

// ListFailingCards implements store.Operator.
func (s *Store) ListFailingCards(ctx context.Context, limit int) ([]store.Card, error) {
	return s.cards(ctx, "", limit, func(c *store.Card) bool { return c.Failures > 0 })
}

// IDsTooFarAhead implements store.Cards.
func (s *Store) IDsTooFarAhead(ctx context.Context, after string, limit int) (ids []string, err error) {
	now := s.clock.Now()
	cards, err := s.cards(ctx, after, limit, func(c *store.Card) bool { return c.Next.After(now.Add(c.Interval)) })
	for _, c := range cards {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// CountDue implements store.Operator.
func (s *Store) CountDue(ctx context.Context, from time.Time, step time.Duration, n int) (counts []int64, err error) {
	counts = make([]int64, max(n, 0))
	err = s.do(ctx, false, func(t tx) error {
		for k := range keys(t.bucket("due"), number(from.UnixNano())) {
			i := int64(dueOf(k).Sub(from) / step)
			if i >= int64(len(counts)) {
				break
			}
			counts[i]++
		}
		return nil
	})
	return counts, err
}

// DeleteExpired implements store.Cards.
func (s *Store) DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (n int, err error) {
	err = s.do(ctx, true, func(t tx) error {
		n = 0
		answers, events := t.bucket("answers"), t.bucket("events")
		var old [][]byte
		for k := range keys(answers, nil) {
			a, _, err := get[store.Answer](answers, k)
			if err != nil {
				return err
			}
			if len(old) < limit && !a.Expires.After(t.now) {
				old = append(old, bytes.Clone(k))
			}
		}
		for _, k := range old {
			if err := answers.Delete(k); err != nil {
				return err
			}
		}
		delivered, err := rows(events, nil, limit, func(e *entry) bool {
			return e.Status == store.StatusDelivered && e.Delivered.Before(deliveredBefore)
		})
		if err != nil {
			return err
		}
		for _, e := range delivered {
			if err := t.deleteEvent(e); err != nil {
				return err
			}
		}
		if n = len(old) + len(delivered); n == 0 {
			return errUnchanged
		}
		return nil
	})
	return n, err
}
