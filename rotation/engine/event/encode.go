package event

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cvvrotation/rotation"
	"cvvrotation/rotation/internal/panmask"
)

// AppendJSON appends the event to b. It replaces bytes of strings that are not
// UTF-8; the engine's ids are ASCII.
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
	b = appendString(b, panmask.Mask(c.Account))
	b = append(b, `,"event_number":`...)
	b = strconv.AppendInt(b, c.Number, 10)
	b = append(b, `,"operation_type":`...)
	b = appendString(b, string(c.Operation))
	if c.Operation == OperationRotate {
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
	if c.Operation == OperationRotate && c.Automatic {
		b = append(b, `,"missed":`...)
		b = strconv.AppendInt(b, c.Missed, 10)
		if !c.Slot.IsZero() {
			b = appendTime(append(b, `,"slot":`...), c.Slot)
		}
	}
	if c.Compromised {
		b = append(b, `,"compromised":true`...)
	}
	if c.Repaired {
		b = append(b, `,"repaired":true`...)
	}
	if c.Rules != (rotation.Rules{}) {
		b = append(b, `,"rules":{"guard":"`...)
		b = append(b, rotation.FormatDuration(c.Rules.Guard())...)
		b = append(b, `","guard_from":"`...)
		b = append(b, c.Rules.GuardFrom().String()...)
		b = append(b, `"}`...)
	}
	return append(b, "}}"...)
}

func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // an error only reports that bytes were replaced
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
