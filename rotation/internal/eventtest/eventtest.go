// Package eventtest has the events that tests of package event and of its JSON
// Schema share.
package eventtest

import (
	"strings"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
)

// Start is the instant of the events in Golden.
var Start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

var otherRules, _ = rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling)

// Golden returns the events whose bytes are in testdata/v1 of package event, by
// the name of their file.
func Golden() map[string]event.Changed {
	events := map[string]event.Changed{
		"forced": {
			Operation: event.OperationRotate, Version: 2, Rescheduled: true, Reason: rotation.ReasonScheduled,
			Next: Start.Add(24 * time.Hour), Interval: 24 * time.Hour,
		},
		"held": {
			Operation: event.OperationRotate, Version: 3, Reason: rotation.ReasonGuard, Scenario: 3, Compromised: true,
			Next: Start.Add(24 * time.Hour), Interval: 24 * time.Hour,
		},
		"held_forced": {
			Operation: event.OperationRotate, Version: 3, Reason: rotation.ReasonGuard, Scenario: 1,
			Next: Start.Add(24 * time.Hour), Interval: 24 * time.Hour,
		},
		"held_automatic": {
			Operation: event.OperationRotate, Version: 3, Automatic: true, Reason: rotation.ReasonGuard, Scenario: 2,
			Next: Start.Add(24 * time.Hour), Interval: 24 * time.Hour,
		},
		"automatic": {
			Operation: event.OperationRotate, Version: 4, Automatic: true, Missed: 2, Rescheduled: true, Reason: rotation.ReasonScheduled,
			Next: Start.Add(30*time.Minute + 1), Interval: 90 * time.Minute,
		},
		"slot": {
			Operation: event.OperationRotate, Version: 4, Automatic: true, Slot: Start.Add(-time.Nanosecond), Rescheduled: true, Reason: rotation.ReasonScheduled,
			Next: Start.Add(24*time.Hour - time.Nanosecond), Interval: 24 * time.Hour,
		},
		"forced_off": {Operation: event.OperationRotate, Version: 5, Reason: rotation.ReasonRotationOff},
		"interval": {
			Operation: event.OperationChangeInterval, Version: 1, Rescheduled: true, Reason: rotation.ReasonIntervalSet,
			Next: Start.Add(time.Hour), Interval: time.Hour, Repaired: true,
		},
		"microseconds": {
			Operation: event.OperationChangeInterval, Version: 1, Rescheduled: true, Reason: rotation.ReasonIntervalSet,
			Next: Start.Add(121 * time.Second), Interval: 121*time.Second + time.Microsecond,
		},
		"other_rules": {
			Operation: event.OperationRotate, Version: 2, Reason: rotation.ReasonGuard, Scenario: 3,
			Next: Start.Add(24 * time.Hour), Interval: 24 * time.Hour, Rules: otherRules,
		},
		"disabled": {Operation: event.OperationDeleteInterval, Version: 1, Reason: rotation.ReasonRotationOff},
	}
	for name, e := range events {
		e.Source, e.Card, e.Account, e.Number, e.At = "/cvvrotation", "card_7", "acme", 7, Start
		events[name] = e
	}
	events["limits"] = event.Changed{
		Source: "https://issuer.example/cards?region=eu&name=%C3%BC", Card: "Az09_-:.Az09_-:.Az09_-:.Az09_-:.Az09_-:.Az09_-:.Az09_-:.Az09_-:.", Number: 1<<63 - 1,
		At:        time.Date(2200, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		Operation: event.OperationRotate, Version: 1<<63 - 1, Automatic: true, Missed: 1<<63 - 1, Rescheduled: true, Reason: rotation.ReasonScheduled,
		Next: time.Date(2210, 12, 29, 23, 59, 59, 999_999_999, time.UTC), Interval: rotation.MaxInterval,
	}
	return events
}

// History draws the events that an engine writes for one card. The rules decide.
func History(t *rapid.T) []event.Changed {
	name := rapid.StringMatching(`[A-Za-z0-9_:-][A-Za-z0-9_:.-]{0,63}`)
	notPAN := func(id string) bool { return strings.ContainsFunc(id, unicode.IsLetter) }
	c := event.Changed{
		Source:  rapid.SampledFrom([]string{"/cvvrotation", "https://issuer.example/cards", "urn:issuer:1"}).Draw(t, "source"),
		Card:    name.Filter(notPAN).Draw(t, "card"),
		Account: rapid.OneOf(rapid.Just(""), name).Draw(t, "account"),
		Version: 1,
		Rules:   rapid.SampledFrom([]rotation.Rules{{}, otherRules}).Draw(t, "rules"),
	}
	var state rotation.State
	var events []event.Changed
	at := Start
	for range rapid.IntRange(1, 12).Draw(t, "length") {
		at = at.Add(time.Duration(rapid.OneOf(rapid.Int64Range(0, int64(time.Hour)), rapid.Just(int64(time.Minute))).Draw(t, "gap")))
		e := c
		var input rotation.Event
		switch rapid.SampledFrom([]string{"forced", "auto", "slot", "interval", "disable"}).Draw(t, "event") {
		case "forced":
			input = rotation.Forced(at)
			e.Compromised = rapid.Bool().Draw(t, "compromised")
		case "auto":
			input, e.Automatic = rotation.AutoUnslotted(at), true
		case "slot":
			slot, ok := state.Next()
			if !ok {
				continue
			}
			at = slot.Add(time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "late")))
			input, e.Automatic, e.Slot = rotation.AutoSlot(at, slot), true, slot
		case "interval":
			interval := time.Duration(rapid.Int64Range(301_000_000, int64(rotation.MaxInterval/time.Microsecond)).Draw(t, "interval")) * time.Microsecond
			if rapid.Bool().Draw(t, "hours") {
				interval = interval.Truncate(time.Hour) + time.Hour
			}
			input = rotation.SetInterval(at, min(interval, rotation.MaxInterval))
			e.Repaired = rapid.Bool().Draw(t, "repaired")
		case "disable":
			input = rotation.Disable(at)
		}
		after, d, err := c.Rules.Decide(state, input)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case d.Rotate():
			e.Operation = event.OperationRotate
			e.Version++
		case d.Reschedule():
			e.Operation = event.OperationChangeInterval
		case state.Interval() != 0 && after.Interval() == 0:
			e.Operation = event.OperationDeleteInterval
		default:
			continue
		}
		state = after
		e.Number++
		c.Number, c.Version = e.Number, e.Version
		e.At, e.Interval = at, after.Interval()
		e.Next, _ = after.Next()
		e.Rescheduled, e.Reason, e.Scenario, e.Missed = d.Reschedule(), d.Reason(), d.Scenario, d.Missed
		events = append(events, e)
	}
	return events
}

// Change is a change of an event's JSON.
type Change struct {
	From, To      string // replaced once
	Says          string // is in Parse's error
	SchemaAccepts bool   // a schema compares no members and sees no repeated one
}

// Invalid returns changes of the event "automatic" that Parse refuses.
func Invalid() []Change {
	return []Change{
		{`"id":"card_7.7"`, `"id":"card_7.8"`, "id is not", true},
		{`"subject":"card_7"`, `"subject":"card_8"`, "card", true},
		{`"partitionkey":"card_7"`, `"partitionkey":"card_8"`, "partitionkey", true},
		{`"card_id":"card_7"`, `"card_id":"card_8"`, "card_id", true},
		{`"scenario":0`, `"scenario":1`, "scenario", false},
		{`"scenario":0`, `"scenario":0,"scenario":0`, "repeated", true},
		{`"scenario":0`, `"scenario":0,"cvv":"123","cvv":"124"`, "repeated", true},
		{`"scenario":0`, `"scenario":0,"Scenario":0`, "lower case", false},
		{`"scenario":0`, `"scenario":0,"CVV":"123"`, "lower case", false},
		{`"scenario":0`, `"scenario":0,"":"123"`, "lower case", false},
		{`"scenario":0`, `"scenario":0,"cvv":{"value":123]`, "broken", false},
		{`"scenario":0`, `"scenario":0,"cvv":{"value":123,"value":124}`, "repeated", true},
		{`"reason":"scheduled","scenario":0`, `"reason":"guard","scenario":4`, "scenario", false},
		{`"missed":2`, `"missed":-2`, "missed", false},
		{`,"missed":2`, ``, "missed", false},
		{`"missed":2`, `"missed":2,"compromised":true`, "compromised", false},
		{`"missed":2`, `"missed":2,"compromised":false`, "compromised", false},
		{`"missed":2`, `"missed":2,"repaired":true`, "repaired", false},
		{`"missed":2`, `"missed":2,"rules":{"guard":"-5m","guard_from":"request"}`, "rules must be", false},
		{`"missed":2`, `"missed":2,"rules":{"guard":"5m0s","guard_from":"request"}`, "rules must be", true},
		{`"missed":2`, `"missed":2,"rules":{"guard":"5m"}`, "rules must be", false},
		{`"missed":2`, `"missed":2,"rules":{"guard":"5m","guard_from":"now"}`, "rules must be", false},
		{`"missed":2`, `"missed":2,"rules":{"guard":"5m","Guard":"5m","guard_from":"request"}`, "lower case", false},
		{`"cvv_rotation_type":"AUTOMATIC"`, `"slot":"2026-11-22T15:00:00Z","cvv_rotation_type":"MANUAL"`, "belongs to AUTOMATIC", false},
		{`"missed":2`, `"missed":2,"slot":"2026-11-22T16:00:00+01:00"`, "slot", false},
		{`"missed":2`, `"missed":2,"slot":null`, "slot", false},
		{`"missed":2`, `"missed":2,"Slot":null`, "lower case", false},
		{`AUTOMATIC`, `SOMETIMES`, "AUTOMATIC or MANUAL", false},
		{`ROTATE_CVV`, `CHANGE_CVV_ROTATION`, "cvv_rotation_type", false},
		{`ROTATE_CVV`, `STEAL_CVV`, "operation_type", false},
		{`"reason":"scheduled"`, `"reason":"interval_set"`, "reason", false},
		{`"reason":"scheduled"`, `"reason":"because"`, "reason", false},
		{`"rescheduled":true`, `"rescheduled":false`, "rescheduled", false},
		{`_hours":1.5`, `_hours":null`, "null", false},
		{`_hours":1.5`, `_hours":87600.1`, "ten years", false},
		{`15:00:00Z`, `15:00:00.10Z`, "time", false},
		{`15:00:00Z`, `16:00:00+01:00`, "time", false},
		{`"time"`, `"TIME"`, "lower case", false},
		{`"time"`, `"Time":"2026-11-22T15:00:00Z","time"`, "lower case", false},
		{`"time"`, `"data_base64":"MTIz","time"`, "lower case", false},
		{`"time"`, `"issued"`, "time is missing", false},
		{`"time":"2026-11-22T15:00:00Z","datacontenttype":"application/json","data":{`,
			`"datacontenttype":"application/json","data":{"time":1,`, "time is missing", false},
		{`"source":"/cvvrotation",`, ``, "source is missing", false},
		{`,"missed":2}}`, `},"missed":2}`, "missed belongs to AUTOMATIC", false},
		{`"specversion":"1.0"`, `"specversion":"1.1"`, "specversion", false},
		{`"type":"card`, `"type":"cart`, "type must be", false},
		{`"source":"/cvvrotation"`, `"source":"%zz"`, "source", false},
		{`,"account_id":"acme"`, ``, "account_id is missing", false},
		{`"data":{`, `"data":[{`, "object", false},
		{`}}`, `}}{}`, "more", false},
		{`}}`, `}`, "broken", false},
	}
}

// CardIDs returns ids of cards, and whether an event may have them: an id that
// could be a PAN is refused.
func CardIDs() map[string]bool {
	return map[string]bool{
		"12345678901": true, "123456789012": false, "4111111111111111": false, "4111-1111.1111:1111_": false,
		"1234567890123456789": false, "12345678901234567890": true, "4111111111111111x": true, ".card": false,
		strings.Repeat("x", 64): true, strings.Repeat("x", 65): false,
	}
}

// Unknown returns changes of any event by which it gets members that this version
// does not know: attributes that brokers add, and members of a newer form.
func Unknown() []Change {
	return []Change{
		{From: `{`, To: `{"traceparent":"00-1-2-01",`},
		{From: `{`, To: `{"sampled":true,`},
		{From: `{`, To: `{"attempt":3,`},
		{From: `{`, To: `{"newer":null,`},
		{From: `{`, To: `{"missed":1,`}, // a member of data, here an attribute that a broker adds
		{From: `{`, To: `{"repaired":true,`},
		{From: `"data":{`, To: `"data":{"time":1,`},
		{From: `{`, To: `{"newer":{"A":[1,{"b":"123"}]},`},
		{From: `"data":{`, To: `"data":{"newer_2":1.5,`},
		{From: `"data":{`, To: `"data":{"cvv":"123",`},
		{From: `"data":{`, To: `"data":{"card":{"cvv":"123","PAN":"4111111111111111"},`},
	}
}
