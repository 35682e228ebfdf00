package check

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"cvvrotation/rotation"
)

// The stored form is that of rotation.State: version, presence, eight bytes a
// field, CRC-32C. The closure encodes states itself, because it puts cards into
// states without the events that lead there.

const (
	storedVersion  = 1
	storedInterval = 1 << 2
	storedServed   = 1 << 3
	storedKindMask = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errStored = errors.New("check: a stored card that is cut short")

// appendStored appends the stored form of a card that looks like v.
func appendStored(b []byte, v View) []byte {
	start := len(b)
	b = append(b, storedVersion, byte(v.GuardKind))
	if v.Interval != 0 {
		b[start+1] |= storedInterval
		b = binary.BigEndian.AppendUint64(b, uint64(v.Interval))
		b = binary.BigEndian.AppendUint64(b, uint64(v.Next))
	}
	if v.GuardKind != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(v.GuardStart))
	}
	if v.HasServed {
		b[start+1] |= storedServed
		b = binary.BigEndian.AppendUint64(b, uint64(v.Served))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseStored undoes appendStored. It trusts the checksum.
func parseStored(b []byte) (v View, err error) {
	if len(b) < 2 {
		return v, errStored
	}
	presence, fields := b[1], b[2:]
	next := func() int64 {
		if len(fields) < 8 {
			err = errStored
			return 0
		}
		n := int64(binary.BigEndian.Uint64(fields))
		fields = fields[8:]
		return n
	}
	if presence&storedInterval != 0 {
		v.Interval, v.Next = next(), next()
	}
	if v.GuardKind = rotation.Kind(presence & storedKindMask); v.GuardKind != 0 {
		v.GuardStart = next()
	}
	if presence&storedServed != 0 {
		v.Served, v.HasServed = next(), true
	}
	return v, err
}
