package rotation_test

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"

	"pgregory.net/rapid"
)

// golden are the states whose encoded forms testdata/state_v1.txt freezes: that file
// says what is in databases, so tests read it and nothing writes it.
var golden = []struct {
	name  string
	state func(testing.TB) rotation.State
}{
	{"zero", func(testing.TB) rotation.State { return rotation.State{} }},
	{"scheduled, guard of an interval", daily},
	{"guard of a forced call", func(t testing.TB) rotation.State {
		return after(t, rules, setInterval(-day, day), forced(0))
	}},
	{"served, guard of an automatic rotation", func(t testing.TB) rotation.State {
		return after(t, rules, setInterval(-day, day), autoSlot(123456789, 0))
	}},
	{"forced after an automatic rotation", func(t testing.TB) rotation.State {
		return after(t, rules, setInterval(-day, day), autoSlot(0, 0), forced(time.Minute))
	}},
	{"off, guard of a forced call", func(t testing.TB) rotation.State { return after(t, rules, forced(0)) }},
	{"off, guard of an interval", func(t testing.TB) rotation.State {
		return after(t, rules, setInterval(0, day), disable(time.Second))
	}},
	{"off, guard of an automatic rotation, served", func(t testing.TB) rotation.State {
		return after(t, rules, setInterval(-day, day), autoSlot(0, 0), disable(time.Minute))
	}},
	{"off, guard of a forced call, served", func(t testing.TB) rotation.State {
		return after(t, rules, setInterval(-day, day), autoSlot(0, 0), forced(time.Second), disable(time.Minute))
	}},
	{"nanoseconds", func(t testing.TB) rotation.State {
		return after(t, rules, setFirst(0, 3*time.Hour+25*time.Minute+45*time.Second+6789, 10*time.Millisecond))
	}},
	{"the first instant", func(t testing.TB) rotation.State {
		return after(t, newRules(t, 0, rotation.GuardFromRequest), rotation.SetInterval(time.Unix(0, 0), 1))
	}},
	{"served in 1970", func(t testing.TB) rotation.State {
		return after(t, newRules(t, 0, rotation.GuardFromRequest),
			rotation.SetInterval(time.Unix(0, 0), 1), rotation.AutoSlot(time.Unix(0, 1), time.Unix(0, 1)))
	}},
	{"the last slot", func(t testing.TB) rotation.State {
		last := endOfYears.Add(-ns)
		return after(t, rules, rotation.SetIntervalFirst(last.Add(-ns), rotation.MaxInterval, last), rotation.AutoSlot(last, last))
	}},
}

// goldenForms returns the text and binary forms in testdata/state_v1.txt by name.
func goldenForms(t testing.TB) map[string][2]string {
	t.Helper()
	file := must.Get(os.ReadFile("testdata/state_v1.txt"))(t)
	forms := map[string][2]string{}
	for line := range strings.Lines(string(file)) {
		if line[0] == '#' {
			continue
		}
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 3 {
			t.Fatalf("not three columns: %q", line)
		}
		forms[columns[0]] = [2]string(columns[1:])
	}
	return forms
}

func TestState_FormsAreFrozen(t *testing.T) {
	forms := goldenForms(t)
	for _, test := range golden {
		t.Run(test.name, func(t *testing.T) {
			frozen, ok := forms[test.name]
			if !ok {
				t.Fatal("testdata/state_v1.txt has no such line")
			}
			delete(forms, test.name)
			s := test.state(t)
			if got := s.String(); got != frozen[0] {
				t.Errorf("text\n got %s\nwant %s", got, frozen[0])
			}
			data, err := s.MarshalBinary()
			if got := fmt.Sprintf("%x", data); got != frozen[1] || err != nil {
				t.Errorf("binary\n got %s, %v\nwant %s", got, err, frozen[1])
			}
			if parsed, err := rotation.ParseState(frozen[0]); parsed != s || err != nil {
				t.Errorf("the text is parsed as %v, %v; want %v", parsed, err, s)
			}
			stored := must.Get(hex.DecodeString(frozen[1]))(t)
			var decoded rotation.State
			if err := decoded.UnmarshalBinary(stored); decoded != s || err != nil {
				t.Errorf("the binary form is decoded as %v, %v; want %v", decoded, err, s)
			}
		})
	}
	for name := range forms {
		t.Errorf("no state is %q", name)
	}
}

type fataler interface{ Fatalf(string, ...any) }

// roundTrip stores and restores s in each form.
func roundTrip(t fataler, s rotation.State) {
	text, err := s.AppendText([]byte("before "))
	if err != nil || string(text) != "before "+s.String() {
		t.Fatalf("AppendText = %s, %v", text, err)
	}
	data, err := s.AppendBinary([]byte("before "))
	if err != nil || len(data) > len("before ")+38 || string(data[:7]) != "before " {
		t.Fatalf("AppendBinary = %q, %v", data, err)
	}
	var fromText, fromBinary rotation.State
	if err := fromText.UnmarshalText(text[7:]); err != nil || fromText != s {
		t.Fatalf("text %s came back as %v, %v", text, fromText, err)
	}
	if err := fromBinary.UnmarshalBinary(data[7:]); err != nil || fromBinary != s {
		t.Fatalf("binary %x came back as %v, %v", data, fromBinary, err)
	}
	type card struct{ State rotation.State }
	var fromJSON card
	document, err := json.Marshal(card{s})
	if err != nil || string(document) != `{"State":"`+s.String()+`"}` {
		t.Fatalf("JSON %s, %v", document, err)
	}
	if err := json.Unmarshal(document, &fromJSON); err != nil || fromJSON.State != s {
		t.Fatalf("JSON %s came back as %v, %v", document, fromJSON, err)
	}
}

func TestState_RoundTripsInEachForm(t *testing.T) {
	generator := anything.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		for _, m := range generator.Draw(t, "timeline").moves {
			roundTrip(t, m.after)
		}
	})
}

// wantDamage checks that decode fails with one of the errors and leaves the
// receiver as it was.
func wantDamage(t *testing.T, what string, decode func(*rotation.State) error, want ...error) {
	t.Helper()
	s := daily(t)
	err := decode(&s)
	matched := false
	for _, w := range want {
		matched = matched || errors.Is(err, w)
	}
	if !matched {
		t.Errorf("%s: %v", what, err)
	}
	if s != daily(t) {
		t.Errorf("%s: the error came with %v", what, s)
	}
}

func TestState_RefusesFlippedBitsAndOtherLengths(t *testing.T) {
	for _, test := range golden {
		t.Run(test.name, func(t *testing.T) {
			s := test.state(t)
			text := []byte(s.String())
			data, _ := s.MarshalBinary()
			for _, form := range []struct {
				name   string
				good   []byte
				decode func(*rotation.State, []byte) error
			}{
				{"text", text, (*rotation.State).UnmarshalText},
				{"binary", data, (*rotation.State).UnmarshalBinary},
			} {
				for i := range 8 * len(form.good) {
					bad := append([]byte(nil), form.good...)
					bad[i/8] ^= 1 << (i % 8)
					wantDamage(t, fmt.Sprintf("%s %q with bit %d flipped", form.name, bad, i),
						func(s *rotation.State) error { return form.decode(s, bad) },
						rotation.ErrStateDamaged, rotation.ErrStateVersion)
				}
				for n := range form.good {
					wantDamage(t, fmt.Sprintf("%s %q", form.name, form.good[:n]),
						func(s *rotation.State) error { return form.decode(s, form.good[:n]) },
						rotation.ErrStateDamaged)
				}
				for _, more := range []string{"\x00", " ", "\n", strings.Repeat(" ", 300)} {
					bad := append(append([]byte(nil), form.good...), more...)
					wantDamage(t, fmt.Sprintf("%s %q", form.name, bad),
						func(s *rotation.State) error { return form.decode(s, bad) },
						rotation.ErrStateDamaged)
				}
			}
		})
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealText and sealBinary append the correct checksum to a body, so that tests reach
// what is checked after it.
func sealText(body string) []byte {
	return fmt.Appendf(nil, "%s crc=%08x", body, crc32.Checksum([]byte(body), castagnoli))
}

func sealBinary(body []byte) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), body...), crc32.Checksum(body, castagnoli))
}

// A correct checksum does not make a state valid that Decide cannot have made.
func TestState_RefusesTextThatDecideCannotMake(t *testing.T) {
	const next = " next=2026-11-22T15:00:00Z"
	for _, test := range []struct {
		body string
		want error
	}{
		{"rotation/1 interval=24h" + next, nil}, // the pattern of the rest
		{"rotation/2", rotation.ErrStateVersion},
		{"rotation/2 more=fields", rotation.ErrStateVersion},
		{"rotation/0", rotation.ErrStateVersion},
		{"rotation/4294967295", rotation.ErrStateVersion},
		{"rotation/01", rotation.ErrStateDamaged},
		{"rotation/", rotation.ErrStateDamaged},
		{"rotation/one", rotation.ErrStateDamaged},
		{"Rotation/1", rotation.ErrStateDamaged},
		{"rotation/1  interval=24h" + next, rotation.ErrStateDamaged},
		{"rotation/1 more=fields", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h0m0s" + next, rotation.ErrStateDamaged},
		{"rotation/1 interval=1440m" + next, rotation.ErrStateDamaged},
		{"rotation/1 interval=0s" + next, rotation.ErrStateDamaged},
		{"rotation/1 interval=-24h" + next, rotation.ErrStateDamaged},
		{"rotation/1 interval=87600h" + next, nil},
		{"rotation/1 interval=87600h0m0.000000001s" + next, rotation.ErrStateDamaged},
		{"rotation/1 interval=2562047h47m16.854775807s" + next, rotation.ErrStateDamaged}, // does not fit its bits
		{"rotation/1 interval=24h", rotation.ErrStateDamaged},
		{"rotation/1" + next, rotation.ErrStateDamaged},
		{"rotation/1" + next + " interval=24h", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h" + next + next, rotation.ErrStateDamaged},
		{"rotation/1 interval=24h next=2026-11-22T16:00:00+01:00", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h next=2026-11-22T15:00:00.0Z", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h next=1969-12-31T23:59:59.999999999Z", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h next=0001-01-01T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h next=2210-12-29T23:59:59.999999999Z", nil}, // ten years of 365 days after 2200
		{"rotation/1 interval=24h next=2210-12-30T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 interval=24h next=9999-12-31T23:59:59Z", rotation.ErrStateDamaged},
		{"rotation/1 guard=auto@2200-12-31T23:59:59.999999999Z", nil},
		{"rotation/1 guard=auto@2201-01-01T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 guard=auto@1970-01-01T00:00:00Z", nil},
		{"rotation/1 guard=auto@1969-12-31T23:59:59Z", rotation.ErrStateDamaged},
		{"rotation/1 guard=auto@0001-01-01T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 guard=set_interval@1970-01-01T00:00:00Z", nil},
		{"rotation/1 guard=disable@1970-01-01T00:00:00Z", rotation.ErrStateDamaged}, // never starts it
		{"rotation/1 guard=Kind(0)@1970-01-01T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 guard=auto", rotation.ErrStateDamaged},
		{"rotation/1 served=1970-01-01T00:00:00Z", nil},
		{"rotation/1 served=1969-12-31T23:59:59Z", rotation.ErrStateDamaged},
		{"rotation/1 served=0001-01-01T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 served=2299-01-01T00:00:00Z", rotation.ErrStateDamaged},
		{"rotation/1 served=1970-01-01T00:00:00Z guard=auto@1970-01-01T00:00:00Z", rotation.ErrStateDamaged},
	} {
		t.Run(test.body, func(t *testing.T) {
			wantDecoded(t, sealText(test.body), (*rotation.State).UnmarshalText, test.want)
		})
	}
}

func TestState_RefusesBinaryThatDecideCannotMake(t *testing.T) {
	word := func(n int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	end := endOfYears.UnixNano()
	for _, test := range []struct {
		body string
		want error
	}{
		{"\x01\x00", nil},
		{"\x02\x00", rotation.ErrStateVersion},
		{"\x00\x00", rotation.ErrStateVersion},
		{"\x02", rotation.ErrStateVersion}, // before its length is checked
		{"\x01", rotation.ErrStateDamaged},
		{"\x01\x10", rotation.ErrStateDamaged}, // an unknown field
		{"\x01\x00" + word(0), rotation.ErrStateDamaged},
		{"\x01\x04" + word(1) + word(0), nil},
		{"\x01\x04" + word(1), rotation.ErrStateDamaged},
		{"\x01\x04" + word(1) + word(0)[1:], rotation.ErrStateDamaged},
		{"\x01\x04" + word(0) + word(0), rotation.ErrStateDamaged},
		{"\x01\x04" + word(-1) + word(0), rotation.ErrStateDamaged},
		{"\x01\x04" + word(1<<61) + word(0), rotation.ErrStateDamaged}, // does not fit its bits
		{"\x01\x04" + word(int64(rotation.MaxInterval)) + word(0), nil},
		{"\x01\x04" + word(int64(rotation.MaxInterval)+1) + word(0), rotation.ErrStateDamaged},
		{"\x01\x04" + word(1) + word(-1), rotation.ErrStateDamaged},
		{"\x01\x04" + word(1) + word(-1<<63), rotation.ErrStateDamaged},
		{"\x01\x04" + word(1) + word(end+int64(rotation.MaxInterval)-1), nil},
		{"\x01\x04" + word(1) + word(end+int64(rotation.MaxInterval)), rotation.ErrStateDamaged},
		{"\x01\x01" + word(end-1), nil},
		{"\x01\x01" + word(end), rotation.ErrStateDamaged},
		{"\x01\x01" + word(-1), rotation.ErrStateDamaged},
		{"\x01\x01" + word(-1<<63), rotation.ErrStateDamaged},
		{"\x01\x08" + word(0), nil},
		{"\x01\x08" + word(-1), rotation.ErrStateDamaged},
		{"\x01\x08" + word(end+int64(rotation.MaxInterval)), rotation.ErrStateDamaged},
	} {
		t.Run(fmt.Sprintf("%x", test.body), func(t *testing.T) {
			wantDecoded(t, sealBinary([]byte(test.body)), (*rotation.State).UnmarshalBinary, test.want)
		})
	}
}

// wantDecoded checks that decode accepts data, or fails with want where it is not nil.
func wantDecoded(t *testing.T, data []byte, decode func(*rotation.State, []byte) error, want error) {
	t.Helper()
	if want != nil {
		wantDamage(t, "sealed", func(s *rotation.State) error { return decode(s, data) }, want)
		return
	}
	var s rotation.State
	if err := decode(&s, data); err != nil {
		t.Error(err)
	}
}

func TestScan_ReadsEachFormAndLeavesStateOnError(t *testing.T) {
	s := daily(t)
	text, binary := s.String(), must.Get(s.MarshalBinary())(t)
	for _, test := range []struct {
		name string
		src  any
		want rotation.State
		err  error
	}{
		{"NULL", nil, rotation.State{}, nil},
		{"text as a string", text, s, nil},
		{"text as bytes", []byte(text), s, nil},
		{"binary as bytes", binary, s, nil},
		{"binary as a string", string(binary), s, nil},
		{"JSON", `"` + text + `"`, s, nil},
		{"JSON with spaces and an escaped slash", []byte(" \"" + strings.Replace(text, "/", `\/`, 1) + "\"\n"), s, nil},
		{"null in JSON", []byte("null"), rotation.State{}, nil},
		{"the zero state", rotation.State{}.String(), rotation.State{}, nil},
		{"no text", "", s, rotation.ErrStateDamaged},
		{"no bytes", []byte(nil), s, rotation.ErrStateDamaged},
		{"cut text", text[:len(text)-1], s, rotation.ErrStateDamaged},
		{"cut bytes", binary[:len(binary)-1], s, rotation.ErrStateDamaged},
		{"hexadecimal digits of bytes", fmt.Sprintf("\\x%x", binary), s, rotation.ErrStateDamaged},
		{"damaged text in JSON", `"` + text[1:] + `"`, s, rotation.ErrStateDamaged},
		{"more after JSON", `"` + text + `" 1`, s, rotation.ErrStateDamaged},
		{"a number in JSON", "7", s, rotation.ErrStateDamaged},
		{"an object in JSON", "{}", s, rotation.ErrStateDamaged},
		{"newer text", sealText("rotation/2"), s, rotation.ErrStateVersion},
		{"newer bytes", "\x02", s, rotation.ErrStateVersion},
		{"newer text in JSON", `"rotation/2"`, s, rotation.ErrStateVersion},
		{"a number", int64(7), s, rotation.ErrStateDamaged},
		{"an instant", start, s, rotation.ErrStateDamaged},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := s
			err := got.Scan(test.src)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %v, %v; want %v, %v", got, err, test.want, test.err)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("read as %T: ", test.src)) {
				t.Errorf("the error does not name the type: %v", err)
			}
		})
	}
}

// pgx prefers a Value method to MarshalText, and would write text that is not JSON
// into a jsonb column.
func TestState_HasNoValueMethod(t *testing.T) {
	if _, ok := any(new(rotation.State)).(driver.Valuer); ok {
		t.Error("State is a driver.Valuer")
	}
}

// FuzzStateText decodes the input as it is, and once more with a correct checksum,
// which fuzzing would not guess.
func FuzzStateText(f *testing.F) {
	for _, forms := range goldenForms(f) {
		f.Add(forms[0])
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, text := range [][]byte{[]byte(text), sealText(text)} {
			s := rotation.State{}
			if err := s.UnmarshalText(text); err != nil {
				checkRefused(t, s, err)
			} else if s.String() != string(text) {
				t.Errorf("%q re-encodes as %q", text, s)
			} else {
				live(t, s)
			}
		}
	})
}

// FuzzStateBinary does the same for the binary form.
func FuzzStateBinary(f *testing.F) {
	for _, test := range golden {
		data, _ := test.state(f).MarshalBinary()
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, sealBinary(data)} {
			s := rotation.State{}
			if err := s.UnmarshalBinary(data); err != nil {
				checkRefused(t, s, err)
			} else if again, _ := s.MarshalBinary(); string(again) != string(data) {
				t.Errorf("%x re-encodes as %x", data, again)
			} else {
				live(t, s)
			}
		}
	})
}

func checkRefused(t *testing.T, s rotation.State, err error) {
	if s != (rotation.State{}) || !errors.Is(err, rotation.ErrStateDamaged) && !errors.Is(err, rotation.ErrStateVersion) {
		t.Errorf("%v, %v", s, err)
	}
}

// live applies every kind of event at extreme instants to s: the states after it
// can be stored, and no sum has wrapped.
func live(t *testing.T, s rotation.State) {
	next, _ := s.Next()
	for _, at := range []time.Time{time.Unix(0, 0), start, next, endOfYears.Add(-ns)} {
		for _, e := range []rotation.Event{
			rotation.Forced(at), rotation.AutoUnslotted(at), rotation.AutoSlot(at, next), rotation.AutoSlot(at, at),
			rotation.SetInterval(at, s.Interval()), rotation.SetInterval(at, rotation.MaxInterval), rotation.Disable(at),
		} {
			after, d, err := rules.Decide(s, e)
			if err != nil {
				continue
			}
			next, on := after.Next()
			if d.Missed < 0 || on && d.Rotate() && d.Rule != rotation.R2 && !next.After(at) {
				t.Errorf("%v at %v on %v: %v, %v", e.Kind(), at, s, d, after)
			}
			roundTrip(t, after)
			if rules.Explain(s, e) == "" {
				t.Error("no explanation")
			}
		}
	}
}
