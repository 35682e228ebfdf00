package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/sim/model"
)

// format is how a system writes its log.
type format struct {
	extension      string
	flags          []string // by which cvvsim verify reads it
	precision      time.Duration
	noSlot         bool // it does not say for which slot a timer fired
	header, footer string
	noise          string // lines between the records
	line           func(record) string
}

var formats = []format{
	{extension: "jsonl", precision: time.Nanosecond, line: timelineLine},
	{
		extension: "log", precision: time.Millisecond, line: serviceLine,
		flags:  []string{"--map", "at=ts,card=card.id,event=op,slot=slot_at,interval_hours=hours,rotate=rotated,reschedule=rescheduled,next=next_rotation", "--map-event", "MANUAL=forced,AUTOMATIC=auto,CHANGE=set_interval"},
		header: "rotator 4.2 starting\n{\"ts\":1785542400000,\"level\":\"INFO\",\"msg\":\"listening\"}\n",
		noise:  "java.lang.IllegalStateException: connection reset\n\tat com.example.Pool.borrow(Pool.java:77)\n",
		footer: `{"ts":1786752000000,"level":"INFO","msg":"cvv rotat`,
	},
	{
		extension: "csv", precision: time.Microsecond, line: csvLine,
		flags:  []string{"--map", "at=time,card=card_id,event=kind,slot=slot_time,interval=interval,rotate=rotated,missed=missed,next=next_rotation"},
		header: "time,card_id,kind,slot_time,interval,rotated,missed,next_rotation\n",
	},
	{
		extension: "sparse.csv", precision: time.Microsecond, line: sparseLine,
		flags:  []string{"--map", "at=time,card=card_id,event=kind,slot=slot_time,interval=interval,rotate=rotated,missed=missed,next=next_rotation"},
		header: "time,card_id,kind,slot_time,interval,rotated,missed,next_rotation\n",
	},
	{extension: "events.jsonl", precision: time.Nanosecond, noSlot: true, line: eventLine},
}

// timelineLine returns the record as a line of a timeline with its expectations.
func timelineLine(r record) string {
	e := r.event
	b := fmt.Appendf(nil, `{"at":%q,"card":%q,"event":%q`, e.At.Format(time.RFC3339Nano), r.card, e.Kind)
	if e.Slot.OK {
		b = fmt.Appendf(b, `,"slot":%q`, e.Slot.Time.Format(time.RFC3339Nano))
	}
	if e.Interval != 0 {
		b = fmt.Appendf(b, `,"interval":%q`, e.Interval)
	}
	b = fmt.Appendf(b, `,"rotate":%t,"reschedule":%t,"reason":%q,"scenario":%d,"missed":%d`, r.Rotate, r.Reschedule, r.Reason, r.Scenario, r.Missed)
	return string(fmt.Appendf(b, ",\"next\":%q}\n", r.Next.Time.Format(time.RFC3339Nano)))
}

// serviceLine returns the record as a service logs it: other names, milliseconds.
func serviceLine(r record) string {
	e := r.event
	slot := "null"
	if e.Slot.OK {
		slot = strconv.FormatInt(e.Slot.Time.UnixMilli(), 10)
	}
	op := map[string]string{model.Forced: "MANUAL", model.Auto: "AUTOMATIC", model.SetInterval: "CHANGE"}[e.Kind]
	return fmt.Sprintf(`{"ts":%d,"level":"INFO","msg":"cvv","card":{"id":%q},"op":%q,"slot_at":%s,"hours":%g.0,"rotated":"%t","rescheduled":%t,"next_rotation":"%d"}`+"\n",
		e.At.UnixMilli(), r.card, op, slot, r.interval.Hours(), r.Rotate, r.Reschedule, r.Next.Time.UnixMilli())
}

// csvLine returns the record as a row: a blank between date and time, microseconds.
func csvLine(r record) string {
	const layout = "2006-01-02 15:04:05.999999-07:00"
	e := r.event
	slot := ""
	if e.Slot.OK {
		slot = e.Slot.Time.Format(layout)
	}
	return strings.Join([]string{
		e.At.Format(layout), r.card, e.Kind, slot, cmp.Or(e.Interval, r.interval).String(), strconv.FormatBool(r.Rotate),
		strconv.FormatInt(r.Missed, 10), `"` + r.Next.Time.Format(layout) + `"`,
	}, ",") + "\n"
}

// sparseLine returns the record as a row that has the interval only where it is set.
func sparseLine(r record) string {
	if r.event.Kind != model.SetInterval {
		return strings.Replace(csvLine(r), ","+r.interval.String()+",", ",,", 1)
	}
	return csvLine(r)
}

// eventLine returns the record as the daemon's event: changes alone have one.
func eventLine(r record) string {
	if r.number == 0 {
		return ""
	}
	c := event.Changed{
		Source: "urn:example:issuer", Card: r.card, Account: "acme", Number: r.number, At: r.event.At, Version: r.number,
		Operation: event.OperationRotate, Automatic: r.event.Kind == model.Auto,
		Next: r.Next.Time, Interval: r.interval, Rescheduled: r.Reschedule, Scenario: r.Scenario, Missed: r.Missed,
	}
	if r.event.Kind == model.SetInterval {
		c.Operation = event.OperationChangeInterval
	}
	if err := c.Reason.UnmarshalText([]byte(r.Reason)); err != nil {
		panic(err)
	}
	return string(c.AppendJSON(nil)) + "\n"
}
