package timeline

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// line is what both spellings have in common: the fields of an entry before
// they are understood. Absent fields are nil.
type line struct {
	card, event string

	serviceCode, slot, interval, first *string

	rotate, reschedule *bool
	reason             *string
	scenario, missed   *int64
	next               *string
	noNext             bool // none is expected
}

// entry understands the line as what happened at the instant at.
func (l *line) entry(at time.Time) (Entry, error) {
	e := Entry{Card: l.card}
	if l.card == "" {
		return e, syntaxErrorf("the card is missing")
	}
	var kind rotation.Kind
	if l.event == "" {
		return e, syntaxErrorf("the event is missing")
	}
	if err := kind.UnmarshalText([]byte(l.event)); err != nil {
		return e, fmt.Errorf("event %s: %w", quoted(l.event), rotation.ErrKind)
	}
	for _, f := range [...]struct {
		name  string
		value *string
		of    rotation.Kind
	}{
		{"service_code", l.serviceCode, rotation.KindForced},
		{"slot", l.slot, rotation.KindAuto},
		{"interval", l.interval, rotation.KindSetInterval},
		{"first", l.first, rotation.KindSetInterval},
	} {
		if f.value != nil && f.of != kind {
			return e, syntaxErrorf("%s belongs to %v events, not to %v", f.name, f.of, kind)
		}
	}

	var err error
	switch kind {
	case rotation.KindForced:
		e.Event = rotation.Forced(at)
		if l.serviceCode != nil {
			if *l.serviceCode == "" {
				return e, syntaxErrorf("service_code is empty: leave it out or give three digits")
			}
			if e.ServiceCode, err = servicecode.Parse(*l.serviceCode); err != nil {
				return e, fmt.Errorf("service_code: %w", err)
			}
		}
	case rotation.KindAuto:
		e.Event = rotation.Auto(at)
		if l.slot != nil {
			slot, err := parseInstant("slot", *l.slot)
			if err != nil {
				return e, err
			}
			e.Event = rotation.AutoSlot(at, slot)
		}
	case rotation.KindSetInterval:
		if l.interval == nil {
			return e, syntaxErrorf("set_interval without an interval: add one such as 24h")
		}
		interval, err := parseDuration("interval", *l.interval)
		if err != nil {
			return e, err
		}
		e.Event = rotation.SetInterval(at, interval)
		if l.first != nil {
			first, err := parseInstant("first", *l.first)
			if err != nil {
				return e, err
			}
			e.Event = rotation.SetIntervalFirst(at, interval, first)
		}
	case rotation.KindDisable:
		e.Event = rotation.Disable(at)
	}

	e.Expect, err = l.expect()
	return e, err
}

func (l *line) expect() (Expect, error) {
	var x Expect
	if l.rotate != nil {
		x.Fields |= FieldRotate
		x.Rotate = *l.rotate
	}
	if l.reschedule != nil {
		x.Fields |= FieldReschedule
		x.Reschedule = *l.reschedule
	}
	if l.reason != nil {
		x.Fields |= FieldReason
		if err := x.Reason.UnmarshalText([]byte(*l.reason)); err != nil {
			return x, fmt.Errorf("reason %s: %w", quoted(*l.reason), rotation.ErrReason)
		}
	}
	if l.scenario != nil {
		x.Fields |= FieldScenario
		x.Scenario = *l.scenario
	}
	if l.missed != nil {
		x.Fields |= FieldMissed
		x.Missed = *l.missed
	}
	if l.noNext {
		x.Fields |= FieldNext
	}
	if l.next != nil {
		x.Fields |= FieldNext
		var err error
		if x.Next, err = parseInstant("next", *l.next); err != nil {
			return x, err
		}
	}
	return x, nil
}

// parseInstant reads an RFC 3339 instant. It is strict where package time is
// lenient: more than nanoseconds is an error, not rounded.
func parseInstant(field, s string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return t, syntaxErrorf("%s %s is not an RFC 3339 instant such as 2026-11-22T15:00:00Z", field, quoted(s))
	}
	if dot := strings.IndexByte(s, '.'); dot >= 0 {
		if digits := strings.TrimLeft(s[dot+1:], "0123456789"); len(s)-dot-1-len(digits) > 9 {
			return t, syntaxErrorf("%s %s is finer than a nanosecond", field, quoted(s))
		}
	}
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return t, syntaxErrorf("%s %s is not of a year that RFC 3339 can write in UTC", field, quoted(s))
	}
	return t, nil
}

func parseDuration(field, s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, syntaxErrorf("%s %s is not a duration such as 24h or 1h30m", field, quoted(s))
	}
	return d, nil
}

// ParseRules returns the rules of base with the guard and its start replaced
// where they are given; empty strings leave them. The guard is a duration of
// Go's such as 2m, the start request or scheduling.
func ParseRules(base rotation.Rules, guard, guardFrom string) (rotation.Rules, error) {
	length, from := base.Guard(), base.GuardFrom()
	var err error
	if guard != "" {
		if length, err = parseDuration("guard", guard); err != nil {
			return base, err
		}
	}
	if guardFrom != "" {
		if err := from.UnmarshalText([]byte(guardFrom)); err != nil {
			return base, fmt.Errorf("guard_from %s: %w", quoted(guardFrom), rotation.ErrGuardFrom)
		}
	}
	rules, err := rotation.NewRules(length, from)
	if errors.Is(err, rotation.ErrGuard) {
		return base, fmt.Errorf("guard %s: %w", guard, rotation.ErrGuard)
	}
	return rules, err
}
