package timeline

import (
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
)

// jsonLine is a line of JSON Lines: a header, an event, or both.
type jsonLine struct {
	Timeline *int64     `json:"timeline"`
	Rules    *jsonRules `json:"rules"`

	At          string         `json:"at"`
	Card        string         `json:"card"`
	Event       string         `json:"event"`
	ServiceCode *string        `json:"service_code"`
	Slot        *string        `json:"slot"`
	Interval    *string        `json:"interval"`
	First       *string        `json:"first"`
	Rotate      *bool          `json:"rotate"`
	Reschedule  *bool          `json:"reschedule"`
	Reason      *string        `json:"reason"`
	Scenario    *int64         `json:"scenario"`
	Missed      *int64         `json:"missed"`
	Next        jsontext.Value `json:"next"`
}

type jsonRules struct {
	Guard     *string `json:"guard"`
	GuardFrom *string `json:"guard_from"`
}

// Names are matched to the letter and may stand once: encoding/json would fold
// their case and let the last of two win.
var jsonOptions = json.JoinOptions(json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(false))

func (j *jsonLine) decode(text []byte) error {
	*j = jsonLine{Next: j.Next[:0]}
	return jsonError(json.Unmarshal(text, j, jsonOptions))
}

// jsonError says in words what the library found wrong. The library's own
// message may quote a value, which may be a misplaced secret.
func jsonError(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return syntaxErrorf("unknown member %s", quoted(semantic.JSONPointer.LastToken()))
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return syntaxErrorf("member %s stands twice", quoted(syntactic.JSONPointer.LastToken()))
	case errors.As(err, &semantic) && semantic.JSONPointer != "":
		return syntaxErrorf("member %s is of the wrong type or out of range", quoted(semantic.JSONPointer.LastToken()))
	case errors.As(err, &syntactic):
		return syntaxErrorf("broken JSON at byte %d", syntactic.ByteOffset+1)
	default:
		return syntaxErrorf("a JSON object is needed")
	}
}

// header returns the rules that the line sets. A header of its own has the
// member timeline; an event may carry just the rules, if it is the first.
func (j *jsonLine) header() (rotation.Rules, error) {
	switch {
	case j.Timeline != nil && *j.Timeline != 1:
		return rotation.Rules{}, headerErrorf("timeline %d: this release reads version 1", *j.Timeline)
	case j.Timeline != nil && (j.At != "" || j.Card != "" || j.Event != ""):
		return rotation.Rules{}, headerErrorf("it is a line of its own, apart from any event")
	case j.Rules == nil:
		return rotation.Rules{}, nil
	}
	return parseHeaderRules(j.Rules.Guard, j.Rules.GuardFrom)
}

func (j *jsonLine) entry() (Entry, error) {
	if j.At == "" {
		return Entry{}, syntaxErrorf("the instant (at) is missing")
	}
	at, err := parseInstant("at", j.At)
	if err != nil {
		return Entry{}, err
	}
	l := line{
		card: j.Card, event: j.Event,
		serviceCode: j.ServiceCode, slot: j.Slot, interval: j.Interval, first: j.First,
		rotate: j.Rotate, reschedule: j.Reschedule, reason: j.Reason,
		scenario: j.Scenario, missed: j.Missed,
	}
	switch j.Next.Kind() {
	case 0: // absent
	case 'n':
		l.noNext = true
	case '"':
		var next string
		if err := json.Unmarshal(j.Next, &next); err != nil {
			return Entry{}, jsonError(err)
		}
		l.next = &next
	default:
		return Entry{}, syntaxErrorf("member %s is neither an instant nor null", quoted("next"))
	}
	return l.entry(at)
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
		b = append(b, FormatDuration(e.Event.Interval())...)
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
	if rules != (rotation.Rules{}) {
		b = append(b, `,"rules":{"guard":"`...)
		b = append(b, FormatDuration(rules.Guard())...)
		b = append(b, `","guard_from":"`...)
		b = append(b, rules.GuardFrom().String()...)
		b = append(b, `"}`...)
	}
	return append(b, "}\n"...), nil
}
