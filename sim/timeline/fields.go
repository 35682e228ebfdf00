package timeline

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// The keys of an event line and of a header, the same in both spellings.
const (
	keyAt          = "at"
	keyCard        = "card"
	keyEvent       = "event"
	keyServiceCode = "service_code"
	keySlot        = "slot"
	keyInterval    = "interval"
	keyFirst       = "first"
	keyRotate      = "rotate"
	keyReschedule  = "reschedule"
	keyReason      = "reason"
	keyScenario    = "scenario"
	keyMissed      = "missed"
	keyNext        = "next"

	keyTimeline  = "timeline"
	keyRules     = "rules"
	keyGuard     = "guard"
	keyGuardFrom = "guard_from"
)

// line is what both spellings have in common: an entry while its parts are read.
type line struct {
	at          time.Time
	card        string
	kind        rotation.Kind
	serviceCode servicecode.Code
	slot, first time.Time
	interval    time.Duration
	expect      Expect

	hasAt, hasServiceCode, hasSlot, hasFirst, hasInterval bool
}

// setText sets a part whose value is written as text.
func (l *line) setText(key string, value []byte) (err error) {
	switch key {
	case keyAt:
		l.at, err = parseInstant(key, value)
		l.hasAt = true
	case keyCard:
		l.card = string(value)
	case keyEvent:
		if l.kind = kindNamed(value); l.kind == 0 {
			err = fmt.Errorf("event %s: %w", quoted(value), rotation.ErrKind)
		}
	case keyServiceCode:
		if l.serviceCode, err = servicecode.Parse(string(value)); err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		l.hasServiceCode = true
	case keySlot:
		l.slot, err = parseInstant(key, value)
		l.hasSlot = true
	case keyInterval:
		l.interval, err = parseDuration(key, string(value))
		l.hasInterval = true
	case keyFirst:
		l.first, err = parseInstant(key, value)
		l.hasFirst = true
	case keyReason:
		l.expect.Fields |= FieldReason
		if l.expect.Reason.UnmarshalText(value) != nil {
			err = fmt.Errorf("reason %s: %w", quoted(value), rotation.ErrReason)
		}
	case keyNext:
		l.expect.Fields |= FieldNext
		l.expect.Next, err = parseInstant(key, value)
	default:
		err = wrongType(key)
	}
	return err
}

// setNull sets a part whose value is null: no next slot, or no interval. Other
// parts are then not given.
func (l *line) setNull(key string) {
	switch key {
	case keyNext:
		l.expect.Fields |= FieldNext
	case keyInterval, keyIntervalHours:
		l.expect.Fields |= FieldInterval
	}
}

// expectInterval makes of an interval that is given an expectation, where the
// event is not the one that sets it.
func (l *line) expectInterval() {
	if l.hasInterval && l.kind != rotation.KindSetInterval {
		l.expect.Fields, l.expect.Interval = l.expect.Fields|FieldInterval, l.interval
		l.hasInterval = false
	}
}

func (l *line) setBool(key string, value bool) error {
	switch key {
	case keyRotate:
		l.expect.Fields, l.expect.Rotate = l.expect.Fields|FieldRotate, value
	case keyReschedule:
		l.expect.Fields, l.expect.Reschedule = l.expect.Fields|FieldReschedule, value
	default:
		return wrongType(key)
	}
	return nil
}

func (l *line) setInt(key string, value int64) error {
	switch key {
	case keyScenario:
		l.expect.Fields, l.expect.Scenario = l.expect.Fields|FieldScenario, value
	case keyMissed:
		l.expect.Fields, l.expect.Missed = l.expect.Fields|FieldMissed, value
	default:
		return wrongType(key)
	}
	return nil
}

func wrongType(key string) error { return syntaxErrorf("%s has a value of the wrong type", key) }

// entry returns the entry that the line's parts make.
func (l *line) entry() (Entry, error) {
	e := Entry{Card: l.card, ServiceCode: l.serviceCode, Expect: l.expect}
	switch {
	case !l.hasAt:
		return e, syntaxErrorf("the instant is missing")
	case l.card == "":
		return e, syntaxErrorf("the card is missing")
	case l.kind == 0:
		return e, syntaxErrorf("the event is missing")
	case l.hasServiceCode && l.kind != rotation.KindForced:
		return e, misplaced(keyServiceCode, rotation.KindForced, l.kind)
	case l.hasSlot && l.kind != rotation.KindAuto:
		return e, misplaced(keySlot, rotation.KindAuto, l.kind)
	case l.hasInterval && l.kind != rotation.KindSetInterval:
		return e, misplaced(keyInterval, rotation.KindSetInterval, l.kind)
	case l.hasFirst && l.kind != rotation.KindSetInterval:
		return e, misplaced(keyFirst, rotation.KindSetInterval, l.kind)
	case !l.hasInterval && l.kind == rotation.KindSetInterval:
		return e, syntaxErrorf("set_interval without an interval: add one such as 24h")
	case l.expect.Fields&FieldInterval != 0 && l.kind == rotation.KindSetInterval:
		return e, syntaxErrorf("set_interval has an interval of its own, and expects none")
	}
	switch {
	case l.kind == rotation.KindForced:
		e.Event = rotation.Forced(l.at)
	case l.hasSlot:
		e.Event = rotation.AutoSlot(l.at, l.slot)
	case l.kind == rotation.KindAuto:
		e.Event = rotation.AutoUnslotted(l.at)
	case l.hasFirst:
		e.Event = rotation.SetIntervalFirst(l.at, l.interval, l.first)
	case l.kind == rotation.KindSetInterval:
		e.Event = rotation.SetInterval(l.at, l.interval)
	default:
		e.Event = rotation.Disable(l.at)
	}
	return e, nil
}

func misplaced(key string, of, kind rotation.Kind) error {
	return syntaxErrorf("%s is a field of %v events, not of %v", key, of, kind)
}

// kindNamed is [rotation.Kind.UnmarshalText] without an allocation; 0 for none.
func kindNamed(name []byte) rotation.Kind {
	for kind := rotation.KindForced; kind <= rotation.KindDisable; kind++ {
		if kind.String() == string(name) {
			return kind
		}
	}
	return 0
}

// ParseInstant reads an RFC 3339 instant, in UTC. It is strict where package time
// is lenient: every part stands at its place, and what is finer than a nanosecond
// is an error, not rounded. The error wraps [ErrSyntax].
func ParseInstant(s string) (time.Time, error) { return parseInstant("the instant", []byte(s)) }

func parseInstant(key string, value []byte) (time.Time, error) {
	var t time.Time
	zone, ok := fraction(value)
	if !ok || !offset(zone) || t.UnmarshalText(value) != nil {
		return t, syntaxErrorf("%s %s is not an RFC 3339 instant such as 2026-11-22T15:00:00Z", key, quoted(value))
	}
	const nanoseconds = 9
	if digits := len(value) - len(zone) - len("2006-01-02T15:04:05."); digits > nanoseconds {
		return t, syntaxErrorf("%s %s is finer than a nanosecond", key, quoted(value))
	}
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return t, syntaxErrorf("%s %s is not of a year that RFC 3339 can write in UTC", key, quoted(value))
	}
	return t, nil
}

// fraction returns what follows the seconds and their fraction, and whether
// everything up to there stands at its place.
func fraction(value []byte) (zone []byte, ok bool) {
	const layout = "2006-01-02T15:04:05"
	if len(value) <= len(layout) || value[len("2006-01-02T15")] != ':' {
		return nil, false
	}
	zone = value[len(layout):]
	if zone[0] == '.' {
		zone = bytes.TrimLeft(zone[1:], "0123456789")
	}
	return zone, true
}

// offset reports whether zone is Z or an offset from UTC of less than a day.
func offset(zone []byte) bool {
	if string(zone) == "Z" {
		return true
	}
	return len(zone) == len("+00:00") && (zone[1] < '2' || zone[1] == '2' && zone[2] < '4') && zone[4] < '6'
}

func parseDuration(key, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, syntaxErrorf("%s %s is not a duration such as 24h or 1h30m", key, quoted([]byte(value)))
	}
	return d, nil
}

// parseRules returns the rules of a header; an empty string stands for the
// default.
func parseRules(guard, guardFrom string) (rotation.Rules, error) {
	length, from := rotation.DefaultGuard, rotation.GuardFromRequest
	var err error
	if guard != "" {
		if length, err = parseDuration(keyGuard, guard); err != nil {
			return rotation.Rules{}, err
		}
	}
	if guardFrom != "" {
		if err := from.UnmarshalText([]byte(guardFrom)); err != nil {
			return rotation.Rules{}, fmt.Errorf("guard_from %s: %w", quoted([]byte(guardFrom)), rotation.ErrGuardFrom)
		}
	}
	rules, err := rotation.NewRules(length, from)
	if errors.Is(err, rotation.ErrGuard) {
		return rotation.Rules{}, fmt.Errorf("guard %s: %w", guard, rotation.ErrGuard)
	}
	return rules, err
}
