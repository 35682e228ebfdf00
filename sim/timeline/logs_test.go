package timeline_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// spelled returns each entry as its line and its text, with single spaces.
func spelled(t *testing.T, all []timeline.Entry) string {
	t.Helper()
	var b strings.Builder
	for _, e := range all {
		var text bytes.Buffer
		must.Do(t, timeline.NewWriter(&text, timeline.SpellingText, rotation.Rules{}).Write(e))
		fmt.Fprintf(&b, "%d: %s\n", e.Line, strings.Join(strings.Fields(text.String()), " "))
	}
	return b.String()
}

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to memory
	_ = w.Close()
	return b.String()
}

const (
	logLine  = `{"time":"2026-08-01T00:01:36Z","id":"c1","type":"MANUAL"}`
	logEntry = "2026-08-01T00:01:36Z c1 forced\n"
)

// instantLine is a log's line with the instant, as JSON.
func instantLine(value string) string { return `{"time":` + value + `,"id":"c1","type":"MANUAL"}` }

// valueLine is a log's line with a member more.
func valueLine(member string) string {
	return strings.TrimSuffix(logLine, "}") + "," + member + "}"
}

func logMapping(t *testing.T, fields ...string) *timeline.Mapping {
	t.Helper()
	theirs := map[string]string{"at": "time", "card": "id", "event": "type"}
	for _, pair := range fields {
		ours, name, _ := strings.Cut(pair, "=")
		theirs[ours] = name
	}
	return must.Get(timeline.NewMapping(theirs, map[string]string{"MANUAL": "forced", "CHANGE": "set_interval", "1": "auto"}))(t)
}

func TestMapping_ReadsLogsAsTheyAre(t *testing.T) {
	pretty := "{\n  \"time\": \"2026-08-01T00:01:36Z\",\n  \"id\": \"c1\",\n  \"type\": \"MANUAL\"\n}"
	const header = "time,id,type,rotate,next,interval_hours\n"
	for _, tt := range []struct {
		name, source, want           string
		skipped, unreadable, firstAt int
	}{
		{"plain lines", "starting\n" + logLine + "\npanic: x\n\tmain.go:1\n" + logLine, "2: " + logEntry + "5: " + logEntry, 0, 3, 1},
		{"last line cut off", logLine + "\n" + logLine[:20], "1: " + logEntry, 0, 1, 2},
		{"prefix", "app-1  | 2026-08-01 INFO " + logLine, "1: " + logEntry, 0, 0, 0},
		{"text after the object", logLine + " trailing", "", 0, 1, 1},
		{"other JSON", "[1]\n17\nnull\n" + logLine + "\n{}", "4: " + logEntry, 1, 3, 1},
		{"a stray member twice", valueLine(`"level":1,"level":2`), "1: " + logEntry, 0, 0, 0},
		{"bytes that are no UTF-8", valueLine("\"msg\":\"\xff\""), "", 0, 1, 1},
		{"byte order mark and CRLF", "\ufeff" + logLine + "\r\n" + logLine + "\r\n", "1: " + logEntry + "2: " + logEntry, 0, 0, 0},
		{"empty", "", "", 0, 0, 0},

		{"blank for T", instantLine(`"2026-08-01 00:01:36+00:00"`), "1: " + logEntry, 0, 0, 0},
		{"lower case", instantLine(`"2026-08-01t00:01:36z"`), "1: " + logEntry, 0, 0, 0},
		{"UTC", instantLine(`"2026-08-01 00:01:36 UTC"`), "1: " + logEntry, 0, 0, 0},
		{"PostgreSQL", instantLine(`"2026-08-01 02:01:36.5+02"`), "1: 2026-08-01T00:01:36.5Z c1 forced\n", 0, 0, 0},
		{"offset without colon", instantLine(`"2026-08-01T02:01:36+0200"`), "1: " + logEntry, 0, 0, 0},
		{"half an hour", instantLine(`"2026-08-01T05:31:36+05:30"`), "1: " + logEntry, 0, 0, 0},
		{"Go's String", instantLine(`"2026-08-01 02:01:36.123456789 +0200 CEST"`), "1: 2026-08-01T00:01:36.123456789Z c1 forced\n", 0, 0, 0},
		{"comma", instantLine(`"2026-08-01 00:01:36,250Z"`), "1: 2026-08-01T00:01:36.25Z c1 forced\n", 0, 0, 0},
		{"zeros beyond nanoseconds", instantLine(`"2026-08-01T00:01:36.120000000000Z"`), "1: 2026-08-01T00:01:36.12Z c1 forced\n", 0, 0, 0},
		{"seconds", instantLine(`1785542496`), "1: " + logEntry, 0, 0, 0},
		{"quoted seconds", instantLine(`"1785542496"`), "1: " + logEntry, 0, 0, 0},
		{"seconds with a fraction", instantLine(`1785542496.000000001`), "1: 2026-08-01T00:01:36.000000001Z c1 forced\n", 0, 0, 0},
		{"seconds, 1 second before 2001-09-09", instantLine(`999999999`), "1: 2001-09-09T01:46:39Z c1 forced\n", 0, 0, 0},
		{"with an exponent", instantLine(`1.7855424965e9`), "1: 2026-08-01T00:01:36.5Z c1 forced\n", 0, 0, 0},
		{"with an exponent, a zero dropped", instantLine(`1.78554249E9`), "1: 2026-08-01T00:01:30Z c1 forced\n", 0, 0, 0},
		{"milliseconds", instantLine(`1785542496250`), "1: 2026-08-01T00:01:36.25Z c1 forced\n", 0, 0, 0},
		{"milliseconds as a float", instantLine(`1785542496250.5`), "1: 2026-08-01T00:01:36.2505Z c1 forced\n", 0, 0, 0},
		{"microseconds", instantLine(`1785542496250001`), "1: 2026-08-01T00:01:36.250001Z c1 forced\n", 0, 0, 0},
		{"nanoseconds", instantLine(`1785542496250000001`), "1: 2026-08-01T00:01:36.250000001Z c1 forced\n", 0, 0, 0},
		{"the last second", instantLine(`7289654399`), "1: 2200-12-31T23:59:59Z c1 forced\n", 0, 0, 0},

		{"hours 24.0", valueLine(`"interval_hours":24.0`), "1: 2026-08-01T00:01:36Z c1 forced => interval=24h\n", 0, 0, 0},
		{"quoted hours", valueLine(`"interval_hours":"24"`), "1: 2026-08-01T00:01:36Z c1 forced => interval=24h\n", 0, 0, 0},
		{"no hours", valueLine(`"interval_hours":null`), "1: 2026-08-01T00:01:36Z c1 forced => interval=null\n", 0, 0, 0},
		{"ISO 8601", valueLine(`"interval":"P1DT12H"`), "1: 2026-08-01T00:01:36Z c1 forced => interval=36h\n", 0, 0, 0},
		{"ISO 8601 seconds", valueLine(`"interval":"PT90.5S"`), "1: 2026-08-01T00:01:36Z c1 forced => interval=1m30.5s\n", 0, 0, 0},
		{"interval set in lower case", strings.Replace(valueLine(`"interval":"pt1h"`), "MANUAL", "CHANGE", 1), "1: 2026-08-01T00:01:36Z c1 set_interval interval=1h\n", 0, 0, 0},
		{"quoted booleans", valueLine(`"rotate":"True","reschedule":0`), "1: 2026-08-01T00:01:36Z c1 forced => rotate=true reschedule=false\n", 0, 0, 0},
		{"quoted numbers", valueLine(`"scenario":"3","missed":2.0`), "1: 2026-08-01T00:01:36Z c1 forced => scenario=3 missed=2\n", 0, 0, 0},
		{"nulls", valueLine(`"rotate":null,"reason":null,"scenario":null,"service_code":null,"slot":null,"next":null`), "1: 2026-08-01T00:01:36Z c1 forced => next=null\n", 0, 0, 0},
		{"empty strings", valueLine(`"reason":"","service_code":"","next":""`), "1: 2026-08-01T00:01:36Z c1 forced => next=null\n", 0, 0, 0},
		{"Go's zero time", valueLine(`"next":"0001-01-01T00:00:00Z"`), "1: 2026-08-01T00:01:36Z c1 forced => next=null\n", 0, 0, 0},
		{"numbers as ids and events", `{"time":1785542496,"id":17,"type":1,"slot":1785542495}`, "1: 2026-08-01T00:01:36Z 17 auto slot=2026-08-01T00:01:35Z\n", 0, 0, 0},

		{"gzip", zip(logLine + "\n"), "1: " + logEntry, 0, 0, 0},
		{"gzip, concatenated", zip(logLine+"\n") + zip(logLine+"\n"), "1: " + logEntry + "2: " + logEntry, 0, 0, 0},
		{"gzip of an array", zip("[" + logLine + "]"), "1: " + logEntry, 0, 0, 0},

		{"array", "[" + logLine + "," + logLine + "]\n", "1: " + logEntry + "1: " + logEntry, 0, 0, 0},
		{"array over lines", "\n[\n" + pretty + ",\n" + logLine + ", {}\n]", "3: " + logEntry + "8: " + logEntry, 1, 0, 0},
		{"array with brackets in strings", "[ " + valueLine(`"msg":"]}\"{\\"`) + ",17," + logLine + "]", "1: " + logEntry + "1: " + logEntry, 0, 1, 1},
		{"array cut off in an object", "[" + logLine + ",\n" + logLine[:20], "1: " + logEntry, 0, 1, 2},
		{"array cut off between objects", "[" + logLine + ",\n", "1: " + logEntry, 0, 1, 2},
		{"empty array", "[]", "", 0, 0, 0},
		{"objects over lines", pretty + "\n" + pretty + "\n", "1: " + logEntry + "6: " + logEntry, 0, 0, 0},
		{"time stamps in brackets", "[2026-08-01 00:01:36] INFO " + logLine, "1: " + logEntry, 0, 0, 0},

		{"CSV", header + "2026-08-01T00:01:36Z,c1,MANUAL,true,2026-08-02 00:01:36Z,24\n", "2: 2026-08-01T00:01:36Z c1 forced => rotate=true next=2026-08-02T00:01:36Z interval=24h\n", 0, 0, 0},
		{"CSV, empty cells", header + "2026-08-01T00:01:36Z,c1,MANUAL,,,\r\n", "2: 2026-08-01T00:01:36Z c1 forced\n", 0, 0, 0},
		{"CSV, an interval where it is set alone", header + "2026-08-01T00:01:36Z,c1,CHANGE,,,24\n2026-08-02T00:01:36Z,c1,1,true,,\n", "2: 2026-08-01T00:01:36Z c1 set_interval interval=24h\n3: 2026-08-02T00:01:36Z c1 auto => rotate=true\n", 0, 0, 0},
		{"CSV, off and none", header + "2026-08-01T00:01:36Z,c1,MANUAL,,none,Off\n", "2: 2026-08-01T00:01:36Z c1 forced => next=null interval=null\n", 0, 0, 0},
		{"CSV, null", header + "2026-08-01T00:01:36Z,c1,MANUAL,NULL,\\N,null", "2: 2026-08-01T00:01:36Z c1 forced => next=null interval=null\n", 0, 0, 0},
		{"CSV, quoted", "\"id\",\"msg\",\"type\",\"time\"\n\"c;1\",\"a \"\"b\"\", c\",\"MANUAL\",\"1785542496\"\n", "2: 2026-08-01T00:01:36Z c;1 forced\n", 0, 0, 0},
		{"CSV, semicolons", "\ufefftime;id;type\r\n2026-08-01T00:01:36Z;c1;MANUAL\r\n", "2: " + logEntry, 0, 0, 0},
		{"CSV, tabs and an empty last cell", "time\tid\ttype\trotate\n2026-08-01T00:01:36Z\tc1\tMANUAL\t\n", "2: " + logEntry, 0, 0, 0},
		{"CSV, other events", "time,id,type\n1785542496,c1,LOGIN\n1785542496,c1,MANUAL\n", "3: " + logEntry, 1, 0, 0},
		{"CSV's header behind JSON", logLine + "\ntime,id,type\n1785542496,c1,MANUAL\n", "1: " + logEntry, 0, 2, 2},
		{"CSV, what is no row", "sep=,\ntime,id,type\n1785542496,c1,MANUAL\n\n1,\"2\n(1 row)\n1785542496,c1", "3: " + logEntry, 0, 4, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(tt.source), "test")
			r.Map(logMapping(t))
			got, err := allOf(r)
			must.Do(t, err)
			if got := spelled(t, got); got != tt.want {
				t.Errorf("got  %swant %s", got, tt.want)
			}
			if lines, first := r.Unreadable(); r.Skipped() != tt.skipped || lines != tt.unreadable || first != tt.firstAt {
				t.Errorf("skipped %d, unreadable %d from line %d", r.Skipped(), lines, first)
			}
		})
	}
}

func TestMapping_RefusesWhatCouldMeanTwoThings(t *testing.T) {
	for _, tt := range []struct{ name, source, says string }{
		{"no zone", instantLine(`"2026-08-01 00:01:36"`), "no time zone"},
		{"a zone by name", instantLine(`"2026-08-01 00:01:36 CET"`), "not an instant"},
		{"day first", instantLine(`"01.08.2026 00:01:36"`), "not an instant"},
		{"31 June", instantLine(`"2026-06-31 00:01:36Z"`), "not an RFC 3339"},
		{"finer than a nanosecond", instantLine(`"2026-08-01T00:01:36.1234567891Z"`), "finer than a nanosecond"},
		{"nanoseconds with a fraction", instantLine(`1785542496250000001.5`), "finer than a nanosecond"},
		{"0", instantLine(`0`), "no time from 1973"},
		{"negative", instantLine(`-1785542496`), "no time from 1973"},
		{"between seconds and milliseconds", instantLine(`7289654400`), "no time from 1973"},
		{"below milliseconds", instantLine(`99999999999`), "no time from 1973"},
		{"beyond int64", instantLine(`99999999999999999999`), "no time from 1973"},
		{"rounded by a spreadsheet", instantLine(`"1.78554E+09"`), "may have rounded"},
		{"a large exponent", instantLine(`1e99`), "number of 1 digits with an exponent"},
		{"an instant that is true", instantLine(`true`), "not an instant"},
		{"an instant that is an object", instantLine(`{}`), "wrong type"},
		{"no instant", instantLine(`null`), "instant is missing"},
		{"an interval of 24", valueLine(`"interval":24`), "map interval_hours"},
		{"a quoted interval of 24", valueLine(`"interval":"24"`), "map interval_hours"},
		{"a month", valueLine(`"interval":"P1M"`), "not a duration"},
		{"days beyond ten years", valueLine(`"interval":"P3651D"`), "ten years"},
		{"days beyond an int", valueLine(`"interval":"P99999999999999999999D"`), "ten years"},
		{"no duration", valueLine(`"interval":"PT"`), "not a duration"},
		{"hours with a half", valueLine(`"interval_hours":1.5`), "whole hours"},
		{"hours with a unit", valueLine(`"interval_hours":"24h"`), "map interval if"},
		{"hours beyond ten years", valueLine(`"interval_hours":87601`), "whole hours"},
		{"hours that are NaN", valueLine(`"interval_hours":"NaN"`), "whole hours"},
		{"a boolean of 2", valueLine(`"rotate":2`), "neither true nor false"},
		{"half a scenario", valueLine(`"scenario":1.5`), "not a whole number"},
		{"a field twice", valueLine(`"id":"c2"`), "card twice"},
		{"no card", `{"time":1785542496,"id":null,"type":"MANUAL"}`, "card is missing"},
		{"a bad cell", "time,id,type\n2026-08-01 00:01:36,c1,MANUAL\n", "no time zone"},
		{"no column for the card", "time,card_no,type\n1785542496,c1,MANUAL\n", "the columns time, card_no, type have no card"},
		{"a column twice", "time,id,type,id\n1785542496,c1,MANUAL,c2\n", "card twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(tt.source), "test")
			r.Map(logMapping(t))
			got, err := allOf(r)
			if !errors.Is(err, timeline.ErrSyntax) || !strings.Contains(err.Error(), tt.says) || len(got) > 0 {
				t.Errorf("%v, error %v, want %q", got, err, tt.says)
			}
		})
	}
}

func TestMapping_UnseenNamesWhatNoLineHas(t *testing.T) {
	m := logMapping(t, "next=data.nxet")
	for _, source := range []string{logLine, "time,id,type\n" + "1785542496,c1,1\n"} { // two files
		r := timeline.NewReader(strings.NewReader(source), "test")
		r.Map(m)
		must.Get(allOf(r))(t)
	}
	if fields, events := m.Unseen(); fmt.Sprint(fields, events) != "[data.nxet] [CHANGE]" {
		t.Errorf("fields %v, events %v", fields, events)
	}
}

// The events that a log has and the mapping has not, of what is a name.
func TestMapping_UnknownEventsNamesWhatWasSkipped(t *testing.T) {
	m := logMapping(t)
	source := logLine + "\n" + `{"type":"LOGIN"}` + "\n{}"
	for _, event := range []string{`"LOGIN"`, `"manual"`, "null", `"4111111111111111"`, `"a"`, `"b"`, `"c"`, `"d"`} {
		source += "\n" + `{"type":` + event + "}"
	}
	r := timeline.NewReader(strings.NewReader(source), "test")
	r.Map(m)
	must.Get(allOf(r))(t)
	if field, lines := m.UnknownEvents(); field != "type" || fmt.Sprint(lines) != "map[LOGIN:2 a:1 b:1 c:1 manual:1]" || r.Skipped() != 10 {
		t.Errorf("%s %v, %d skipped", field, lines, r.Skipped())
	}
}

// Our own spelling stays strict, but may be compressed, an array, or CSV.
func TestReader_ReadsTimelinesInOtherForms(t *testing.T) {
	const own = `{"at":"2026-08-01T00:01:36Z","card":"c1","event":"forced"}`
	for name, source := range map[string]string{
		"gzip":           zip(own),
		"gzip of text":   zip("2026-08-01T00:01:36Z c1 forced"),
		"array":          "[" + own + "]",
		"CSV":            "card,at,event,note\nc1,2026-08-01T00:01:36Z,forced,x",
		"daemon's array": "[\n" + daemonEvent("1", "ROTATE_CVV", manual) + "]",
	} {
		t.Run(name, func(t *testing.T) {
			if _, got, err := readAll(source); err != nil || len(got) != 1 || got[0].Event.Kind() != rotation.KindForced {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	for _, tt := range []struct{ name, source, says, hint string }{
		{"plain line", own + "\nplain", "test:2: not a timeline entry: broken JSON", "--map at=at"},
		{"last line cut off", own + "\n" + own[:20], "test:2: not a timeline entry: broken JSON", "--map at=at"},
		{"array cut off", "[" + own + ",\n" + own[:20], "test:2: not a timeline entry: broken JSON", "--map at=at"},
		{"array not closed", "[" + own + ",\n", "test:2: not a timeline entry: the array is not closed", ""},
		{"number in an array", "[" + own + ",\n17]", "test:2: not a timeline entry", "--map at=at"},
		{"epoch", strings.Replace(own, `"2026-08-01T00:01:36Z"`, "1785542496", 1), "wrong type", ""},
		{"misspelt member", strings.Replace(own, `"event"`, `"slto":1,"event"`, 1), `unknown member "slto"`, ""},

		{"gzip cut off", zip(own + "\n" + own)[:40], "test:1: the gzip file is cut off here", "copy the file again"},
		{"gzip damaged", zip(own + "\n")[:40] + "xxxxxxxxxxxxxxxxxxxx", "test:1: the gzip file is damaged here", "copy the file again"},
		{"gzip with a wrong checksum", strings.Replace(zip(own+"\n"+own), zip(own + "\n" + own)[len(zip(own+"\n"+own))-8:], "checksum", 1), "the gzip file is damaged here", "copy the file again"},
		{"gzip and more", zip(own+"\n") + "more than ten bytes", "test:2: the gzip file is damaged here", "copy the file again"},
		{"gzip's header alone", "\x1f\x8b\x08\x00", "test:1: the gzip file is cut off here", "copy the file again"},
		{"zstd", "\x28\xb5\x2f\xfd\x04\x00", "it looks like zstd", "zstd -dc FILE | cvvsim verify -"},
		{"zip", "PK\x03\x04\x14\x00", "it looks like a zip archive", "unzip -p"},
		{"UTF-16", "\xff\xfe{\x00", "it looks like UTF-16", "iconv"},
		{"UTF-16 without a mark", "{\x00\"\x00", "it looks like UTF-16", "iconv"},
		{"Parquet", "PAR1\x15\x04", "it looks like Parquet", "csv"},
		{"tar in gzip", zip(strings.Repeat("\x00", 257) + "ustar\x0000" + strings.Repeat("\x00", 248)), "it looks like a tar archive", "tar -xOf"},
		{"XML", "<log>\n", "not an RFC 3339", "XML"},
		{"plain text", "hello world", "not an RFC 3339", "it looks like plain text"},
		{"key=value pairs", "time=2026-08-01T00:01:36Z id=c1\n", "not an RFC 3339", "it looks like key=value pairs"},
		{"binary", "Obj\x01\x04 x", "not an RFC 3339", "it looks like a binary file"},
		{"a text timeline", "2026-08-01 c1 forced", "not an RFC 3339", ""},
		{"a word", "2026-08-01", "not an RFC 3339", ""},
		{"a container's log", `{"log":"{\"time\":1}\n","stream":"stdout","time":"2026-08-01T00:01:36Z"}`, "unknown member", "its member log is JSON in a string; extract it first: jq -r .log FILE"},
		{"another JSON log", valueLine(`"reason":"x","data":{"card-id":"c1","next_rotation":"x","4111111111111111":1},"msg":"x"`), "unknown member",
			"its members are time, id, type, reason, data.card-id, data.next_rotation, msg; to read it as a log: --map at=time,card=data.card-id,event=type,next=data.next_rotation, and --map-event"},
		{"behind a prefix", "INFO " + logLine, "not an RFC 3339", "its members are time, id, type; to read it as a log: --map at=time,card=FIELD,event=type,"},
		{"another CSV log", "Timestamp,Card ID,Action\n1,2,3", "not an RFC 3339", "its columns are Timestamp, Card ID, Action; to read it as a log: --map 'at=Timestamp,card=Card ID,event=Action',"},
		{"rows without a header", "4111111111111111,c1,forced\n", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readAll(tt.source)
			var at *timeline.Error
			if !errors.As(err, &at) || !strings.Contains(at.Error(), tt.says) || !strings.Contains(at.Hint, tt.hint) || tt.hint == "" && at.Hint != "" {
				t.Errorf("error %v, hint %q", err, at.Hint)
			}
		})
	}
}

// A read that fails while the daemon's first event is sought is reported as itself.
func TestReader_ReturnsTheInputsError(t *testing.T) {
	r := timeline.NewReader(io.MultiReader(strings.NewReader("starting\n"), iotest.ErrReader(io.ErrClosedPipe)), "log")
	if _, err := r.Next(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v, want the reader's", err)
	}
}

// A member called reason is another system's own, unless the mapping names it; its
// text is never in an error.
func TestMapping_IgnoresReasonsOfOtherSystems(t *testing.T) {
	const log = `{"at":"2026-11-22T15:00:00Z","card":"A","event":"forced","reason":"customer reports 4000000000000002"}`
	for name, row := range map[string]struct {
		fields map[string]string
		ok     bool
	}{
		"not mapped": {map[string]string{"at": "at"}, true},
		"mapped":     {map[string]string{"reason": "reason"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := timeline.NewMapping(row.fields, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := timeline.NewReader(strings.NewReader(log), "log")
			r.Map(m)
			_, err = r.Next()
			if (err == nil) != row.ok || err != nil && strings.Contains(err.Error(), "customer") {
				t.Errorf("error %v, accepted should be %v", err, row.ok)
			}
		})
	}
}
