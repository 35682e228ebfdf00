package postgres

import (
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"cvvrotation/rotation/engine/store"
)

// arrayType is the SQL type of an array, by the OID of its elements.
var arrayType = map[uint32]string{
	pgtype.TIDOID: "tid[]", pgtype.Int8OID: "bigint[]", pgtype.Int4OID: "integer[]",
	pgtype.TextOID: "text[]", pgtype.ByteaOID: "bytea[]", pgtype.BoolOID: "boolean[]",
}

// elementSize is the estimated size of an element in bytes.
var elementSize = map[uint32]int{pgtype.Int8OID: 8, pgtype.Int4OID: 4, pgtype.TextOID: 16, pgtype.ByteaOID: 48, pgtype.BoolOID: 1}

// queueCards queues the statements that store the cards to be written: one for all
// that exist, with the columns that change in any of them, and one for a new card.
func (s *Store) queueCards(b *pgx.Batch, cards []*lockedRow, id string) {
	var changed uint32 // a bit for each column
	write := make([]*lockedRow, 0, len(cards))
	for _, l := range cards {
		switch {
		case !l.change.Write:
		case l.exists:
			write = append(write, l)
			for i := range columns[1:] {
				if changed&(2<<i) == 0 && !columns[1+i].same(&l.before, &l.change.Card) {
					changed |= 2 << i
				}
			}
		default:
			s.queueInsert(b, l, id, "")
		}
	}
	if changed == 0 {
		return
	}
	tids := newArray(pgtype.TIDOID, len(write), 6)
	args := []any{len(write), tids}
	for _, l := range write {
		tids.bytes(l.tid[:])
	}
	for i, c := range columns {
		if changed&(1<<i) == 0 {
			continue
		}
		a := newArray(c.element, len(write), elementSize[c.element])
		for _, l := range write {
			c.put(a, &l.change.Card)
		}
		args = append(args, a)
	}
	b.Queue(updateSQL(s.schema, changed), args...)
}

// queueInsert queues the statement that inserts a card. Without a conflict clause it
// fails if another transaction has inserted it.
func (s *Store) queueInsert(b *pgx.Batch, l *lockedRow, id, conflict string) *pgx.QueuedQuery {
	l.change.Card.ID = id
	args := make([]any, len(columns))
	for i, c := range columns {
		a := &array{element: c.element}
		c.put(a, &l.change.Card)
		args[i] = a
	}
	return b.Queue("INSERT INTO "+s.schema+insertSQL+conflict, args...)
}

var insertSQL = func() string {
	var arrays []string
	for i, c := range columns {
		arrays = append(arrays, fmt.Sprintf("$%d::%s", i+1, arrayType[c.element]))
	}
	return "cards (" + columnNames + ") SELECT * FROM unnest(" + strings.Join(arrays, ", ") + ")"
}()

// updates caches the statement for each set of columns.
var updates sync.Map

// update is a set of columns of the cards in a schema.
type update struct {
	schema  string
	columns uint32
}

// updateSQL returns the statement that writes these columns. It divides by zero, which
// aborts the transaction, unless it finds each of its rows.
func updateSQL(schema string, changed uint32) string {
	if sql, ok := updates.Load(update{schema, changed}); ok {
		return sql.(string)
	}
	var set, names, arrays []string
	for i, c := range columns {
		if changed&(1<<i) == 0 {
			continue
		}
		set = append(set, c.name+" = u."+c.name)
		names = append(names, c.name)
		arrays = append(arrays, fmt.Sprintf("$%d::%s", len(arrays)+3, arrayType[c.element]))
	}
	sql := "WITH written AS (UPDATE " + schema + "cards AS cards SET " + strings.Join(set, ", ") +
		" FROM unnest($2::tid[], " + strings.Join(arrays, ", ") + ") AS u (tid, " + strings.Join(names, ", ") + ")" +
		" WHERE cards.ctid = u.tid RETURNING 1)" +
		" SELECT 1 / (count(*) = $1)::int FROM written"
	updates.Store(update{schema, changed}, sql)
	return sql
}

// queueAnswer queues the statement that stores the answer under the key, if any.
func (s *Store) queueAnswer(b *pgx.Batch, l *lockedRow, id, key string) {
	if a := l.change.Answer; a != nil && key != "" {
		b.Queue("INSERT INTO "+s.schema+`answers (card, key, request, body, expires) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (card, key) DO UPDATE SET request = $3, body = $4, expires = $5`,
			id, key, a.Request[:], append([]byte{}, a.Body...), a.Expires.UnixNano())
	}
}

// queueEvents queues the statement that adds the events to the outbox, in the order
// of the cards.
func (s *Store) queueEvents(b *pgx.Batch, cards []*lockedRow) {
	n, size := 0, 0
	for _, l := range cards {
		if e := l.change.Event; e != nil {
			n++
			size = max(size, len(e.Payload))
		}
	}
	card, payload := newArray(pgtype.TextOID, n, store.MaxID), newArray(pgtype.ByteaOID, n, size)
	number, at := newArray(pgtype.Int8OID, n, 8), newArray(pgtype.Int8OID, n, 8)
	for _, l := range cards {
		if e := l.change.Event; e != nil {
			card.text(e.Card)
			number.int64(e.Number)
			at.int64(e.At.UnixNano())
			payload.bytes(e.Payload)
		}
	}
	if card.n > 0 {
		b.Queue("INSERT INTO "+s.schema+`outbox (card, number, at, payload)
			SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])`, card, number, at, payload)
	}
}
