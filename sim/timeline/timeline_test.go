package timeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

func readAll(source string) (rotation.Rules, []timeline.Entry, error) {
	r := timeline.NewReader(strings.NewReader(source), "test")
	rules, err := r.Rules()
	if err != nil {
		return rules, nil, err
	}
	all, err := allOf(r)
	return rules, all, err
}

func allOf(r *timeline.Reader) (all []timeline.Entry, err error) {
	for {
		e, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// The examples of the package comment, read as what they say.
func TestReader_ReadsTheSpecsExamples(t *testing.T) {
	const jsonl = `{"timeline":1,"rules":{"guard":"2m","guard_from":"request"}}
{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":"24h"}
{"at":"2026-11-23T15:00:00Z","card":"A","event":"auto","slot":"2026-11-23T15:00:00Z"}
{"at":"2026-11-23T15:01:59Z","card":"A","event":"forced","service_code":"201"}
`
	_, got, err := readAll(jsonl)
	must.Do(t, err)
	want := []timeline.Entry{
		{Line: 2, Card: "A", Event: rotation.SetInterval(at("2026-11-22T15:00:00Z"), 24*time.Hour)},
		{Line: 3, Card: "A", Event: rotation.AutoSlot(at("2026-11-23T15:00:00Z"), at("2026-11-23T15:00:00Z"))},
		{Line: 4, Card: "A", Event: rotation.Forced(at("2026-11-23T15:01:59Z")), ServiceCode: servicecode.MustParse("201")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON Lines (-want +got):\n%s", diff)
	}

	const text = `# One second before the guard ends, the schedule stays.
rules guard=2m
2026-11-22T15:00:00Z  A  set_interval interval=24h
2026-11-23T15:00:00Z  A  auto
+1m59s                A  forced     => rotate=true reschedule=false scenario=1 next=2026-11-24T15:00:00Z
`
	_, got, err = readAll(text)
	must.Do(t, err)
	want = []timeline.Entry{
		{Line: 3, Card: "A", Event: rotation.SetInterval(at("2026-11-22T15:00:00Z"), 24*time.Hour)},
		{Line: 4, Card: "A", Event: rotation.AutoUnslotted(at("2026-11-23T15:00:00Z"))},
		{Line: 5, Card: "A", Event: rotation.Forced(at("2026-11-23T15:01:59Z")), Expect: timeline.Expect{
			Fields:   timeline.FieldRotate | timeline.FieldReschedule | timeline.FieldScenario | timeline.FieldNext,
			Rotate:   true,
			Scenario: 1,
			Next:     at("2026-11-24T15:00:00Z"),
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestReader_ReadsRules(t *testing.T) {
	five := must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling))(t)
	event := `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced"`
	for name, source := range map[string]string{
		"a header":            `{"timeline":1,"rules":{"guard":"5m","guard_from":"scheduling"}}` + "\n" + event + "}",
		"on the first event":  event + `,"rules":{"guard":"5m","guard_from":"scheduling"}}`,
		"text":                "# story\n\nrules guard=5m guard_from=scheduling # why\n2026-11-22T15:00:00Z A forced",
		"text without events": "rules guard_from=scheduling guard=5m",
	} {
		rules, entries, err := readAll(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rules != five {
			t.Errorf("%s: rules %v %v, want 5m scheduling", name, rules.Guard(), rules.GuardFrom())
		}
		if n := strings.Count(source, "A"); len(entries) != n {
			t.Errorf("%s: %d entries, want %d", name, len(entries), n)
		}
	}
	for name, source := range map[string]string{
		"no header":           event + "}",
		"a header that is {}": `{"timeline":1}` + "\n" + event + "}",
		"nothing at all":      "",
		"white space":         "\n \r\n\t\n",
		"a byte order mark":   "\ufeff" + event + "}",
	} {
		if rules, _, err := readAll(source); err != nil || rules != (rotation.Rules{}) {
			t.Errorf("%s: rules %v, error %v; want the default and none", name, rules, err)
		}
	}
}

// On any event but set_interval, interval is an expectation (SPEC 3), wherever it
// stands in the line.
func TestReader_IntervalIsExpected(t *testing.T) {
	for name, test := range map[string]struct {
		line string
		want timeline.Expect
	}{
		"after the event":        {`{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","interval":"24h"}`, timeline.Expect{Fields: timeline.FieldInterval, Interval: 24 * time.Hour}},
		"before the event":       {`{"interval":"24h","at":"2026-11-22T15:00:00Z","card":"A","event":"auto"}`, timeline.Expect{Fields: timeline.FieldInterval, Interval: 24 * time.Hour}},
		"off":                    {`{"at":"2026-11-22T15:00:00Z","card":"A","event":"disable","interval":null}`, timeline.Expect{Fields: timeline.FieldInterval}},
		"text":                   {`2026-11-22T15:00:00Z A forced => interval=90m`, timeline.Expect{Fields: timeline.FieldInterval, Interval: 90 * time.Minute}},
		"text, off":              {`2026-11-22T15:00:00Z A forced => interval=null`, timeline.Expect{Fields: timeline.FieldInterval}},
		"set_interval's own one": {`{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":"24h"}`, timeline.Expect{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := readAll(test.line)
			if err != nil || len(got) != 1 || got[0].Expect != test.want {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
	for _, line := range []string{
		`2026-11-22T15:00:00Z A forced interval=24h`,
		`2026-11-22T15:00:00Z A set_interval interval=24h => interval=24h`,
		`{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":null}`,
		`{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","interval":24}`,
	} {
		t.Run(line, func(t *testing.T) {
			if _, _, err := readAll(line); !errors.Is(err, timeline.ErrSyntax) {
				t.Errorf("error %v, want ErrSyntax", err)
			}
		})
	}
}

// A null is a member that is not there; only next and interval mean something by it.
func TestReader_NullIsAbsent(t *testing.T) {
	_, got, err := readAll(`{"at":"2026-11-22T15:00:00Z","card":"A","event":"auto","slot":null,"service_code":null,"rotate":null,"next":null}`)
	must.Do(t, err)
	want := []timeline.Entry{{
		Line: 1, Card: "A", Event: rotation.AutoUnslotted(at("2026-11-22T15:00:00Z")), Expect: timeline.Expect{Fields: timeline.FieldNext},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Another system's lines, read by a mapping.
func TestMapping_ReadsForeignLogs(t *testing.T) {
	m := must.Get(timeline.NewMapping(
		map[string]string{"at": "time", "card": "data.card.id", "event": "type", "interval_hours": "data.hours", "next": "data.next"},
		map[string]string{"MANUAL": "forced", "CHANGE": "set_interval"}))(t)
	r := timeline.NewReader(strings.NewReader(`
{"level":"INFO","time":"2026-11-22T08:00:00Z","type":"LOGIN","reason":"bad password","rotate":7,"data":{"next":"soon","hours":"x"}}
{"time":"2026-11-22T09:00:00Z","type":"CHANGE","data":{"card":{"id":"c1"},"hours":24,"next":"2026-11-23T09:00:00Z"},"rules":[1]}
{"time":"2026-11-22T10:00:00Z","type":"MANUAL","data":{"card":{"id":"c1","at":"x"},"next":null},"rotate":true,"at":"noise"}
{"time":"2026-11-22T10:00:00Z","type":"BLOCKED","data":{"card":{"id":"c1"}}}
{"time":"2026-11-22T11:00:00Z","type":"auto","data":{"card":{"id":"c1"}}}
`), "test")
	r.Map(m)
	got := must.Get(allOf(r))(t)
	want := []timeline.Entry{
		{Line: 3, Card: "c1", Event: rotation.SetInterval(at("2026-11-22T09:00:00Z"), 24*time.Hour), Expect: timeline.Expect{Fields: timeline.FieldNext, Next: at("2026-11-23T09:00:00Z")}},
		{Line: 4, Card: "c1", Event: rotation.Forced(at("2026-11-22T10:00:00Z")), Expect: timeline.Expect{Fields: timeline.FieldNext | timeline.FieldRotate, Rotate: true}},
		{Line: 6, Card: "c1", Event: rotation.AutoUnslotted(at("2026-11-22T11:00:00Z"))},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Skipped() != 2 {
		t.Errorf("%d lines skipped, want 2", r.Skipped())
	}

	for name, tt := range map[string]struct{ fields, events map[string]string }{
		"unknown field":         {map[string]string{"when": "time"}, nil},
		"unknown event":         {nil, map[string]string{"MANUAL": "manual"}},
		"two fields in one":     {map[string]string{"at": "time", "card": "time"}, nil},
		"a name that is in use": {map[string]string{"at": "card"}, nil},
	} {
		if _, err := timeline.NewMapping(tt.fields, tt.events); !errors.Is(err, timeline.ErrMapping) {
			t.Errorf("%s: error %v, want ErrMapping", name, err)
		}
	}
	for _, line := range []string{
		`{"time":"2026-11-22T09:00:00Z","type":"CHANGE","data":{"card":{"id":"c1"},"hours":1.5}}`,
		`{"time":"2026-11-22T09:00:00Z","type":"CHANGE","data":{"card":{"id":"c1"},"hours":-1}}`,
		`{"time":17,"type":"MANUAL","data":{"card":{"id":"c1"}}}`,
		`{"type":"MANUAL","data":{"card":{"id":"c1"}}}`,
	} {
		r := timeline.NewReader(strings.NewReader(line), "test")
		r.Map(m)
		if _, err := r.Next(); !errors.Is(err, timeline.ErrSyntax) {
			t.Errorf("%s: error %v, want ErrSyntax", line, err)
		}
	}
}

// Each bad line is refused with its number and the right error, and the entries
// before it are still read.
func TestReader_NamesTheBadLine(t *testing.T) {
	const good = `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced"}`
	const goodText = "2026-11-22T15:00:00Z A forced"
	tests := []struct {
		name, source string
		line         int
		want         error
	}{
		{"cut short", good + "\n" + `{"at":"2026-`, 2, timeline.ErrSyntax},
		{"not an object", good + "\n" + `[1]`, 2, timeline.ErrSyntax},
		{"two objects in a line", good + good, 1, timeline.ErrSyntax},
		{"unknown member", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","slto":"x"}`, 1, timeline.ErrSyntax},
		{"other case", `{"AT":"2026-11-22T15:00:00Z","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"member twice", `{"at":"2026-11-22T15:00:00Z","card":"A","card":"B","event":"forced"}`, 1, timeline.ErrSyntax},
		{"escaped name", `{"\u0061t":"2026-11-22T15:00:00Z","card":"A","event":"forced","x":1}`, 1, timeline.ErrSyntax},
		{"wrong type", `{"at":1,"card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"no instant", `{"card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"no card", `{"at":"2026-11-22T15:00:00Z","event":"forced"}`, 1, timeline.ErrSyntax},
		{"no event", `{"at":"2026-11-22T15:00:00Z","card":"A"}`, 1, timeline.ErrSyntax},
		{"unknown event", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"force"}`, 1, rotation.ErrKind},
		{"no zone", `{"at":"2026-11-22T15:00:00","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"a date that is none", `{"at":"2026-02-30T15:00:00Z","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"finer than a nanosecond", `{"at":"2026-11-22T15:00:00.1234567891Z","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"a comma", `{"at":"2026-11-22T15:00:00,5Z","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"an hour of one digit", `{"at":"2026-11-22T5:00:00.1234567891Z","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"an offset of a day", `{"at":"2026-11-22T15:00:00+24:00","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"an offset of 60 minutes", `{"at":"2026-11-22T15:00:00+01:60","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"year 10000 in UTC", `{"at":"9999-12-31T23:00:00-02:00","card":"A","event":"forced"}`, 1, timeline.ErrSyntax},
		{"service code", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","service_code":"20"}`, 1, servicecode.ErrSyntax},
		{"empty service code", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","service_code":""}`, 1, servicecode.ErrSyntax},
		{"service code of an auto", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"auto","service_code":"201"}`, 1, timeline.ErrSyntax},
		{"slot of a forced", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","slot":"2026-11-22T15:00:00Z"}`, 1, timeline.ErrSyntax},
		{"no interval", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval"}`, 1, timeline.ErrSyntax},
		{"interval without a unit", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":"24"}`, 1, timeline.ErrSyntax},
		{"unknown reason", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","reason":"because"}`, 1, rotation.ErrReason},
		{"next is a number", `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","next":0}`, 1, timeline.ErrSyntax},
		{"newer header", `{"timeline":2}`, 1, timeline.ErrHeader},
		{"second header", `{"timeline":1}` + "\n" + `{"timeline":1}`, 2, timeline.ErrHeader},
		{"late header", good + "\n" + `{"timeline":1}`, 2, timeline.ErrHeader},
		{"late rules", good + "\n" + `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","rules":{}}`, 2, timeline.ErrHeader},
		{"header with an event", `{"timeline":1,"at":"2026-11-22T15:00:00Z","card":"A","event":"forced"}`, 1, timeline.ErrHeader},
		{"negative guard", `{"timeline":1,"rules":{"guard":"-1s"}}`, 1, rotation.ErrGuard},
		{"unknown start of the guard", `{"timeline":1,"rules":{"guard_from":"now"}}`, 1, rotation.ErrGuardFrom},
		{"unknown rule", `{"timeline":1,"rules":{"grace":"1s"}}`, 1, timeline.ErrSyntax},
		{"empty guard", `{"timeline":1,"rules":{"guard":""}}`, 1, timeline.ErrSyntax},
		{"text in JSON Lines", good + "\n" + goodText, 2, timeline.ErrSyntax},
		{"an endless line", good + "\n" + strings.Repeat("{", 2<<20), 2, timeline.ErrSyntax},

		{"text: JSON", goodText + "\n" + good, 2, timeline.ErrSyntax},
		{"text: no instant before", "+1m A forced", 1, timeline.ErrSyntax},
		{"text: back in time", goodText + "\n+-1m A forced", 2, timeline.ErrSyntax},
		{"text: plus alone", goodText + "\n+ A forced", 2, timeline.ErrSyntax},
		{"text: no card", "2026-11-22T15:00:00Z", 1, timeline.ErrSyntax},
		{"text: no event", "2026-11-22T15:00:00Z A", 1, timeline.ErrSyntax},
		{"text: a word too many", goodText + " now", 1, timeline.ErrSyntax},
		{"text: unknown key", goodText + " code=201", 1, timeline.ErrSyntax},
		{"text: key twice", goodText + " service_code=201 service_code=201", 1, timeline.ErrSyntax},
		{"text: expectation before =>", goodText + " rotate=true", 1, timeline.ErrSyntax},
		{"text: rotate=1", goodText + " => rotate=1", 1, timeline.ErrSyntax},
		{"text: scenario=one", goodText + " => scenario=one", 1, timeline.ErrSyntax},
		{"text: next twice", goodText + " => next=null next=2026-11-22T15:00:00Z", 1, timeline.ErrSyntax},
		{"text: late rules", goodText + "\nrules guard=1m", 2, timeline.ErrHeader},
		{"text: rules twice", "rules guard=1m\nrules guard=1m", 2, timeline.ErrHeader},
		{"text: bytes that are no UTF-8", "2026-11-22T15:00:00Z \xff forced", 1, timeline.ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, entries, err := readAll(tt.source)
			var at *timeline.Error
			if !errors.As(err, &at) || at.Line != tt.line || at.File != "test" {
				t.Fatalf("error %v, want one at test:%d", err, tt.line)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want one that is %q", err, tt.want)
			}
			if strings.HasPrefix(tt.source, "{\"at") && len(entries) > tt.line-1 {
				t.Errorf("%d entries although line %d is bad", len(entries), tt.line)
			}
		})
	}
}

// A three-digit value in the wrong place may be a CVV.
func TestErrors_DoNotQuoteSecrets(t *testing.T) {
	for _, source := range []string{
		`{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","service_code":"8349"}`,
		`{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","service_code":8349}`,
		`{"at":"2026-11-22T15:00:00Z","card":8349,"event":"forced"}`,
		`2026-11-22T15:00:00Z A forced service_code=8349`,
		`2026-11-22T15:00:00Z A forced 8349`,
		`2026-11-22T15:00:00Z A forced => scenario=8349x`,
	} {
		_, _, err := readAll(source)
		if err == nil {
			t.Errorf("%s: no error", strings.Replace(source, "8349", "…", 1))
		} else if strings.Contains(err.Error(), "8349") {
			t.Errorf("%v: quotes the input", err)
		}
	}
}

func TestReader_KeepsItsError(t *testing.T) {
	r := timeline.NewReader(strings.NewReader("x\n2026-11-22T15:00:00Z A forced"), "test")
	_, first := r.Next()
	_, second := r.Next()
	if first == nil || first != second {
		t.Errorf("errors %v, then %v; want the same one twice", first, second)
	}
	broken := errors.New("broken")
	if _, err := timeline.NewReader(iotest.ErrReader(broken), "test").Next(); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

// entries generates entries that both spellings can hold.
func entries() *rapid.Generator[timeline.Entry] {
	return rapid.Custom(func(t *rapid.T) timeline.Entry {
		instant := func(name string) time.Time {
			ns := rapid.Int64Range(0, int64(200*365*24*time.Hour)).Draw(t, name)
			if rapid.Bool().Draw(t, "whole") {
				ns -= ns % int64(time.Second)
			}
			return time.Unix(0, ns).UTC()
		}
		e := timeline.Entry{Card: rapid.StringMatching(`[A-Za-z0-9é=_-]{1,12}`).Draw(t, "card")}
		at := instant("at")
		switch rapid.IntRange(0, 6).Draw(t, "event") {
		case 0:
			e.Event = rotation.Forced(at)
		case 1:
			e.Event = rotation.Forced(at)
			e.ServiceCode = servicecode.MustParse(rapid.StringMatching(`[0-9]{3}`).Draw(t, "code"))
		case 2:
			e.Event = rotation.AutoUnslotted(at)
		case 3:
			e.Event = rotation.AutoSlot(at, instant("slot"))
		case 4:
			e.Event = rotation.SetInterval(at, time.Duration(rapid.Int64().Draw(t, "interval")))
		case 5:
			e.Event = rotation.SetIntervalFirst(at, time.Duration(rapid.Int64().Draw(t, "interval")), instant("first"))
		default:
			e.Event = rotation.Disable(at)
		}
		x := &e.Expect
		x.Fields = timeline.Field(rapid.IntRange(0, int(timeline.FieldAll)).Draw(t, "fields"))
		if x.Fields&timeline.FieldRotate != 0 {
			x.Rotate = rapid.Bool().Draw(t, "rotate")
		}
		if x.Fields&timeline.FieldReschedule != 0 {
			x.Reschedule = rapid.Bool().Draw(t, "reschedule")
		}
		if x.Fields&timeline.FieldReason != 0 {
			x.Reason = rotation.Reason(rapid.IntRange(1, 8).Draw(t, "reason"))
		}
		if x.Fields&timeline.FieldScenario != 0 {
			x.Scenario = rapid.Int64().Draw(t, "scenario")
		}
		if x.Fields&timeline.FieldMissed != 0 {
			x.Missed = rapid.Int64().Draw(t, "missed")
		}
		if x.Fields&timeline.FieldNext != 0 && rapid.Bool().Draw(t, "on") {
			x.Next = instant("next")
		}
		if e.Event.Kind() != rotation.KindSetInterval && rapid.Bool().Draw(t, "expect interval") {
			x.Fields |= timeline.FieldInterval
			x.Interval = time.Duration(rapid.Int64Min(0).Draw(t, "interval in force"))
		}
		return e
	})
}

// What a Writer writes, a Reader reads back, in either spelling.
func TestWriter_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(entries(), 1, 8).Draw(t, "entries")
		guard := time.Duration(rapid.Int64Min(0).Draw(t, "guard"))
		rules := must.Get(rotation.NewRules(guard, rotation.GuardFrom(rapid.IntRange(0, 1).Draw(t, "from"))))(t)
		for _, spelling := range []timeline.Spelling{timeline.SpellingJSONL, timeline.SpellingText} {
			var out bytes.Buffer
			w := timeline.NewWriter(&out, spelling, rules)
			for _, e := range want {
				must.Do(t, w.Write(e))
			}
			gotRules, got, err := readAll(out.String())
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if gotRules != rules {
				t.Fatalf("rules %v, want %v\n%s", gotRules, rules, out.String())
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(timeline.Entry{}, "Line")); diff != "" {
				t.Fatalf("(-want +got):\n%s\n%s", diff, out.String())
			}
			if spelling == timeline.SpellingJSONL && strings.Count(out.String(), "\n") != len(want) {
				t.Fatalf("%d lines for %d events", strings.Count(out.String(), "\n"), len(want))
			}
		}
	})
}

func TestWriter_RefusesWhatTextCannotSpell(t *testing.T) {
	event := rotation.Forced(at("2026-11-22T15:00:00Z"))
	for _, tt := range []struct {
		spelling timeline.Spelling
		card     string
		want     error
	}{
		{timeline.SpellingText, "", timeline.ErrSpelling},
		{timeline.SpellingText, "a\xff", timeline.ErrSpelling},
		{timeline.SpellingJSONL, "\xff", timeline.ErrSyntax},
	} {
		var out bytes.Buffer
		err := timeline.NewWriter(&out, tt.spelling, rotation.Rules{}).Write(timeline.Entry{Card: tt.card, Event: event})
		if !errors.Is(err, tt.want) || out.Len() != 0 {
			t.Errorf("card %q: error %v and %d bytes, want %q and none", tt.card, err, out.Len(), tt.want)
		}
	}
	for _, spelling := range []timeline.Spelling{timeline.SpellingJSONL, timeline.SpellingText} {
		for _, card := range []string{"my card", " ", "#1", "a #b", `"quoted" \ <b>`, `"`, `a"b`, `\`, "日本", "\x1b[31m", "a\tb\n", "=>", "\u00a0", "\u2028", "`"} {
			var out bytes.Buffer
			if err := timeline.NewWriter(&out, spelling, rotation.Rules{}).Write(timeline.Entry{Card: card, Event: event}); err != nil {
				t.Errorf("card %q: %v", card, err)
				continue
			}
			if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
				t.Errorf("card %q is written as %q", card, out.String())
			}
			if _, got, err := readAll(out.String()); err != nil || len(got) != 1 || got[0].Card != card {
				t.Errorf("card %q came back as %v, %v", card, got, err)
			}
		}
	}
}

func TestReader_RefusesBadQuotedCards(t *testing.T) {
	for line, want := range map[string]string{
		`2026-11-22T15:00:00Z "my card forced`:      "has no end",
		`2026-11-22T15:00:00Z "my card"forced`:      "has no end",
		`2026-11-22T15:00:00Z "\q" forced`:          "bad escape",
		`2026-11-22T15:00:00Z "" forced`:            "card",
		`2026-11-22T15:00:00Z "\xff" forced`:        "UTF-8",
		`2026-11-22T15:00:00Z "my card"  # comment`: "event",
	} {
		if _, _, err := readAll(line); !errors.Is(err, timeline.ErrSyntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", line, err, want)
		}
	}
}

// FuzzReader looks for input that panics, and for entries that do not survive
// being written and read again.
func FuzzReader(f *testing.F) {
	for _, source := range []string{
		`{"timeline":1,"rules":{"guard":"2m","guard_from":"request"}}` + "\n" +
			`{"at":"2026-11-22T15:00:00Z","card":"A","event":"auto","slot":"2026-11-22T15:00:00Z","next":null}`,
		"rules guard=1m\n2026-11-22T15:00:00Z A set_interval interval=24h first=2026-11-22T16:00:00Z\n+1ns A forced service_code=999 => rotate=true missed=0 next=null",
		`{"at":"1970-01-01T00:00:00Z","card":"😀","event":"forced","next":"2210-12-31T23:59:59.999999999Z"}`,
		"+1m A forced", "{", "#\n#\n", "\ufeff{}",
		"cvvd | " + daemonEvent("1", "ROTATE_CVV", manual+fiveMinutes) + "\n{}\n",
	} {
		f.Add([]byte(source))
	}
	for _, source := range []string{
		"[" + logLine + ",\n" + logLine[:20], "time,id,type\n1785542496.5,c1,MANUAL\n1,\"", zip("x " + instantLine(`"2026-08-01 00:01:36,5+02"`)),
		valueLine(`"interval":"P1DT12H","next":1e10`), "{\n\"time\":1}",
	} {
		f.Add([]byte(source))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		r := timeline.NewReader(bytes.NewReader(source), "log")
		r.Map(logMapping(t))
		if _, err := allOf(r); err != nil && !errors.As(err, new(*timeline.Error)) {
			t.Fatalf("error %v without a line", err)
		}
		rules, entries, err := readAll(string(source))
		if err != nil && !errors.As(err, new(*timeline.Error)) {
			t.Fatalf("error %v without a line", err)
		}
		for _, spelling := range []timeline.Spelling{timeline.SpellingJSONL, timeline.SpellingText} {
			var out bytes.Buffer
			w := timeline.NewWriter(&out, spelling, rules)
			var written []timeline.Entry
			for _, e := range entries {
				if e.Event.At().IsZero() {
					continue // an instant that no rule accepts is not kept
				}
				if slot, ok := e.Event.Slot(); ok && slot.IsZero() {
					continue
				}
				if first, ok := e.Event.First(); ok && first.IsZero() {
					continue
				}
				if err := w.Write(e); errors.Is(err, timeline.ErrSpelling) {
					continue
				} else if err != nil {
					t.Fatal(err)
				}
				written = append(written, e)
			}
			again, got, err := readAll(out.String())
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if len(written) > 0 && again != rules {
				t.Fatalf("rules %v, want %v", again, rules)
			}
			if diff := cmp.Diff(written, got, cmpopts.IgnoreFields(timeline.Entry{}, "Line", "Number")); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

func ExampleWriter() {
	w := timeline.NewWriter(os.Stdout, timeline.SpellingJSONL, rotation.Rules{})
	for _, e := range []timeline.Entry{
		{Card: "A", Event: rotation.SetInterval(at("2026-11-22T15:00:00Z"), 24*time.Hour)},
		{Card: "A", Event: rotation.Forced(at("2026-11-22T15:00:01.5Z")), ServiceCode: servicecode.MustParse("201")},
	} {
		if err := w.Write(e); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":"24h"}
	// {"at":"2026-11-22T15:00:01.5Z","card":"A","event":"forced","service_code":"201"}
}
