package rotation

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// A state has two encoded forms, both of version 1 and both closed by a
// CRC-32C of all that stands before it, so that a damaged form is found out:
//
//	text    rotation/1 interval=24h next=… guard=auto@… served=… crc=89abcdef
//	binary  version byte, presence byte, 8 bytes big-endian a field, CRC
//
// What is not set is left out. JSON carries the text form as a string. There is
// one spelling for each state: a decoder accepts what the encoder writes and
// nothing else.

const (
	stateVersion   = 1
	textVersion    = "rotation/"
	textCRC        = " crc="
	binaryOverhead = 2 + crc32.Size
)

// The bits of the binary form's presence byte; the low two are the guard's
// kind.
const (
	hasInterval = 1 << 2
	hasServed   = 1 << 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendText appends the text form of s to b. It never fails.
func (s State) AppendText(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, textVersion...)
	b = strconv.AppendInt(b, stateVersion, 10)
	if s.interval() != 0 {
		b = append(b, " interval="...)
		b = append(b, FormatDuration(s.Interval())...)
		b = append(b, " next="...)
		b = fromNanos(s.next).AppendFormat(b, time.RFC3339Nano)
	}
	if s.guardKind() != 0 {
		b = append(b, " guard="...)
		b = append(b, s.guardKind().String()...)
		b = append(b, '@')
		b = fromNanos(s.guardStart).AppendFormat(b, time.RFC3339Nano)
	}
	if s.hasServed() {
		b = append(b, " served="...)
		b = fromNanos(s.served).AppendFormat(b, time.RFC3339Nano)
	}
	return fmt.Appendf(b, "%s%08x", textCRC, crc32.Checksum(b[start:], castagnoli)), nil
}

// MarshalText returns the text form of s; encoding/json uses it too. It never
// fails.
func (s State) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// String returns the text form of s, which [ParseState] reads.
func (s State) String() string {
	text, _ := s.AppendText(nil)
	return string(text)
}

// GoString returns the text form of s in the name of the type, for %#v.
func (s State) GoString() string { return "rotation.State(" + s.String() + ")" }

// ParseState returns the state whose text form is text, as String, AppendText
// and MarshalText write it; for the binary form use [State.UnmarshalBinary]. It
// returns an error that wraps [ErrStateVersion] or [ErrStateDamaged] if text is
// anything else.
func ParseState(text string) (State, error) {
	var s State
	err := s.UnmarshalText([]byte(text))
	return s, err
}

// UnmarshalText restores what AppendText wrote. An error wraps
// [ErrStateVersion] or [ErrStateDamaged] and leaves s as it was.
func (s *State) UnmarshalText(text []byte) error { return s.set(decodeText(text)) }

// set sets s to restored, unless there is an error.
func (s *State) set(restored State, err error) error {
	if err != nil {
		return fmt.Errorf("rotation: %w", err)
	}
	*s = restored
	return nil
}

func decodeText(text []byte) (State, error) {
	version, _, _ := bytes.Cut(text, []byte(" "))
	number, ok := bytes.CutPrefix(version, []byte(textVersion))
	if !ok {
		return State{}, fmt.Errorf("text that does not begin with %q: %w", textVersion, ErrStateDamaged)
	}
	if v, err := strconv.ParseUint(string(number), 10, 32); err == nil && v != stateVersion {
		return State{}, fmt.Errorf("version %d: %w", v, ErrStateVersion)
	}
	restored := parseText(text)
	if again, _ := restored.AppendText(nil); !bytes.Equal(again, text) || !restored.valid() {
		return State{}, fmt.Errorf("text that fails its check: %w", ErrStateDamaged)
	}
	return restored, nil
}

// parseText reads the fields of the text form. It needs no errors of its own:
// what it can't read does not encode to the same text again.
func parseText(text []byte) (s State) {
	for field := range bytes.FieldsSeq(text) {
		name, value, _ := bytes.Cut(field, []byte("="))
		switch string(name) {
		case "interval":
			d, _ := time.ParseDuration(string(value))
			s.setInterval(int64(d))
		case "next":
			s.next = parseInstant(value)
		case "guard":
			kind, start, _ := bytes.Cut(value, []byte("@"))
			var by Kind
			_ = by.UnmarshalText(kind)
			s.startGuard(parseInstant(start), by)
		case "served":
			s.serve(parseInstant(value))
		}
	}
	return s
}

// AppendBinary appends the binary form of s, at most 38 bytes, to b. It never
// fails.
func (s State) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, stateVersion, byte(s.guardKind()))
	if s.interval() != 0 {
		b[start+1] |= hasInterval
		b = binary.BigEndian.AppendUint64(b, uint64(s.interval()))
		b = binary.BigEndian.AppendUint64(b, uint64(s.next))
	}
	if s.guardKind() != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(s.guardStart))
	}
	if s.hasServed() {
		b[start+1] |= hasServed
		b = binary.BigEndian.AppendUint64(b, uint64(s.served))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

// MarshalBinary returns the binary form of s, at most 38 bytes. It never fails.
func (s State) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// UnmarshalBinary restores what AppendBinary wrote. An error wraps
// [ErrStateVersion] or [ErrStateDamaged] and leaves s as it was.
func (s *State) UnmarshalBinary(data []byte) error { return s.set(decodeBinary(data)) }

func decodeBinary(data []byte) (State, error) {
	if len(data) > 0 && data[0] != stateVersion {
		return State{}, fmt.Errorf("version %d: %w", data[0], ErrStateVersion)
	}
	if len(data) < binaryOverhead {
		return State{}, fmt.Errorf("%d bytes: %w", len(data), ErrStateDamaged)
	}
	fields := data[2 : len(data)-crc32.Size]
	next := func() int64 {
		if len(fields) < 8 {
			return outOfRange
		}
		n := int64(binary.BigEndian.Uint64(fields))
		fields = fields[8:]
		return n
	}
	var restored State
	if data[1]&hasInterval != 0 {
		restored.setInterval(next())
		restored.next = next()
	}
	if by := Kind(data[1] & guardKindMask); by != 0 {
		restored.startGuard(next(), by)
	}
	if data[1]&hasServed != 0 {
		restored.serve(next())
	}
	if again, _ := restored.AppendBinary(make([]byte, 0, 64)); !bytes.Equal(again, data) || !restored.valid() {
		return State{}, fmt.Errorf("bytes that fail their check: %w", ErrStateDamaged)
	}
	return restored, nil
}

// Scan sets s to the state in a column: the text or the binary form, as text or
// bytes, or the JSON string that encoding/json makes of a State. NULL and the JSON
// null are the zero State. An error names the type received, wraps
// [ErrStateVersion] or [ErrStateDamaged], and leaves s as it was. It implements
// [database/sql.Scanner]. docs/embedding.md says what to pass to write each type of
// column; State has no Value method, which would break JSON columns with pgx.
func (s *State) Scan(src any) error {
	var restored State
	var err error
	switch src := src.(type) {
	case nil:
	case string:
		restored, err = decodeColumn([]byte(src))
	case []byte:
		restored, err = decodeColumn(src)
	default:
		err = fmt.Errorf("want text or bytes: %w", ErrStateDamaged)
	}
	if err != nil {
		err = fmt.Errorf("state from a column read as %T: %w", src, err)
	}
	return s.set(restored, err)
}

// decodeColumn tells the forms apart by their beginning: no version byte is a tab or
// beyond.
func decodeColumn(data []byte) (State, error) {
	switch {
	case len(data) == 0 || data[0] < '\t':
		return decodeBinary(data)
	case bytes.HasPrefix(data, []byte(textVersion)):
		return decodeText(data)
	}
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return State{}, fmt.Errorf("neither an encoded state nor a JSON string: %w", ErrStateDamaged)
	}
	if text == nil {
		return State{}, nil
	}
	return decodeText([]byte(*text))
}

// valid reports whether Decide could have made s: a last line of defence
// behind the checksum, so that no decoded state can overflow a later decision.
func (s State) valid() bool {
	slotOK := func(n int64) bool { return n >= 0 && n < endOfSlots }
	return s.interval() >= 0 && s.interval() <= int64(MaxInterval) && slotOK(s.next) &&
		validInstant(s.guardStart) && slotOK(s.served)
}
