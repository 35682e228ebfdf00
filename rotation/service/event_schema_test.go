package service_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/internal/eventtest"
	"cvvrotation/sim/must"
)

// These tests hold Parse and the JSON Schema together with a validator. Package
// event has the tests that need none.

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	return compile(t, func(map[string]any) {})
}

// strictSchema returns the schema without members that it does not know.
func strictSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	return compile(t, func(doc map[string]any) {
		doc["additionalProperties"] = false
		doc["$defs"].(map[string]any)["data"].(map[string]any)["additionalProperties"] = false
	})
}

// compile returns the schema, changed, for a validator that checks the formats.
func compile(t testing.TB, change func(map[string]any)) *jsonschema.Schema {
	t.Helper()
	doc := must.Get(jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema())))(t)
	change(doc.(map[string]any))
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	must.Do(t, c.AddResource("schema.json", doc))
	return must.Get(c.Compile("schema.json"))(t)
}

func validate(s *jsonschema.Schema, b []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func TestSchema_AcceptsEveryEvent(t *testing.T) {
	s := strictSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		for _, e := range eventtest.History(t) {
			b := e.AppendJSON(nil)
			if err := validate(s, b); err != nil {
				t.Fatalf("%s\n%v", b, err)
			}
		}
	})
	for name, e := range eventtest.Golden() {
		t.Run(name, func(t *testing.T) {
			must.Do(t, validate(s, e.AppendJSON(nil)))
		})
	}
}

func TestSchema_AcceptsUnknownMembers(t *testing.T) {
	s, strict := schema(t), strictSchema(t)
	good := string(eventtest.Golden()["automatic"].AppendJSON(nil))
	for _, c := range eventtest.Unknown() {
		t.Run(c.To, func(t *testing.T) {
			b := []byte(strings.Replace(good, c.From, c.To, 1))
			must.Do(t, validate(s, b))
			if err := validate(strict, b); err == nil {
				t.Error("the strict schema accepts it")
			}
		})
	}
}

func TestSchema_RefusesInvalidEvents(t *testing.T) {
	s := schema(t)
	good := string(eventtest.Golden()["automatic"].AppendJSON(nil))
	for _, c := range eventtest.Invalid() {
		t.Run(c.To, func(t *testing.T) {
			if err := validate(s, []byte(strings.Replace(good, c.From, c.To, 1))); err == nil && !c.SchemaAccepts {
				t.Error("the schema accepts it")
			}
		})
	}
}

func TestSchema_RefusesCardsThatLookLikeAPAN(t *testing.T) {
	s := schema(t)
	for id, want := range eventtest.CardIDs() {
		t.Run(id, func(t *testing.T) {
			e := eventtest.Golden()["automatic"]
			e.Card = id
			if err := validate(s, e.AppendJSON(nil)); (err == nil) != want {
				t.Error(err)
			}
		})
	}
}

// TestSchema_RefusesSpoiledMembers spoils one member of an event at a time.
func TestSchema_RefusesSpoiledMembers(t *testing.T) {
	s, strict := schema(t), strictSchema(t)
	garbage := []any{nil, "", "x", -1.0, 1e30, 0.5, []any{}, map[string]any{}, true, false}
	rapid.Check(t, func(t *rapid.T) {
		events := eventtest.History(t)
		if len(events) == 0 {
			return
		}
		original := rapid.SampledFrom(events).Draw(t, "which").AppendJSON(nil)
		var doc map[string]any
		must.Do(t, json.Unmarshal(original, &doc))
		object := doc
		if rapid.Bool().Draw(t, "data") {
			object = doc["data"].(map[string]any)
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(object))).Draw(t, "member")
		before := object[name]
		switch rapid.SampledFrom([]string{"drop", "garbage", "rename", "add"}).Draw(t, "how") {
		case "drop":
			delete(object, name)
			if slices.Contains([]string{"compromised", "repaired", "rules", "slot"}, name) {
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
			b, _ := json.Marshal(doc)
			if _, err := event.Parse(b); err != nil {
				t.Errorf("Parse: %s: %v", b, err)
			}
			if err := validate(s, b); err != nil {
				t.Errorf("schema: %s: %v", b, err)
			}
			if _, err := event.ParseStrict(b); !errors.Is(err, event.ErrEvent) {
				t.Errorf("ParseStrict accepts %s: %v", b, err)
			}
			if err := validate(strict, b); err == nil {
				t.Errorf("the strict schema accepts %s", b)
			}
			return
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

// FuzzSchema_AcceptsWhatParseAccepts compares the schema with Parse and ParseStrict.
func FuzzSchema_AcceptsWhatParseAccepts(f *testing.F) {
	for _, e := range eventtest.Golden() {
		f.Add(e.AppendJSON(nil))
	}
	s, strict := schema(f), strictSchema(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := event.Parse(b); err != nil {
			return
		}
		if err := validate(s, b); err != nil {
			t.Errorf("the schema refuses %s\n%v", b, err)
		}
		_, err := event.ParseStrict(b)
		if refused := validate(strict, b); (err == nil) != (refused == nil) {
			t.Errorf("%s\nParseStrict: %v\nstrict schema: %v", b, err, refused)
		}
	})
}
