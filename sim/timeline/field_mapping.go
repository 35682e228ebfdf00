package timeline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cvvrotation/rotation"
)

// ErrMapping is a [Mapping] that names a field or an event that there is not.
var ErrMapping = errors.New("bad mapping")

// keyIntervalHours is a field that only a mapping can name.
const keyIntervalHours = "interval_hours"

// mappable are the fields that a mapping can name.
var mappable = []string{
	keyAt, keyCard, keyEvent, keyServiceCode, keySlot, keyInterval, keyIntervalHours, keyFirst,
	keyRotate, keyReschedule, keyReason, keyScenario, keyMissed, keyNext,
}

// Mapping reads another system's JSON log as a timeline. A member of an inner
// object is named by its path, such as data.card_id. Members that no field is
// mapped to are skipped, and so are lines without an event of ours, whatever
// else they hold; a header is not looked for.
type Mapping struct {
	theirs map[string]string // their name or path to our field
	events map[string]string // their event to ours
}

// NewMapping returns the mapping in which the field that we call by the key of
// fields is what they call by its value, and the event that they call by the key
// of events is ours of its value. What is not in them has our name. The field
// interval_hours takes whole hours. The error wraps [ErrMapping].
func NewMapping(fields, events map[string]string) (*Mapping, error) {
	m := &Mapping{theirs: make(map[string]string), events: make(map[string]string)}
	for _, ours := range mappable {
		theirs, ok := fields[ours]
		if !ok {
			theirs = ours
		}
		if other, taken := m.theirs[theirs]; taken && (ok || fields[other] != "") {
			return nil, fmt.Errorf("%w: %s and %s can't both be %s", ErrMapping, other, ours, quoted([]byte(theirs)))
		}
		m.theirs[theirs] = ours
	}
	for ours := range fields {
		if !slices.Contains(mappable, ours) {
			return nil, fmt.Errorf("%w: no field is called %s; there are %v", ErrMapping, quoted([]byte(ours)), mappable)
		}
	}
	for kind := rotation.KindForced; kind <= rotation.KindDisable; kind++ {
		m.events[kind.String()] = kind.String()
	}
	for theirs, ours := range events {
		if kindNamed([]byte(ours)) == 0 {
			return nil, fmt.Errorf("%w: event %s: %w", ErrMapping, quoted([]byte(ours)), rotation.ErrKind)
		}
		m.events[theirs] = ours
	}
	return m, nil
}

// Map makes the Reader read JSON lines by the mapping. It must be called before
// anything is read.
func (r *Reader) Map(m *Mapping) {
	r.json.mapping = m
	r.parse = r.parseJSON
}

// Skipped returns how many lines of a log the Reader has skipped because they are
// JSON objects without an event of ours. A timeline has no such lines.
func (r *Reader) Skipped() int { return r.skipped }

// Unreadable returns how many lines of a log the Reader has passed over because they
// are no JSON object, such as a banner, a stack trace, or a last line that is cut
// off; and the number of the first of them.
func (r *Reader) Unreadable() (lines, first int) { return r.unreadable, r.firstUnreadable }

// mapped returns what reads the members of an object at the path prefix.
func (j *jsonDecoder) mapped(prefix string) func(name string) error {
	return func(name string) error {
		ours, ok := j.mapping.theirs[prefix+name]
		if !ok && j.dec.PeekKind() == '{' {
			return j.object(j.mapped(prefix + name + "."))
		}
		value, err := j.dec.ReadValue()
		switch {
		case err != nil:
			return j.syntaxError(err)
		case !ok:
			return nil
		case ours == keyIntervalHours:
			j.unread = cmp.Or(j.unread, j.setHours(value))
			return nil
		case ours == keyEvent && value.Kind() == '"':
			text, err := j.unquote(value)
			if err != nil {
				return err
			}
			j.line.kind = kindNamed([]byte(j.mapping.events[string(text)]))
			return nil
		}
		// Whether it matters that this can't be read depends on the event.
		j.unread = cmp.Or(j.unread, j.set(ours, value))
		return nil
	}
}

func (j *jsonDecoder) setHours(value jsontext.Value) error {
	hours, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || hours < 0 || hours > int64(rotation.MaxInterval/time.Hour) {
		return wrongType(keyIntervalHours)
	}
	j.line.interval, j.line.hasInterval = time.Duration(hours)*time.Hour, true
	return nil
}
