package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// readEvents decodes rows of position, card, number, at, status, attempts, failure,
// payload.
func readEvents(rows pgx.Rows) (events []store.Queued, err error) {
	defer rows.Close()
	for rows.Next() {
		v := rows.RawValues()
		events = append(events, store.Queued{
			Event: store.Event{
				Card:    string(v[1]),
				Number:  int64(binary.BigEndian.Uint64(v[2])),
				At:      instantOf(v[3]),
				Payload: append([]byte{}, v[7]...),
			},
			Position: int64(binary.BigEndian.Uint64(v[0])),
			Status:   store.Status(binary.BigEndian.Uint32(v[4])),
			Attempts: int(binary.BigEndian.Uint32(v[5])),
			Failure:  string(v[6]),
		})
	}
	return events, rows.Err()
}

// column encodes and decodes one column of the table cards.
type column struct {
	name    string
	element uint32                        // OID of the type
	put     func(*array, *store.Card)     // append the field
	get     func(c *store.Card, v []byte) // v is nil for NULL; bytes of the field may stay in v
	same    func(a, b *store.Card) bool   // whether the fields are equal
}

// columns are all columns of cards. The id is first and never changes.
var columns = []column{
	texts("id", func(c *store.Card) *string { return &c.ID }),
	texts("account", func(c *store.Card) *string { return &c.Account }),
	ints("version", func(c *store.Card) *int64 { return &c.Version }),
	ints("events", func(c *store.Card) *int64 { return &c.Events }),
	blobs("state", func(c *store.Card) *[]byte { return &c.State }),
	times("next", func(c *store.Card) *time.Time { return &c.Next }),
	durations("interval", func(c *store.Card) *time.Duration { return &c.Interval }),
	times("due", func(c *store.Card) *time.Time { return &c.Due }),
	codes("service_code", func(c *store.Card) *servicecode.Code { return &c.ServiceCode }),
	blobs("sealed", func(c *store.Card) *[]byte { return &c.Sealed }),
	codes("previous_code", func(c *store.Card) *servicecode.Code { return &c.PreviousCode }),
	blobs("previous_sealed", func(c *store.Card) *[]byte { return &c.PreviousSealed }),
	times("previous_until", func(c *store.Card) *time.Time { return &c.PreviousUntil }),
	blobs("identity", func(c *store.Card) *[]byte { return &c.Identity }),
	times("created", func(c *store.Card) *time.Time { return &c.Created }),
	times("rotated", func(c *store.Card) *time.Time { return &c.Rotated }),
	counts("tries", func(c *store.Card) *int { return &c.Tries }),
	times("locked", func(c *store.Card) *time.Time { return &c.Locked }),
	counts("failures", func(c *store.Card) *int { return &c.Failures }),
	prose("failure", func(c *store.Card) *string { return &c.Failure }),
	times("first", func(c *store.Card) *time.Time { return &c.First }),
	flags("spread", func(c *store.Card) *bool { return &c.Spread }),
	blobs("failed_at", func(c *store.Card) *[]byte { return &c.FailedAt }),
	blobs("compromised", func(c *store.Card) *[]byte { return &c.Compromised }),
}

// columnNames are the names of all columns, for a SELECT.
var columnNames = func() string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}()

func texts(name string, field func(*store.Card) *string) column {
	return column{
		name, pgtype.TextOID,
		func(a *array, c *store.Card) { a.text(*field(c)) },
		func(c *store.Card, v []byte) { *field(c) = string(v) },
		func(a, b *store.Card) bool { return *field(a) == *field(b) },
	}
}

// prose is text for people, which may hold any bytes.
func prose(name string, field func(*store.Card) *string) column {
	p := texts(name, field)
	p.put = func(a *array, c *store.Card) { a.text(clean(*field(c))) }
	return p
}

// clean returns text that PostgreSQL accepts: UTF-8 without zero bytes. Ids and keys
// are not cleaned, because two could become the same; the database rejects them.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func ints(name string, field func(*store.Card) *int64) column {
	return column{
		name, pgtype.Int8OID,
		func(a *array, c *store.Card) { a.int64(*field(c)) },
		func(c *store.Card, v []byte) { *field(c) = int64(binary.BigEndian.Uint64(v)) },
		func(a, b *store.Card) bool { return *field(a) == *field(b) },
	}
}

func counts(name string, field func(*store.Card) *int) column {
	return column{
		name, pgtype.Int4OID,
		func(a *array, c *store.Card) { a.int32(int32(min(*field(c), 1<<31-1))) },
		func(c *store.Card, v []byte) { *field(c) = int(int32(binary.BigEndian.Uint32(v))) },
		func(a, b *store.Card) bool { return *field(a) == *field(b) },
	}
}

// flags are true or NULL, which takes no space.
func flags(name string, field func(*store.Card) *bool) column {
	return column{
		name, pgtype.BoolOID,
		func(a *array, c *store.Card) {
			if *field(c) {
				a.bytes([]byte{1})
			} else {
				a.null()
			}
		},
		func(c *store.Card, v []byte) { *field(c) = v != nil && v[0] != 0 },
		func(a, b *store.Card) bool { return *field(a) == *field(b) },
	}
}

func durations(name string, field func(*store.Card) *time.Duration) column {
	return column{
		name, pgtype.Int8OID,
		func(a *array, c *store.Card) {
			if d := *field(c); d != 0 {
				a.int64(int64(d))
			} else {
				a.null()
			}
		},
		func(c *store.Card, v []byte) {
			*field(c) = 0
			if v != nil {
				*field(c) = time.Duration(binary.BigEndian.Uint64(v))
			}
		},
		func(a, b *store.Card) bool { return *field(a) == *field(b) },
	}
}

func times(name string, field func(*store.Card) *time.Time) column {
	return column{
		name, pgtype.Int8OID,
		func(a *array, c *store.Card) {
			if t := *field(c); !t.IsZero() {
				a.int64(t.UnixNano())
			} else {
				a.null()
			}
		},
		func(c *store.Card, v []byte) { *field(c) = instantOf(v) },
		func(a, b *store.Card) bool { return field(a).Equal(*field(b)) },
	}
}

// instantOf decodes a bigint of nanoseconds; nil is the zero time.
func instantOf(v []byte) time.Time {
	if v == nil {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC()
}

func blobs(name string, field func(*store.Card) *[]byte) column {
	return column{
		name, pgtype.ByteaOID,
		func(a *array, c *store.Card) {
			if v := *field(c); v != nil {
				a.bytes(v)
			} else {
				a.null()
			}
		},
		func(c *store.Card, v []byte) { *field(c) = v },
		func(a, b *store.Card) bool {
			return bytes.Equal(*field(a), *field(b)) && (*field(a) == nil) == (*field(b) == nil)
		},
	}
}

func codes(name string, field func(*store.Card) *servicecode.Code) column {
	return column{
		name, pgtype.TextOID,
		func(a *array, c *store.Card) {
			if code := *field(c); code.IsValid() {
				a.text(code.String())
			} else {
				a.null()
			}
		},
		func(c *store.Card, v []byte) {
			*field(c) = servicecode.Code{}
			if v != nil {
				// An invalid code was not written by this store; it reads as none.
				*field(c), _ = servicecode.Parse(string(v))
			}
		},
		func(a, b *store.Card) bool { return *field(a) == *field(b) },
	}
}

// readCard decodes a row of columns. The card does not share memory with the
// values.
func readCard(c *store.Card, values [][]byte) {
	size := 0
	for _, v := range values {
		size += len(v)
	}
	own := make([]byte, 0, size)
	for i, v := range values {
		if v != nil {
			start := len(own)
			own = append(own, v...)
			v = own[start:len(own):len(own)]
		}
		columns[i].get(c, v)
	}
}

// readCards decodes all rows.
func readCards(rows pgx.Rows) ([]store.Card, error) {
	defer rows.Close()
	var cards []store.Card
	for rows.Next() {
		var c store.Card
		readCard(&c, rows.RawValues())
		cards = append(cards, c)
	}
	return cards, rows.Err()
}
