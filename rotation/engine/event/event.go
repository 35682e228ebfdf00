// Package event encodes "Card CVV changed": what subscribers are told of every
// rotation and of every change of an interval. It is a CloudEvent (version 1.0,
// structured JSON), with the field names of the platform's documentation.
// [Schema] describes it, and [Parse] reads it.
//
// An event is delivered at least once, and in order for each card. So a
// subscriber remembers the event_number of the last event of each card and
// passes over those that are not greater; a number skipped is an event that was
// given up, or is delivered later by a replay.
//
// An event holds no CVV, no PAN and no service code.
package event

import (
	_ "embed"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cvvrotation/rotation"
)

// Type is the CloudEvents type of every event.
const Type = "card.cvv.changed.v1"

// ContentType is the media type of an event.
const ContentType = "application/cloudevents+json"

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (2020-12) of an event. It is strict about what
// is ours, and lets pass extension attributes that others may add on the way.
func Schema() []byte { return append([]byte(nil), schema...) }

// Operation is what changed a card.
type Operation string

// The operations. The last two have the platform's names.
const (
	Rotate         Operation = "ROTATE_CVV"          // a new CVV
	ChangeInterval Operation = "CHANGE_CVV_ROTATION" // a new interval or schedule
	DeleteInterval Operation = "DELETE_CVV_ROTATION" // automatic rotation turned off
)

// Changed is the event, in Go. Its zero value is not an event.
type Changed struct {
	Source    string    // URI reference of the issuer's system
	Card      string    // the card's id
	Account   string    // the card's account; may be empty
	Number    int64     // of the card's events: 1, 2, 3 … without a gap
	At        time.Time // when it happened
	Operation Operation
	Automatic bool // Rotate: on schedule, not forced

	Version     int64         // of the CVV that is now current
	Next        time.Time     // the next automatic rotation; zero: none
	Interval    time.Duration // 0: automatic rotation is off; Parse rounds it to microseconds, since JSON has it in hours
	Rescheduled bool
	Reason      rotation.Reason
	Scenario    int   // 1, 2, 3 or 0 (R21)
	Missed      int64 // slots skipped (R17)
	Compromised bool  // the value before died at once
	Repaired    bool  // the engine moved a slot that a wrong clock had set
}

// AppendJSON appends the event to b. Strings that are not UTF-8 come out with
// replacement characters; the engine's ids are ASCII.
func (c Changed) AppendJSON(b []byte) []byte {
	b = append(b, `{"specversion":"1.0","id":`...)
	b = appendString(b, c.Card)
	b = strconv.AppendInt(append(b[:len(b)-1], '.'), c.Number, 10)
	b = append(b, '"')
	b = append(b, `,"source":`...)
	b = appendString(b, c.Source)
	b = append(b, `,"type":"`+Type+`","subject":`...)
	b = appendString(b, c.Card)
	b = append(b, `,"partitionkey":`...) // by which brokers keep a card's events in order
	b = appendString(b, c.Card)
	b = append(b, `,"time":`...)
	b = appendTime(b, c.At)
	b = append(b, `,"datacontenttype":"application/json","data":{"card_id":`...)
	b = appendString(b, c.Card)
	b = append(b, `,"account_id":`...)
	b = appendString(b, c.Account)
	b = append(b, `,"event_number":`...)
	b = strconv.AppendInt(b, c.Number, 10)
	b = append(b, `,"operation_type":`...)
	b = appendString(b, string(c.Operation))
	if c.Operation == Rotate {
		b = append(b, `,"cvv_rotation_type":`...)
		if c.Automatic {
			b = append(b, `"AUTOMATIC"`...)
		} else {
			b = append(b, `"MANUAL"`...)
		}
	}
	b = append(b, `,"cvv_version":`...)
	b = strconv.AppendInt(b, c.Version, 10)
	b = append(b, `,"cvv_next_rotation_date":`...)
	b = appendTime(b, c.Next)
	b = append(b, `,"cvv_rotation_interval_hours":`...)
	if c.Interval == 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendFloat(b, c.Interval.Hours(), 'f', -1, 64)
	}
	b = append(b, `,"rescheduled":`...)
	b = strconv.AppendBool(b, c.Rescheduled)
	b = append(b, `,"reason":`...)
	b = appendString(b, c.Reason.String())
	b = append(b, `,"scenario":`...)
	b = strconv.AppendInt(b, int64(c.Scenario), 10)
	if c.Operation == Rotate && c.Automatic {
		b = append(b, `,"missed":`...)
		b = strconv.AppendInt(b, c.Missed, 10)
	}
	if c.Compromised {
		b = append(b, `,"compromised":true`...)
	}
	if c.Repaired {
		b = append(b, `,"repaired":true`...)
	}
	return append(b, "}}"...)
}

func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // an error tells of bytes that were replaced
	return b
}

// appendTime appends an instant in UTC, or null for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}
