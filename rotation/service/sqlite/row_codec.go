package sqlite

import (
	"database/sql/driver"
	"errors"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

const cardColumns = `id, account, version, events, state, next, interval, due,
	service_code, sealed, previous_code, previous_sealed, previous_until, identity,
	created, rotated, tries, locked, failures, failure, first, spread, failed_at, compromised`

// scanCard decodes cardColumns.
func scanCard(r *row) store.Card {
	return store.Card{
		ID: r.string(), Account: r.string(), Version: r.int(), Events: r.int(),
		State: r.bytes(), Next: r.time(), Interval: time.Duration(r.int()), Due: r.time(),
		ServiceCode: r.code(), Sealed: r.bytes(),
		PreviousCode: r.code(), PreviousSealed: r.bytes(), PreviousUntil: r.time(), Identity: r.bytes(),
		Created: r.time(), Rotated: r.time(),
		Tries: int(r.int()), Locked: r.time(), Failures: int(r.int()), Failure: r.string(),
		First: r.time(), Spread: r.int() != 0, FailedAt: r.bytes(), Compromised: r.bytes(),
	}
}

// cardValues encodes a card in the order of cardColumns, and the number of its row
// behind them.
func cardValues(c *store.Card, n int64) []any {
	return []any{
		c.ID, c.Account, c.Version, c.Events, blob(c.State), instant(c.Next), int64(c.Interval), instant(c.Due),
		code(c.ServiceCode), blob(c.Sealed),
		code(c.PreviousCode), blob(c.PreviousSealed), instant(c.PreviousUntil), blob(c.Identity),
		instant(c.Created), instant(c.Rotated),
		int64(c.Tries), instant(c.Locked), int64(c.Failures), c.Failure,
		instant(c.First), flag(c.Spread), blob(c.FailedAt), blob(c.Compromised),
		n,
	}
}

const eventColumns = `position, card, number, at, status, attempts, failure, payload`

// scanEvent decodes eventColumns.
func scanEvent(r *row) store.Queued {
	q := store.Queued{Position: r.int()}
	q.Card, q.Number, q.At = r.string(), r.int(), r.time()
	q.Status, q.Attempts, q.Failure = store.Status(r.int()), int(r.int()), r.string()
	q.Payload = r.bytes()
	return q
}

// row is a row of a result, whose columns are read from left to right.
type row struct {
	values []driver.Value
	next   int
	err    error // the first one
}

func column[T any](r *row) (v T) {
	value := r.values[r.next]
	r.next++
	if value == nil {
		return v
	}
	v, ok := value.(T)
	if !ok && r.err == nil {
		r.err = errors.New("damaged database: a column has a value of the wrong type")
	}
	return v
}

func (r *row) int() int64     { return column[int64](r) }
func (r *row) string() string { return column[string](r) }

func (r *row) null() bool { return r.values[r.next] == nil }

// bytes returns nil for NULL, and an empty slice for an empty value, for which the
// driver returns nil.
func (r *row) bytes() []byte {
	null := r.null()
	b := column[[]byte](r)
	if !null && b == nil {
		b = []byte{}
	}
	return b
}

func (r *row) time() time.Time {
	if r.null() {
		r.next++
		return time.Time{}
	}
	return time.Unix(0, r.int()).UTC()
}

func (r *row) code() servicecode.Code {
	s := r.string()
	if s == "" {
		return servicecode.Code{}
	}
	c, err := servicecode.Parse(s)
	if err != nil && r.err == nil {
		r.err = errors.New("damaged database: invalid service code")
	}
	return c
}

func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func code(c servicecode.Code) string {
	if !c.IsValid() {
		return ""
	}
	return c.String()
}
