package timeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cvvrotation/rotation"
)

// ErrMapping is returned for a [Mapping] of an unknown field or event, or of two
// fields to one name.
var ErrMapping = errors.New("bad mapping")

// keyIntervalHours is a field that only a mapping can name.
const keyIntervalHours = "interval_hours"

// mappable are the fields that a mapping can name.
var mappable = []string{
	keyAt, keyCard, keyEvent, keyServiceCode, keySlot, keyInterval, keyIntervalHours, keyFirst,
	keyRotate, keyReschedule, keyReason, keyScenario, keyMissed, keyNext,
}

// Mapping reads another system's log as a timeline: JSON objects, one a line or in
// an array, or CSV with a header. A member of an inner object is named by its path,
// such as data.card_id. Members and columns that no field is mapped to are ignored;
// lines without an event of ours are passed over, and so is text before an object,
// such as a time stamp. A line with a member rules as ours, other than the default
// rules, is an error unless [Reader.IgnoreRules] was called.
//
// Values may be strings, numbers or booleans, in the spellings of other systems.
// Instants are also read with a blank for the T, with +0000, +00 or UTC, and as
// seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by
// their size; an instant without a zone is an error. Intervals may be ISO 8601,
// such as PT24H. A null is a value that is not given, but for next (none) and the
// interval (off). An empty cell of CSV is not given; there NULL, \N, none and off are null.
//
// A Mapping is for one goroutine at a time.
type Mapping struct {
	fields map[string]*mapped // by their name or path
	events map[string]*mapped // by their event
	lines  int                // decoded

	event   string         // their name of the event field
	other   []byte         // the line's event that is none of ours
	unknown map[string]int // skipped lines by such an event
}

// mapped is our name for one of theirs.
type mapped struct {
	ours  string
	asked bool // by the caller, not by default
	seen  bool // in a log
	line  int  // the line that had it last
}

// NewMapping returns a mapping. fields maps our names to theirs: {"card": "card_id"}.
// events maps their events to ours: {"MANUAL": "forced"}. Fields and events that are
// left out have our names. The field interval_hours is a number of whole hours. The
// error wraps [ErrMapping].
func NewMapping(fields, events map[string]string) (*Mapping, error) {
	m := &Mapping{fields: make(map[string]*mapped), events: make(map[string]*mapped), unknown: make(map[string]int)}
	m.event = cmp.Or(fields[keyEvent], keyEvent)
	for _, ours := range mappable {
		theirs, ok := fields[ours]
		if !ok {
			theirs = ours
		}
		if other := m.fields[theirs]; other != nil && (ok || other.asked) {
			byDefault := ""
			if !ok || !other.asked {
				byDefault = "; without a mapping it is " + theirs
			}
			return nil, fmt.Errorf("%w: %s and %s can't both be %s%s", ErrMapping, other.ours, ours, quoted([]byte(theirs)), byDefault)
		}
		m.fields[theirs] = &mapped{ours: ours, asked: ok}
	}
	for ours := range fields {
		if !slices.Contains(mappable, ours) {
			return nil, fmt.Errorf("%w: no field is called %s; there are %v", ErrMapping, quoted([]byte(ours)), mappable)
		}
	}
	for kind := rotation.KindForced; kind <= rotation.KindDisable; kind++ {
		m.events[kind.String()] = &mapped{ours: kind.String()}
	}
	for theirs, ours := range events {
		if kindNamed([]byte(ours)) == 0 {
			return nil, fmt.Errorf("%w: event %s: %w", ErrMapping, quoted([]byte(ours)), rotation.ErrKind)
		}
		m.events[theirs] = &mapped{ours: ours, asked: true}
	}
	return m, nil
}

// Unseen returns their names of the fields and events that the caller of
// [NewMapping] named and that no line read so far has had: probably misspelt.
func (m *Mapping) Unseen() (fields, events []string) {
	unseen := func(names map[string]*mapped) (theirs []string) {
		for name, f := range names {
			if f.asked && !f.seen {
				theirs = append(theirs, name)
			}
		}
		slices.Sort(theirs)
		return theirs
	}
	return unseen(m.fields), unseen(m.events)
}

// maxUnknownEvents bounds the distinct values that UnknownEvents returns.
const maxUnknownEvents = 5

// UnknownEvents returns their name of the event field, and how many lines read so far
// were skipped for each of its first 5 values that are no event of ours. It leaves out
// what is no name, because that could be a secret.
func (m *Mapping) UnknownEvents() (field string, lines map[string]int) { return m.event, m.unknown }

// Map makes the Reader read a log by the mapping. It must be called before
// anything is read.
func (r *Reader) Map(m *Mapping) {
	r.json.mapping = m
	r.parse = r.parseLog
}

// Skipped returns how many lines of a log the Reader has skipped because they are
// JSON objects, or rows of CSV, without an event of ours. A timeline has no such lines.
func (r *Reader) Skipped() int { return r.skipped }

// Unreadable returns how many lines of a log the Reader has passed over because they
// are no JSON object, or no row as long as the header, such as a banner, a stack
// trace, or a last line that is cut off; and the number of the first of them.
func (r *Reader) Unreadable() (lines, first int) { return r.unreadable, r.firstUnreadable }

// parseLog reads a line of JSON by the mapping, or recognises the header of CSV.
func (r *Reader) parseLog(text []byte) (e Entry, isEvent bool, err error) {
	object := text[max(0, bytes.IndexByte(text, '{')):]
	if err := r.json.decode(object); err != nil {
		if !r.inEvents && r.skipped == 0 {
			if isHeader, err := r.csvHeader(); isHeader || err != nil {
				return e, false, err
			}
		}
		r.passOver(text)
		return e, false, nil
	}
	return r.logEntry()
}

// logEntry returns the entry of the line that was decoded by the mapping, if it has
// an event of ours.
func (r *Reader) logEntry() (e Entry, isEvent bool, err error) {
	if err := r.checkLogRules(); err != nil {
		return e, false, err
	}
	if r.json.line.kind == 0 {
		r.skipped++
		m := r.json.mapping
		if _, known := m.unknown[string(m.other)]; known || len(m.unknown) < maxUnknownEvents && nameForm.Match(m.other) {
			m.unknown[string(m.other)]++
		}
		return e, false, nil
	}
	if r.json.unread != nil {
		return e, false, r.json.unread
	}
	r.json.line.expectInterval()
	e, err = r.json.line.entry()
	return e, true, err
}

func (j *jsonDecoder) beginMapped() {
	j.line, j.unread = line{}, nil
	j.mapping.lines++
	j.mapping.other = j.mapping.other[:0]
	j.logGuard, j.logGuardFrom = "", ""
}

// mapped returns what reads the members of an object at the path prefix.
func (j *jsonDecoder) mapped(prefix string) func(name string) error {
	return func(name string) error {
		field := j.mapping.fields[prefix+name]
		if field == nil && (prefix == "rules." || strings.HasSuffix(prefix, ".rules.")) && (name == keyGuard || name == keyGuardFrom) {
			return j.logRule(name)
		}
		if field == nil && j.dec.PeekKind() == '{' {
			return j.object(j.mapped(prefix + name + "."))
		}
		value, err := j.dec.ReadValue()
		if err != nil || field == nil {
			return err
		}
		text := []byte(value)
		switch value.Kind() {
		case 'n':
			text = nil
		case '"':
			if text, err = j.unquote(value); err != nil {
				return err
			}
		case '{', '[':
			j.unread = cmp.Or(j.unread, wrongType(field.ours))
			return nil
		}
		j.setField(field, text)
		return nil
	}
}

// logRule reads a member of the rules under which the log says that it was decided.
func (j *jsonDecoder) logRule(name string) error {
	value, err := j.dec.ReadValue()
	if err != nil || value.Kind() != '"' {
		return err
	}
	text, err := j.unquote(value)
	if name == keyGuard {
		j.logGuard = string(text)
	} else {
		j.logGuardFrom = string(text)
	}
	return err
}

// checkLogRules refuses a line that says that it was decided under other rules than
// those that it is read under. What is no rule of ours is ignored.
func (r *Reader) checkLogRules() error {
	j := &r.json
	if j.logGuard == "" && j.logGuardFrom == "" || r.ignoreRules {
		return nil
	}
	rules, err := parseRules(j.logGuard, j.logGuardFrom)
	if err != nil || rules == (rotation.Rules{}) {
		return nil
	}
	return &Error{File: r.file, Line: r.line, Err: headerErrorf("this line was decided under %v, and a mapped log is read under the default rules", rules),
		Hint: fmt.Sprintf("give the rules: --guard %s --guard-from %v", rotation.FormatDuration(rules.Guard()), rules.GuardFrom())}
}

// setField sets a part of the line to their value; an empty one is null.
func (j *jsonDecoder) setField(field *mapped, text []byte) {
	if field.line == j.mapping.lines {
		j.unread = cmp.Or(j.unread, syntaxErrorf("the line has a value of %s twice", field.ours))
	}
	field.seen, field.line = true, j.mapping.lines
	switch {
	case field.ours == keyEvent:
		if event := j.mapping.events[string(text)]; event != nil {
			event.seen = true
			j.line.kind = kindNamed([]byte(event.ours))
		} else {
			j.mapping.other = append(j.mapping.other[:0], text...)
		}
	case len(text) == 0:
		j.line.setNull(field.ours)
	default:
		err := j.line.setForeign(field.ours, text)
		if errors.Is(err, rotation.ErrReason) {
			if err = syntaxErrorf("%s is none of ours", field.ours); !field.asked { // another system's own words
				j.line.expect.Fields &^= FieldReason
				err = nil
			}
		}
		// Whether it matters that this can't be read depends on the event.
		j.unread = cmp.Or(j.unread, err)
	}
}
