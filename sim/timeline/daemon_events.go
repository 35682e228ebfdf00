package timeline

import (
	"bytes"
	"io"

	"cvvrotation/rotation/engine/event"
)

// maxLead is how many lines a Reader scans for the daemon's first event.
const maxLead = 1000

// DaemonEvents reports whether the file is one of the daemon's events "Card CVV
// changed", a JSON object a line, alone or as cvvd events tail prints it. It is
// recognised by its first event, so call Rules or Next before.
//
// Each event becomes an entry that expects what the event reports. Lines without
// an event are passed over, and so is text before the object, such as a log's time
// stamp. The rules are those of the first event.
func (r *Reader) DaemonEvents() bool { return r.daemon }

// IgnoreRules makes the Reader accept daemon's events whose rules differ from those
// of the first event, which is an error otherwise. It is for callers that override
// the rules.
func (r *Reader) IgnoreRules() { r.ignoreRules = true }

// recognise continues where the line text is not what a timeline begins with, which
// is the error first: as CSV with our names, or as the daemon's events if one follows.
func (r *Reader) recognise(text []byte, first error) (Entry, bool, error) {
	own, _ := NewMapping(nil, nil)
	r.json.mapping = own
	if isHeader, _ := r.csvHeader(); isHeader {
		return Entry{}, false, nil
	}
	r.json.mapping = nil
	bad := &Error{File: r.file, Line: r.line, Err: first}
	structured := false
	for range maxLead {
		if object, _ := r.json.cloudEvent(text); object != nil {
			r.daemon, r.parse = true, r.parseDaemonEvent
			return r.parse(text)
		}
		if !structured && (r.line == bad.Line || bytes.IndexByte(text, '{') >= 0) {
			bad.Hint, structured = r.hint(text)
		}
		r.passOver(text)
		var err error
		if text, err = r.nextLine(); err == io.EOF {
			break
		} else if err != nil {
			return Entry{}, false, err
		}
	}
	r.skipped, r.unreadable = 0, 0
	return Entry{}, false, bad
}

func (r *Reader) parseDaemonEvent(text []byte) (e Entry, isEvent bool, err error) {
	object, _ := r.json.cloudEvent(text)
	if object == nil {
		r.passOver(text)
		return e, false, nil
	}
	c, err := event.Parse(object)
	if err != nil {
		return e, false, err
	}
	switch {
	case !r.inEvents:
		r.rules, r.inEvents = c.Rules, true
	case c.Rules != r.rules && !r.ignoreRules:
		return e, false, headerErrorf("this event was decided under %v, the first one under %v: split the log here, or override the rules with --guard and --guard-from", c.Rules, r.rules)
	}
	return DaemonEntry(c), true, nil
}

// DaemonEntry returns the entry of a daemon's event: the event of the rules that c
// reports, and as expectations what c reports of its decision.
func DaemonEntry(c event.Changed) Entry {
	e := Entry{Card: c.Card, Number: c.Number, Event: c.Event(), Expect: Expect{
		Fields: FieldRotate | FieldReschedule | FieldReason | FieldScenario | FieldNext,
		Rotate: c.Operation == event.OperationRotate, Reschedule: c.Rescheduled,
		Reason: c.Reason, Scenario: int64(c.Scenario), Next: c.Next,
	}}
	if c.Operation == event.OperationChangeInterval { // a repair, too
		return e
	}
	e.Expect.Fields |= FieldInterval
	e.Expect.Interval = c.Interval
	if c.Automatic {
		e.Expect.Fields |= FieldMissed
		e.Expect.Missed = c.Missed
	}
	return e
}

// passOver counts a line without an event of ours.
func (r *Reader) passOver(text []byte) {
	if _, isObject := r.json.cloudEvent(text); isObject {
		r.skipped++
	} else if r.unreadable++; r.unreadable == 1 {
		r.firstUnreadable = r.line
	}
}

// cloudEvent returns the JSON of the daemon's event in a line, nil if there is none,
// and whether the line ends with a JSON object at all.
func (j *jsonDecoder) cloudEvent(text []byte) (found []byte, isObject bool) {
	brace := bytes.IndexByte(text, '{')
	if brace < 0 {
		return nil, false
	}
	return j.typedEvent(text[brace:], true)
}

// typedEvent returns text if it is an object with the type of the daemon's events,
// or else its member event, as cvvd events tail prints it.
func (j *jsonDecoder) typedEvent(text []byte, outer bool) (found []byte, isObject bool) {
	j.source.Reset(text)
	j.dec.Reset(&j.source)
	var inner []byte
	err := j.object(func(name string) error {
		value, err := j.dec.ReadValue()
		switch {
		case name == "type" && string(value) == `"`+event.Type+`"`:
			found = text
		case outer && name == keyEvent && value.Kind() == '{':
			inner = bytes.Clone(value)
		}
		return err
	})
	if _, end := j.dec.ReadToken(); err != nil || end != io.EOF {
		return nil, false
	}
	if found == nil && inner != nil {
		found, _ = j.typedEvent(inner, false)
	}
	return found, true
}
