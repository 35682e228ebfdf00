package timeline

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// jsonDecoder decodes lines of JSON Lines. Names are matched to the letter and
// may stand once: encoding/json would fold their case and let the last of two
// win.
type jsonDecoder struct {
	dec     jsontext.Decoder
	source  bytes.Reader
	value   []byte // an unquoted string
	line    line
	mapping *Mapping // nil for lines that are ours
	unread  error    // with a mapping: the first value that can't be read

	logGuard, logGuardFrom string // with a mapping: the rules that the line names

	isHeader bool // the line has the member timeline
	hasRules bool
	rules    rotation.Rules
}

// decode reads one line. It may be a header (isHeader), an event, or an event
// that carries rules.
func (j *jsonDecoder) decode(text []byte) error {
	j.source.Reset(text)
	j.dec.Reset(&j.source)
	j.line, j.isHeader, j.hasRules, j.rules = line{}, false, false, rotation.Rules{}
	member := j.member
	if j.mapping != nil {
		j.beginMapped()
		j.dec.Reset(&j.source, jsontext.AllowDuplicateNames(true)) // as some loggers write
		member = j.mapped("")
	}
	if err := j.object(member); err != nil {
		return err
	}
	if _, err := j.dec.ReadToken(); err != io.EOF {
		return syntaxErrorf("more than one JSON value in the line")
	}
	if j.isHeader && j.line != (line{}) {
		return headerErrorf("the header must be a line without an event")
	}
	return nil
}

// object reads an object, calling member with each name.
func (j *jsonDecoder) object(member func(name string) error) error {
	open, err := j.dec.ReadToken()
	if err != nil {
		return j.syntaxError(err)
	}
	if open.Kind() != '{' {
		return syntaxErrorf("a JSON object is needed")
	}
	for j.dec.PeekKind() != '}' {
		name, err := j.dec.ReadValue()
		if err != nil {
			return j.syntaxError(err)
		}
		if err := member(unquoteName(name)); err != nil {
			return err
		}
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return j.syntaxError(err)
	}
	return nil
}

// names maps a quoted name to the name, for those that a line may have.
var names = func() map[string]string {
	m := make(map[string]string)
	for _, name := range []string{
		keyTimeline, keyRules, keyGuard, keyGuardFrom,
		keyAt, keyCard, keyEvent, keyServiceCode, keySlot, keyInterval, keyFirst,
		keyRotate, keyReschedule, keyReason, keyScenario, keyMissed, keyNext,
	} {
		m[`"`+name+`"`] = name
	}
	return m
}()

// unquoteName returns the name that is quoted. Ours, unless they are escaped,
// cost no allocation.
func unquoteName(quotedName []byte) string {
	if name, ok := names[string(quotedName)]; ok {
		return name
	}
	name, _ := jsontext.AppendUnquote(nil, quotedName) // the decoder has checked it
	return string(name)
}

// member reads the value of a line's member.
func (j *jsonDecoder) member(name string) error {
	switch name {
	case keyTimeline:
		j.isHeader = true
		version, err := j.dec.ReadValue()
		if err != nil {
			return j.syntaxError(err)
		}
		if string(version) != "1" {
			return headerErrorf("this release reads timelines of version 1 only")
		}
		return nil
	case keyRules:
		j.hasRules = true
		return j.readRules()
	case keyAt, keyCard, keyEvent, keyServiceCode, keySlot, keyInterval, keyFirst,
		keyRotate, keyReschedule, keyReason, keyScenario, keyMissed, keyNext:
	default:
		return syntaxErrorf("unknown member %s", quoted([]byte(name)))
	}
	value, err := j.dec.ReadValue()
	if err != nil {
		return j.syntaxError(err)
	}
	return j.set(name, value)
}

// set sets a part of the line to a JSON value.
func (j *jsonDecoder) set(name string, value jsontext.Value) error {
	switch value.Kind() {
	case '"':
		text, err := j.unquote(value)
		if err != nil {
			return err
		}
		return j.line.setText(name, text)
	case 't', 'f':
		return j.line.setBool(name, value.Kind() == 't')
	case 'n':
		j.line.setNull(name)
		return nil
	case '0':
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return wrongType(name)
		}
		return j.line.setInt(name, n)
	}
	return wrongType(name)
}

func (j *jsonDecoder) readRules() error {
	var values struct{ guard, guardFrom string }
	err := j.object(func(name string) error {
		value, err := j.dec.ReadValue()
		switch {
		case err != nil:
			return j.syntaxError(err)
		case name != keyGuard && name != keyGuardFrom:
			return syntaxErrorf("unknown member %s: rules are guard and guard_from", quoted([]byte(name)))
		case value.Kind() != '"' || len(value) == len(`""`):
			return wrongType(name)
		}
		text, err := j.unquote(value)
		if name == keyGuard {
			values.guard = string(text)
		} else {
			values.guardFrom = string(text)
		}
		return err
	})
	if err != nil {
		return err
	}
	j.rules, err = parseRules(values.guard, values.guardFrom)
	return err
}

// unquote returns the text of a JSON string; it is valid until the next call.
func (j *jsonDecoder) unquote(value jsontext.Value) ([]byte, error) {
	var err error
	if j.value, err = jsontext.AppendUnquote(j.value[:0], value); err != nil {
		return nil, j.syntaxError(err)
	}
	return j.value, nil
}

// syntaxError says in words what the library found wrong. The library's own
// message may quote a value, which may be a misplaced secret.
func (j *jsonDecoder) syntaxError(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return syntaxErrorf("a member occurs twice, at byte %d", j.dec.InputOffset()+1)
	}
	return syntaxErrorf("broken JSON after byte %d", j.dec.InputOffset())
}

// appendJSON appends e as a line of JSON Lines. The rules, where they are not
// the default, ride on the event, so that each line is one event.
func appendJSON(b []byte, e Entry, rules rotation.Rules) ([]byte, error) {
	b = append(b, `{"at":"`...)
	b = e.Event.At().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","card":`...)
	b, err := jsontext.AppendQuote(b, e.Card)
	if err != nil {
		return b, syntaxErrorf("the card is not valid UTF-8")
	}
	b = append(b, `,"event":"`...)
	b = append(b, e.Event.Kind().String()...)
	b = append(b, '"')
	instant := func(name string, t time.Time) {
		b = append(b, `,"`...)
		b = append(b, name...)
		b = append(b, `":"`...)
		b = t.AppendFormat(b, time.RFC3339Nano)
		b = append(b, '"')
	}
	if e.ServiceCode != (servicecode.Code{}) {
		b = append(b, `,"service_code":"`...)
		b = append(b, e.ServiceCode.String()...)
		b = append(b, '"')
	}
	if slot, ok := e.Event.Slot(); ok {
		instant("slot", slot)
	}
	if e.Event.Kind() == rotation.KindSetInterval {
		b = append(b, `,"interval":"`...)
		b = append(b, rotation.FormatDuration(e.Event.Interval())...)
		b = append(b, '"')
	}
	if first, ok := e.Event.First(); ok {
		instant("first", first)
	}

	x := e.Expect
	if x.Fields&FieldRotate != 0 {
		b = strconv.AppendBool(append(b, `,"rotate":`...), x.Rotate)
	}
	if x.Fields&FieldReschedule != 0 {
		b = strconv.AppendBool(append(b, `,"reschedule":`...), x.Reschedule)
	}
	if x.Fields&FieldReason != 0 {
		b = append(b, `,"reason":"`...)
		b = append(b, x.Reason.String()...)
		b = append(b, '"')
	}
	if x.Fields&FieldScenario != 0 {
		b = strconv.AppendInt(append(b, `,"scenario":`...), x.Scenario, 10)
	}
	if x.Fields&FieldMissed != 0 {
		b = strconv.AppendInt(append(b, `,"missed":`...), x.Missed, 10)
	}
	if x.Fields&FieldNext != 0 {
		if x.Next.IsZero() {
			b = append(b, `,"next":null`...)
		} else {
			instant("next", x.Next)
		}
	}
	if x.Fields&FieldInterval != 0 {
		if x.Interval == 0 {
			b = append(b, `,"interval":null`...)
		} else {
			b = append(b, `,"interval":"`...)
			b = append(b, rotation.FormatDuration(x.Interval)...)
			b = append(b, '"')
		}
	}
	if rules != (rotation.Rules{}) {
		b = append(b, `,"rules":{"guard":"`...)
		b = append(b, rotation.FormatDuration(rules.Guard())...)
		b = append(b, `","guard_from":"`...)
		b = append(b, rules.GuardFrom().String()...)
		b = append(b, `"}`...)
	}
	return append(b, "}\n"...), nil
}
