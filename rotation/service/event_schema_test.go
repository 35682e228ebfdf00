package service_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// schema returns the schema, compiled by a validator that checks the formats.
func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(s *jsonschema.Schema, b []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// history draws what an engine tells of one card: the rules decide.
func history(t *rapid.T) []event.Changed {
	name := rapid.StringMatching(`[A-Za-z0-9_:-][A-Za-z0-9_:.-]{0,63}`)
	c := event.Changed{
		Source:  rapid.SampledFrom([]string{"/cvvrotation", "https://issuer.example/cards", "urn:issuer:1"}).Draw(t, "source"),
		Card:    name.Draw(t, "card"),
		Account: rapid.OneOf(rapid.Just(""), name).Draw(t, "account"),
		Version: 1,
	}
	var rules rotation.Rules
	var state rotation.State
	var events []event.Changed
	at := start
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
			input, e.Automatic = rotation.AutoSlot(at, slot), true
		case "interval":
			interval := time.Duration(rapid.Int64Range(121_000_000, int64(rotation.MaxInterval/time.Microsecond)).Draw(t, "interval")) * time.Microsecond
			if rapid.Bool().Draw(t, "hours") {
				interval = interval.Truncate(time.Hour) + time.Hour
			}
			input = rotation.SetInterval(at, min(interval, rotation.MaxInterval))
			e.Repaired = rapid.Bool().Draw(t, "repaired")
		case "disable":
			input = rotation.Disable(at)
		}
		after, d, err := rules.Decide(state, input)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case d.Rotate():
			e.Operation = event.Rotate
			e.Version++
		case d.Reschedule():
			e.Operation = event.ChangeInterval
		case state.Interval() != 0 && after.Interval() == 0:
			e.Operation = event.DeleteInterval
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

func TestEveryEventMatchesTheSchemaAndIsReadBack(t *testing.T) {
	s := schema(t)
	rapid.Check(t, func(t *rapid.T) {
		for _, e := range history(t) {
			b := e.AppendJSON(nil)
			if err := validate(s, b); err != nil {
				t.Fatalf("%s\n%v", b, err)
			}
			back, err := event.Parse(b)
			if err != nil {
				t.Fatalf("%s\n%v", b, err)
			}
			if diff := cmp.Diff(e, back); diff != "" {
				t.Fatalf("%s\n%s", b, diff)
			}
			if !json.Valid(b) || bytes.ContainsAny(b, "\n\r") {
				t.Fatalf("not one line of JSON: %s", b)
			}
		}
	})
}

// TestMutationsAreRefused takes an event apart and spoils one member at a time.
func TestMutationsAreRefused(t *testing.T) {
	s := schema(t)
	garbage := []any{nil, "", "x", -1.0, 1e30, 0.5, []any{}, map[string]any{}, true, false}
	rapid.Check(t, func(t *rapid.T) {
		events := history(t)
		if len(events) == 0 {
			return
		}
		original := rapid.SampledFrom(events).Draw(t, "which").AppendJSON(nil)
		var doc map[string]any
		if err := json.Unmarshal(original, &doc); err != nil {
			t.Fatal(err)
		}
		object := doc
		if rapid.Bool().Draw(t, "data") {
			object = doc["data"].(map[string]any)
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(object))).Draw(t, "member")
		before := object[name]
		switch rapid.SampledFrom([]string{"drop", "garbage", "rename", "add"}).Draw(t, "how") {
		case "drop":
			delete(object, name)
			if name == "compromised" || name == "repaired" {
				return // still an event, and another one
			}
		case "garbage":
			object[name] = rapid.SampledFrom(garbage).Draw(t, "value")
			if cmp.Equal(object[name], before) || name == "source" || name == "account_id" || name == "missed" {
				return
			}
			if name == "cvv_rotation_interval_hours" && object[name] == 0.5 && before != nil {
				return // another interval
			}
			if name == "card_id" || name == "subject" || name == "partitionkey" {
				object[name] = "other/card"
			}
		case "rename":
			object[strings.ToUpper(name)] = before
			delete(object, name)
		case "add":
			object["cvv"] = map[string]any{"value": "123"}
		}
		b, _ := json.Marshal(doc)
		if err := validate(s, b); err == nil {
			t.Errorf("the schema accepts %s", b)
		}
		if _, err := event.Parse(b); !errors.Is(err, event.ErrEvent) {
			t.Errorf("Parse accepts %s: %v", b, err)
		}
	})
}

var examples = map[string]event.Changed{
	"forced": {
		Operation: event.Rotate, Version: 2, Rescheduled: true, Reason: rotation.ReasonScheduled,
		Next: start.Add(24 * time.Hour), Interval: 24 * time.Hour,
	},
	"held": {
		Operation: event.Rotate, Version: 3, Reason: rotation.ReasonGuard, Scenario: 3, Compromised: true,
		Next: start.Add(24 * time.Hour), Interval: 24 * time.Hour,
	},
	"automatic": {
		Operation: event.Rotate, Version: 4, Automatic: true, Missed: 2, Rescheduled: true, Reason: rotation.ReasonScheduled,
		Next: start.Add(30*time.Minute + 1), Interval: 90 * time.Minute,
	},
	"forced_off": {Operation: event.Rotate, Version: 5, Reason: rotation.ReasonRotationOff},
	"interval": {
		Operation: event.ChangeInterval, Version: 1, Rescheduled: true, Reason: rotation.ReasonIntervalSet,
		Next: start.Add(time.Hour), Interval: time.Hour, Repaired: true,
	},
	"disabled": {Operation: event.DeleteInterval, Version: 1, Reason: rotation.ReasonRotationOff},
}

func TestGolden(t *testing.T) {
	s := schema(t)
	for name, e := range examples {
		e.Source, e.Card, e.Account, e.Number, e.At = "/cvvrotation", "card_7", "acme", 7, start
		b := append(e.AppendJSON(nil), '\n')
		file := filepath.Join("../engine/event/testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(b)); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		if err := validate(s, b); err != nil {
			t.Error(err)
		}
	}
}

// TestContradictions spoils a good event by hand, where the schema may be blind
// or the message matters.
func TestContradictions(t *testing.T) {
	e := examples["automatic"]
	e.Source, e.Card, e.Account, e.Number, e.At = "/cvvrotation", "card_7", "acme", 7, start
	good := string(e.AppendJSON(nil))
	if _, err := event.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	s := schema(t)
	for _, c := range []struct {
		from, to, says string
		blind          bool // a schema compares no members, and sees no second one
	}{
		{`"id":"card_7.7"`, `"id":"card_7.8"`, "id is not", true},
		{`"subject":"card_7"`, `"subject":"card_8"`, "card", true},
		{`"partitionkey":"card_7"`, `"partitionkey":"card_8"`, "partitionkey", true},
		{`"card_id":"card_7"`, `"card_id":"card_8"`, "card_id", true},
		{`"scenario":0`, `"scenario":1`, "scenario", false},
		{`"scenario":0`, `"scenario":0,"scenario":0`, "twice", true},
		{`"scenario":0`, `"scenario":0,"cvv":"123"`, "unknown member in data", false},
		{`"reason":"scheduled","scenario":0`, `"reason":"guard","scenario":4`, "scenario", false},
		{`"missed":2`, `"missed":-2`, "missed", false},
		{`,"missed":2`, ``, "missed", false},
		{`"missed":2`, `"missed":2,"compromised":true`, "compromised", false},
		{`"missed":2`, `"missed":2,"compromised":false`, "compromised", false},
		{`"missed":2`, `"missed":2,"repaired":true`, "repaired", false},
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
		{`"time"`, `"TIME"`, "envelope", false},
		{`"specversion":"1.0"`, `"specversion":"1.1"`, "specversion", false},
		{`"type":"card`, `"type":"cart`, "type must be", false},
		{`"source":"/cvvrotation"`, `"source":"%zz"`, "source", false},
		{`,"account_id":"acme"`, ``, "account_id is missing", false},
		{`"data":{`, `"data":[{`, "object", false},
		{`}}`, `}}{}`, "more", false},
		{`}}`, `}`, "broken", false},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good {
			t.Fatalf("%s is not in the event", c.from)
		}
		_, err := event.Parse([]byte(bad))
		if !errors.Is(err, event.ErrEvent) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.to, err)
		}
		if err := validate(s, []byte(bad)); err == nil && !c.blind {
			t.Errorf("%s: the schema accepts it", c.to)
		}
		if err != nil && strings.Contains(err.Error(), "123") {
			t.Errorf("%s: the error quotes the input: %v", c.to, err)
		}
	}
	for _, added := range []string{`"traceparent":"00-1-2-01",`, `"sampled":true,`, `"attempt":3,`} {
		routed := strings.Replace(good, `{`, `{`+added, 1)
		if back, err := event.Parse([]byte(routed)); err != nil || back != e {
			t.Errorf("with %s: %v", added, err)
		}
		if err := validate(s, []byte(routed)); err != nil {
			t.Errorf("with %s: %v", added, err)
		}
	}
}

func TestInstantsAreUTC(t *testing.T) {
	e := examples["automatic"]
	e.At = start
	want := e.AppendJSON(nil)
	there := time.FixedZone("there", 3600)
	e.At, e.Next = e.At.In(there), e.Next.In(there)
	if diff := cmp.Diff(string(want), string(e.AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	e := examples["automatic"]
	e.Source, e.Card, e.Account, e.Number, e.At = "/cvvrotation", "card_7", "acme", 7, start
	b := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { b = e.AppendJSON(b[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse: what Parse accepts, the schema accepts, and writing and reading it
// again changes nothing.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../engine/event/testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no examples", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	s := schema(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := event.Parse(b)
		if err != nil {
			if !errors.Is(err, event.ErrEvent) {
				t.Fatal(err)
			}
			return
		}
		if err := validate(s, b); err != nil {
			t.Errorf("the schema refuses %s\n%v", b, err)
		}
		again, err := event.Parse(e.AppendJSON(nil))
		if err != nil || again != e {
			t.Errorf("%+v\n%+v\n%v", e, again, err)
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	e := examples["automatic"]
	e.Source, e.Card, e.Account, e.Number, e.At = "/cvvrotation", "card_7", "acme", 7, start
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = e.AppendJSON(buffer[:0])
	}
}

func BenchmarkParse(b *testing.B) {
	e := examples["automatic"]
	e.Source, e.Card, e.Account, e.Number, e.At = "/cvvrotation", "card_7", "acme", 7, start
	text := e.AppendJSON(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
