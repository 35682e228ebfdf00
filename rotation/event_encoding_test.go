package rotation_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
)

// TestText_IsTheSameOnEveryRoute prints and marshals a value of each type by every
// route that a log, an error or a message may go.
func TestText_IsTheSameOnEveryRoute(t *testing.T) {
	outside := time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		value    any
		text     string
		goSyntax string
		refused  error // of marshalling
	}{
		{"forced", forced(0), "2026-11-22T15:00:00Z forced", "rotation.Event(%s)", nil},
		{"auto without a slot", auto(ns), "2026-11-22T15:00:00.000000001Z auto", "rotation.Event(%s)", nil},
		{"auto", autoSlot(time.Second, 0), "2026-11-22T15:00:01Z auto slot=2026-11-22T15:00:00Z", "rotation.Event(%s)", nil},
		{"set_interval", setInterval(0, day), "2026-11-22T15:00:00Z set_interval interval=24h", "rotation.Event(%s)", nil},
		{"set_interval with a first slot", setFirst(0, 90*time.Minute, time.Hour),
			"2026-11-22T15:00:00Z set_interval interval=1h30m first=2026-11-22T16:00:00Z", "rotation.Event(%s)", nil},
		{"disable", disable(0), "2026-11-22T15:00:00Z disable", "rotation.Event(%s)", nil},
		{"an interval that Decide refuses", setInterval(0, -day), "2026-11-22T15:00:00Z set_interval interval=-24h", "rotation.Event(%s)", nil},
		{"the zero event", rotation.Event{}, "1970-01-01T00:00:00Z Kind(0)", "rotation.Event(%s)", rotation.ErrKind},
		{"an event outside the years", rotation.Forced(outside), "0001-01-01T00:00:00Z forced", "rotation.Event(%s)", rotation.ErrInstant},
		{"a slot outside the years", rotation.AutoSlot(start, outside), "2026-11-22T15:00:00Z auto slot=0001-01-01T00:00:00Z", "rotation.Event(%s)", rotation.ErrInstant},

		{"default rules", rotation.Rules{}, "guard=2m guard_from=request", "rotation.Rules(%s)", nil},
		{"other rules", newRules(t, 90*time.Second, rotation.GuardFromScheduling), "guard=1m30s guard_from=scheduling", "rotation.Rules(%s)", nil},
		{"rules without a guard", newRules(t, 0, rotation.GuardFromRequest), "guard=0s guard_from=request", "rotation.Rules(%s)", nil},

		{"a rule", rotation.R5, "R5", "rotation.%s", nil},
		{"an unknown rule", rotation.Rule(15), "Rule(15)", "rotation.%s", rotation.ErrRule},

		{"a state", after(t, rules, setInterval(0, day)),
			"rotation/1 interval=24h next=2026-11-23T15:00:00Z guard=set_interval@2026-11-22T15:00:00Z crc=4e10ba8c", "rotation.State(%s)", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for verb, want := range map[string]string{
				"%v": test.text, "%+v": test.text, "%s": test.text, "%#v": fmt.Sprintf(test.goSyntax, test.text),
			} {
				if got := fmt.Sprintf(verb, test.value); got != want {
					t.Errorf("%s: got %s, want %s", verb, got, want)
				}
			}

			document, err := json.Marshal(test.value)
			var text, record bytes.Buffer
			slog.New(slog.NewTextHandler(&text, nil)).Info("m", "a", test.value)
			slog.New(slog.NewJSONHandler(&record, nil)).Info("m", "a", test.value)
			if test.refused != nil {
				if !errors.Is(err, test.refused) {
					t.Errorf("JSON: %s, %v; want %v", document, err, test.refused)
				}
				return
			}
			quoted := `"` + test.text + `"`
			if err != nil || string(document) != quoted {
				t.Errorf("JSON: %s, %v; want %s", document, err, quoted)
			}
			if !strings.Contains(text.String(), "a="+test.text) && !strings.Contains(text.String(), "a="+quoted) {
				t.Errorf("slog text: %s", &text)
			}
			if !strings.Contains(record.String(), `"a":`+quoted) {
				t.Errorf("slog JSON: %s", &record)
			}
			back := reflect.New(reflect.TypeOf(test.value))
			if err := json.Unmarshal(document, back.Interface()); err != nil || back.Elem().Interface() != test.value {
				t.Errorf("%s came back as %v, %v", document, back, err)
			}
		})
	}
}

// TestEventText_RoundTrips also takes the events that Decide refuses.
func TestEventText_RoundTrips(t *testing.T) {
	generator := anything.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		for _, m := range generator.Draw(t, "timeline").moves {
			e, back := real(m.Event), rotation.Event{}
			text, err := e.MarshalText()
			if err != nil {
				if !errors.Is(err, rotation.ErrKind) && !errors.Is(err, rotation.ErrInstant) {
					t.Fatalf("%v: %v", e, err)
				}
				continue
			}
			if err := back.UnmarshalText(text); err != nil || back != e {
				t.Fatalf("%s came back as %v, %v", text, back, err)
			}
		}
	})
}

func TestUnmarshalText_RefusesOtherSpellings(t *testing.T) {
	event, settings := forced(0), newRules(t, time.Minute, rotation.GuardFromScheduling)
	for _, test := range []struct {
		receiver encoding.TextUnmarshaler
		texts    []string
	}{
		{&event, []string{
			"", " ", "forced", "2026-11-22T15:00:00Z", "2026-11-22T15:00:00Z ", "2026-11-22T15:00:00Z  forced", "2026-11-22T15:00:00Z forced ",
			"2026-11-22T15:00:00Z Forced", "2026-11-22T15:00:00Z Kind(0)", "2026-11-22T16:00:00+01:00 forced", "2026-11-22T15:00:00.0Z forced",
			"1969-12-31T23:59:59Z forced", "2201-01-01T00:00:00Z forced", "0001-01-01T00:00:00Z forced", "9999-12-31T23:59:59Z forced",
			"2026-11-22T15:00:00Z forced slot=2026-11-22T15:00:00Z", "2026-11-22T15:00:00Z auto slot", "2026-11-22T15:00:00Z auto slot=",
			"2026-11-22T15:00:00Z auto slot=null", "2026-11-22T15:00:00Z auto interval=24h", "2026-11-22T15:00:00Z auto slot=2201-01-01T00:00:00Z",
			"2026-11-22T15:00:00Z set_interval", "2026-11-22T15:00:00Z set_interval interval=24h0m0s", "2026-11-22T15:00:00Z set_interval interval=1d",
			"2026-11-22T15:00:00Z set_interval first=2026-11-22T16:00:00Z interval=24h", "2026-11-22T15:00:00Z A forced",
			"2026-11-22T15:00:00Z disable service_code=201",
		}},
		{&settings, []string{
			"", "guard=2m", "guard_from=request", "guard=2m guard_from=", "guard=2m guard_from=Request", "guard=120s guard_from=request",
			"guard=-2m guard_from=request", "guard=2m  guard_from=request", "guard=2m guard_from=request ", "2m guard_from=request",
			"guard=guard=2m guard_from=request", "guard_from=request guard=2m",
		}},
	} {
		for _, text := range test.texts {
			t.Run(text, func(t *testing.T) {
				before := fmt.Sprint(test.receiver)
				if err := test.receiver.UnmarshalText([]byte(text)); !errors.Is(err, rotation.ErrText) {
					t.Errorf("got %v, want ErrText", err)
				}
				if after := fmt.Sprint(test.receiver); after != before {
					t.Errorf("the error came with %s", after)
				}
			})
		}
	}
}

// FuzzEventText decodes any text: it is refused, or the only spelling of its event.
func FuzzEventText(f *testing.F) {
	f.Add("2026-11-22T15:00:00Z set_interval interval=1h30m first=2026-11-22T16:00:00.5Z")
	f.Add("2026-11-22T15:00:00Z auto slot=2026-11-22T15:00:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		var e rotation.Event
		if err := e.UnmarshalText([]byte(text)); err != nil {
			if !errors.Is(err, rotation.ErrText) || e != (rotation.Event{}) {
				t.Errorf("%q: %v, %v", text, e, err)
			}
		} else if e.String() != text {
			t.Errorf("%q re-encodes as %q", text, e)
		}
	})
}

func TestFormatDuration_ParsesBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Nanosecond: "1ns", 10 * time.Second: "10s", 2 * time.Minute: "2m",
		10 * time.Minute: "10m", 119 * time.Second: "1m59s", time.Hour: "1h", 20 * time.Hour: "20h",
		90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", -24 * time.Hour: "-24h",
		-1 << 63: "-2562047h47m16.854775808s",
	} {
		got := rotation.FormatDuration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("FormatDuration(%d) = %q, want %q, which parses as %d (%v)", d, got, want, back, err)
		}
	}
}
