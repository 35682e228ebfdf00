package rotation

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Events and rules have one text form each, which is what a timeline's line has
// for them. Decoders accept what the encoders write and nothing else.

// String returns the event as a line of a timeline spells it, without the card:
//
//	2026-11-23T15:00:00Z auto slot=2026-11-23T15:00:00Z
//
// An instant outside the years 1970 to 2200 prints as the zero time.
func (e Event) String() string {
	s := stamp(e.at) + " " + e.Kind().String()
	if e.Kind() == KindSetInterval {
		s += " interval=" + FormatDuration(e.Interval())
	}
	switch e.form {
	case formAutoSlot:
		s += " slot=" + stamp(e.extra)
	case formSetIntervalFirst:
		s += " first=" + stamp(e.extra)
	}
	return s
}

// GoString returns String in the name of the type, for %#v.
func (e Event) GoString() string { return "rotation.Event(" + e.String() + ")" }

// MarshalText returns what String does. The zero Event is an error that wraps
// [ErrKind], an instant outside the years 1970 to 2200 one that wraps
// [ErrInstant].
func (e Event) MarshalText() ([]byte, error) {
	if e.Kind() == 0 {
		return nil, fmt.Errorf("rotation: %w", ErrKind)
	}
	named := e.form == formAutoSlot || e.form == formSetIntervalFirst
	if !validInstant(e.at) || named && !validInstant(e.extra) {
		return nil, fmt.Errorf("rotation: instant of an event: %w", ErrInstant)
	}
	return []byte(e.String()), nil
}

// UnmarshalText restores what MarshalText wrote, to the nanosecond. An error
// wraps [ErrText] and leaves e as it was.
func (e *Event) UnmarshalText(text []byte) error {
	var restored Event
	words := strings.Fields(string(text))
	for i, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			restored.at = parseInstant(word)
		case i == 1:
			var kind Kind
			_ = kind.UnmarshalText([]byte(word)) // 0 is refused below
			restored.form = [...]form{KindForced: formForced, KindAuto: formAuto, KindSetInterval: formSetInterval, KindDisable: formDisable}[kind]
		case key == "slot":
			restored.form, restored.extra = formAutoSlot, parseInstant(value)
		case key == "interval":
			d, _ := time.ParseDuration(value)
			restored.interval = int64(d)
		case key == "first":
			restored.form, restored.extra = formSetIntervalFirst, parseInstant(value)
		}
	}
	if again, err := restored.MarshalText(); err != nil || !bytes.Equal(again, text) {
		return fmt.Errorf("rotation: event: %w", ErrText)
	}
	*e = restored
	return nil
}

// String returns the rules as the header of a timeline spells them, such as
// "guard=2m guard_from=request".
func (r Rules) String() string {
	return "guard=" + FormatDuration(r.Guard()) + " guard_from=" + r.guardFrom.String()
}

// GoString returns String in the name of the type, for %#v.
func (r Rules) GoString() string { return "rotation.Rules(" + r.String() + ")" }

// MarshalText returns what String does. It never fails.
func (r Rules) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText restores what MarshalText wrote. An error wraps [ErrText] and
// leaves r as it was.
func (r *Rules) UnmarshalText(text []byte) error {
	guard, from, _ := strings.Cut(strings.TrimPrefix(string(text), "guard="), " guard_from=")
	length, _ := time.ParseDuration(guard)
	var measured GuardFrom
	_ = measured.UnmarshalText([]byte(from)) // what it refuses does not encode to the same text again
	restored, err := NewRules(length, measured)
	if err != nil || restored.String() != string(text) {
		return fmt.Errorf("rotation: rules: %w", ErrText)
	}
	*r = restored
	return nil
}

// parseInstant returns outOfRange for what it cannot read. An instant that does
// not fit is one that does not encode to the same text again.
func parseInstant[T string | []byte](text T) int64 {
	var t time.Time
	if t.UnmarshalText([]byte(text)) != nil {
		return outOfRange
	}
	return t.UnixNano()
}
