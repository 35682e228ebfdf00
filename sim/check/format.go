package check

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"cvvrotation/rotation"
)

// instant prints as RFC 3339 in UTC.
type instant int64

func (i instant) String() string { return time.Unix(0, int64(i)).UTC().Format(time.RFC3339Nano) }

func span(d int64) string { return rotation.FormatDuration(time.Duration(d)) }

// nextWords names the next slot; 0 is none.
func nextWords(next int64) string {
	if next == 0 {
		return "no next slot"
	}
	return "next " + instant(next).String()
}

// String returns the event without its instant, such as "auto slot=…".
func (e Event) String() string {
	s := e.Kind.String()
	if e.HasSlot {
		s += " slot=" + instant(e.Slot).String()
	}
	if e.Kind == rotation.KindSetInterval {
		s += " interval=" + span(e.Interval)
	}
	if e.HasFirst {
		s += " first=" + instant(e.First).String()
	}
	if e.Pollers != 0 {
		s += fmt.Sprintf(" (polls: %d)", e.Pollers)
	}
	if e.Armed != 0 {
		s += " (unnamed; its timer was armed for " + instant(e.Armed).String() + ")"
	}
	return s
}

// String returns the answer, such as "rotated, not rescheduled, reason guard,
// scenario 1, next …".
func (o Outcome) String() string {
	if o.Err != "" {
		return "an error: " + o.Err
	}
	if o.Refused != 0 {
		return "refused for its " + refusalNames[o.Refused]
	}
	s := "not rotated"
	if o.Rotated {
		s = "rotated"
	}
	if o.Rescheduled {
		s += ", rescheduled"
	} else {
		s += ", not rescheduled"
	}
	s += ", reason " + nameOf(o.Reason)
	if o.Scenario != 0 {
		s += fmt.Sprintf(", scenario %d", o.Scenario)
	}
	if o.Missed != 0 {
		s += fmt.Sprintf(", missed %d", o.Missed)
	}
	return s + ", " + nextWords(o.Next)
}

// String returns what the rules remember, such as "an interval of 24h, next …,
// guard started by forced at …, newest slot served …".
func (v View) String() string {
	s := "rotation off"
	if v.Interval != 0 {
		s = fmt.Sprintf("an interval of %s, next %v", span(v.Interval), instant(v.Next))
	}
	if v.GuardKind != 0 {
		s += fmt.Sprintf(", guard started by %v at %v", v.GuardKind, instant(v.GuardStart))
	}
	if v.HasServed {
		s += fmt.Sprintf(", newest slot served %v", instant(v.Served))
	}
	return s
}

// The stored form is that of rotation.State: version, presence, eight bytes a
// field, CRC-32C; or its text, plain or in JSON. The closure encodes states itself,
// because it puts cards into states without the events that lead there.

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

// form is the stored form of a system's cards. The zero value is none of those of
// rotation.State.
type form uint8

const (
	formBinary form = iota + 1
	formText
	formJSON
)

// storedForm returns the form that a new card of the system has.
func storedForm(s System) form {
	var state rotation.State
	switch fresh := s.NewCard().AppendStored(nil); {
	case len(fresh) == 0 || state.Scan(fresh) != nil:
		return 0
	case fresh[0] == storedVersion:
		return formBinary
	case fresh[0] == 'r':
		return formText
	}
	return formJSON
}

// appendStored appends the stored form of a card that looks like v.
func (f form) appendStored(b []byte, v View) []byte {
	if f == formBinary {
		return appendStored(b, v)
	}
	var s rotation.State
	if s.UnmarshalBinary(appendStored(nil, v)) != nil {
		return b // a state that the rules cannot make: nothing restores this
	}
	if f == formText {
		b, _ = s.AppendText(b)
		return b
	}
	document, _ := json.Marshal(s)
	return append(b, document...)
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
