package postgres

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// array is a parameter of a one-dimensional array type. Its elements are encoded in
// PostgreSQL's binary format as they are added: a batch has about ten thousand, and
// boxing each of them for a general encoder cost a tenth of a claim.
type array struct {
	element uint32 // type of the elements
	n       int
	nulls   bool
	data    []byte // each element with its length in front
}

// newArray returns an empty array with capacity for n elements of about size bytes.
func newArray(element uint32, n, size int) *array {
	return &array{element: element, data: make([]byte, 0, n*(4+size))}
}

func (a *array) null() {
	a.n++
	a.nulls = true
	a.data = append(a.data, 0xff, 0xff, 0xff, 0xff)
}

func (a *array) int64(v int64) {
	a.n++
	a.data = append(a.data, 0, 0, 0, 8)
	a.data = binary.BigEndian.AppendUint64(a.data, uint64(v))
}

func (a *array) int32(v int32) {
	a.n++
	a.data = append(a.data, 0, 0, 0, 4)
	a.data = binary.BigEndian.AppendUint32(a.data, uint32(v))
}

func (a *array) bytes(v []byte) {
	a.n++
	a.data = binary.BigEndian.AppendUint32(a.data, uint32(len(v)))
	a.data = append(a.data, v...)
}

func (a *array) text(v string) {
	a.n++
	a.data = binary.BigEndian.AppendUint32(a.data, uint32(len(v)))
	a.data = append(a.data, v...)
}

// arrayPlan implements pgtype.EncodePlan. pgx caches it for all values of the type.
type arrayPlan struct{}

// Encode implements pgtype.EncodePlan.
func (arrayPlan) Encode(value any, b []byte) ([]byte, error) {
	a := value.(*array)
	dimensions, nulls := uint32(1), uint32(0)
	if a.nulls {
		nulls = 1
	}
	for _, v := range []uint32{dimensions, nulls, a.element, uint32(a.n), 1} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, a.data...), nil
}

// arrayCodec encodes values of type array, and passes others to the wrapped codec.
type arrayCodec struct{ pgtype.Codec }

// PlanEncode implements pgtype.Codec.
func (c arrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(*array); ok && format == pgtype.BinaryFormatCode {
		return arrayPlan{}
	}
	return c.Codec.PlanEncode(m, oid, format, value)
}

// registerArrays makes a connection accept values of type array, if it does not yet.
func registerArrays(conn *pgx.Conn) {
	m := conn.TypeMap()
	for _, oid := range []uint32{
		pgtype.TIDArrayOID, pgtype.Int8ArrayOID, pgtype.Int4ArrayOID, pgtype.TextArrayOID, pgtype.ByteaArrayOID, pgtype.BoolArrayOID,
	} {
		if t, ok := m.TypeForOID(oid); ok {
			if _, done := t.Codec.(arrayCodec); !done {
				m.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: arrayCodec{t.Codec}})
			}
		}
	}
}
