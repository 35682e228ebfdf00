package servicecode_test

import (
	"bytes"
	"cmp"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cvvrotation/servicecode"
	"cvvrotation/sim/must"

	"pgregory.net/rapid"
)

var (
	_ encoding.TextAppender      = servicecode.Code{}
	_ encoding.TextMarshaler     = servicecode.Code{}
	_ encoding.TextUnmarshaler   = (*servicecode.Code)(nil)
	_ encoding.BinaryAppender    = servicecode.Code{}
	_ encoding.BinaryMarshaler   = servicecode.Code{}
	_ encoding.BinaryUnmarshaler = (*servicecode.Code)(nil)
	_ driver.Valuer              = servicecode.Code{}
	_ sql.Scanner                = (*servicecode.Code)(nil)
)

// The slow twin: a code is its text, and the standard's table is typed in once
// more, digit by digit, as words to look up.
var (
	twinFirst = map[string]string{
		"1": "international", "2": "international, chip where feasible",
		"5": "national except by bilateral agreement", "6": "national except by bilateral agreement, chip where feasible",
		"7": "no interchange except by bilateral agreement", "9": "test",
	}
	twinSecond = map[string]string{
		"0": "normal", "2": "by issuer, online", "4": "by issuer, online, except by bilateral agreement",
	}
	twinThird = map[string]string{
		"0": "no restrictions, PIN required", "1": "no restrictions", "2": "goods and services only",
		"3": "ATM only, PIN required", "4": "cash only", "5": "goods and services only, PIN required",
		"6": "no restrictions, PIN where feasible", "7": "goods and services only, PIN where feasible",
	}
)

func twinDigit(table map[string]string, digit, position string) string {
	if w, ok := table[digit]; ok {
		return w
	}
	return fmt.Sprintf("reserved %s digit %s", position, digit)
}

// every returns the 1,000 codes in numerical order, as text.
func every() []string {
	var all []string
	for n := range 1000 {
		all = append(all, fmt.Sprintf("%03d", n))
	}
	return all
}

func TestCode_AgreesWithTwin(t *testing.T) {
	assigned := 0
	for _, s := range every() {
		c, err := servicecode.Parse(s)
		if err != nil {
			t.Fatalf("Parse(%s): %v", s, err)
		}
		check := func(what string, got, want any) {
			t.Helper()
			if got != want {
				t.Errorf("%s of %s = %v, want %v", what, s, got, want)
			}
		}
		_, ok1 := twinFirst[s[:1]]
		_, ok2 := twinSecond[s[1:2]]
		_, ok3 := twinThird[s[2:]]
		if ok1 && ok2 && ok3 {
			assigned++
		}
		w1 := twinDigit(twinFirst, s[:1], "interchange")
		w2 := twinDigit(twinSecond, s[1:2], "authorization")
		w3 := twinDigit(twinThird, s[2:], "services")
		described := w1 + "; " + w2 + "; " + w3
		switch s {
		case "000":
			described = "stand-in for computing a CVV2, not assigned"
		case "999":
			described = "stand-in for computing an iCVV, not assigned"
		}

		check("String", c.String(), s)
		check("MustParse", servicecode.MustParse(s), c)
		check("IsValid", c.IsValid(), true)
		check("IsAssigned", c.IsAssigned(), ok1 && ok2 && ok3)
		check("Describe", c.Describe(), described)
		check("is CVV2", c == servicecode.CVV2(), s == "000")
		check("is ICVV", c == servicecode.ICVV(), s == "999")

		check("Interchange", byte(c.Interchange()), s[0])
		check("Interchange.IsAssigned", c.Interchange().IsAssigned(), ok1)
		check("Interchange.String", c.Interchange().String(), w1)
		check("Chip", c.Interchange().Chip(), ok1 && strings.Contains(w1, "chip"))
		check("International", c.Interchange().International(), ok1 && strings.HasPrefix(w1, "international"))
		check("National", c.Interchange().National(), ok1 && strings.HasPrefix(w1, "national"))

		check("Authorization", byte(c.Authorization()), s[1])
		check("Authorization.IsAssigned", c.Authorization().IsAssigned(), ok2)
		check("Authorization.String", c.Authorization().String(), w2)
		check("Online", c.Authorization().Online(), ok2 && strings.Contains(w2, "online"))

		check("Services", byte(c.Services()), s[2])
		check("Services.IsAssigned", c.Services().IsAssigned(), ok3)
		check("Services.String", c.Services().String(), w3)
		check("PINRequired", c.Services().PINRequired(), ok3 && strings.Contains(w3, "PIN required"))
		check("PINWhereFeasible", c.Services().PINWhereFeasible(), ok3 && strings.Contains(w3, "PIN where feasible"))
		check("Unrestricted", c.Services().Unrestricted(), ok3 && strings.HasPrefix(w3, "no restrictions"))
	}
	if assigned != 144 {
		t.Errorf("the twin knows %d assigned codes, want 6 × 3 × 8 = 144", assigned)
	}
}

func TestDigits_NamesMatchStandard(t *testing.T) {
	for _, tt := range []struct {
		name fmt.Stringer
		want string
	}{
		{servicecode.InterchangeInternational, twinFirst["1"]},
		{servicecode.InterchangeInternationalChip, twinFirst["2"]},
		{servicecode.InterchangeNational, twinFirst["5"]},
		{servicecode.InterchangeNationalChip, twinFirst["6"]},
		{servicecode.InterchangeNone, twinFirst["7"]},
		{servicecode.InterchangeTest, twinFirst["9"]},
		{servicecode.AuthorizationNormal, twinSecond["0"]},
		{servicecode.AuthorizationByIssuer, twinSecond["2"]},
		{servicecode.AuthorizationByIssuerExceptBilateral, twinSecond["4"]},
		{servicecode.ServicesNoRestrictionsPINRequired, twinThird["0"]},
		{servicecode.ServicesNoRestrictions, twinThird["1"]},
		{servicecode.ServicesGoodsAndServices, twinThird["2"]},
		{servicecode.ServicesATMPINRequired, twinThird["3"]},
		{servicecode.ServicesCashOnly, twinThird["4"]},
		{servicecode.ServicesGoodsAndServicesPINRequired, twinThird["5"]},
		{servicecode.ServicesNoRestrictionsPINFeasible, twinThird["6"]},
		{servicecode.ServicesGoodsAndServicesPINFeasible, twinThird["7"]},
	} {
		t.Run(tt.want, func(t *testing.T) {
			if got := tt.name.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Every one of the 256 values of a digit type prints, and only digits of the
// table are assigned.
func TestDigits_UnknownOnesPrint(t *testing.T) {
	for n := range 256 {
		for _, d := range []struct {
			String   string
			Assigned bool
			typ      string
			position string
		}{
			{servicecode.Interchange(n).String(), servicecode.Interchange(n).IsAssigned(), "Interchange", "interchange"},
			{servicecode.Authorization(n).String(), servicecode.Authorization(n).IsAssigned(), "Authorization", "authorization"},
			{servicecode.Services(n).String(), servicecode.Services(n).IsAssigned(), "Services", "services"},
		} {
			switch {
			case n >= '0' && n <= '9': // TestEveryCodeAgainstTwin
			case d.Assigned:
				t.Errorf("%s(%d) is assigned", d.typ, n)
			case n == 0 && d.String != "no "+d.position+" digit":
				t.Errorf("%s(0) prints %q", d.typ, d.String)
			case n != 0 && d.String != fmt.Sprintf("%s(%d)", d.typ, n):
				t.Errorf("%s(%d) prints %q", d.typ, n, d.String)
			}
		}
	}
}

func TestZeroCode_IsNotValid(t *testing.T) {
	var zero servicecode.Code
	if zero == servicecode.CVV2() {
		t.Error("the zero value is 000")
	}
	if zero.IsValid() || zero.IsAssigned() {
		t.Error("the zero value is valid or assigned")
	}
	if got := zero.String(); got != "no service code" {
		t.Errorf("String = %q", got)
	}
	if got := zero.Describe(); got != "no service code" {
		t.Errorf("Describe = %q", got)
	}
	if zero.Interchange() != 0 || zero.Authorization() != 0 || zero.Services() != 0 {
		t.Error("the zero value has digits")
	}
	if zero.Interchange().Chip() || zero.Authorization().Online() || zero.Services().PINRequired() {
		t.Error("the zero value has meanings")
	}
}

func TestParse_ErrorsNameLengthAndPosition(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "servicecode: want three ASCII digits: got 0 bytes"},
		{"1", "servicecode: want three ASCII digits: got 1 bytes"},
		{"2010", "servicecode: want three ASCII digits: got 4 bytes"},
		{"x01", "servicecode: want three ASCII digits: byte 1 of 3 is not one"},
		{"2x1", "servicecode: want three ASCII digits: byte 2 of 3 is not one"},
		{"20x", "servicecode: want three ASCII digits: byte 3 of 3 is not one"},
		{"+01", "servicecode: want three ASCII digits: byte 1 of 3 is not one"},
		{"20/", "servicecode: want three ASCII digits: byte 3 of 3 is not one"},
		{"20:", "servicecode: want three ASCII digits: byte 3 of 3 is not one"},
		{"١", "servicecode: want three ASCII digits: got 2 bytes"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			c, err := servicecode.Parse(tt.in)
			if !errors.Is(err, servicecode.ErrSyntax) || err.Error() != tt.want {
				t.Errorf("Parse(%q) error %q, want %q", tt.in, err, tt.want)
			}
			if c.IsValid() {
				t.Errorf("Parse(%q) gives a code with its error", tt.in)
			}
		})
	}
}

func TestMustParse_Panics(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, servicecode.ErrSyntax) {
			t.Errorf("panic value %v, want ErrSyntax", err)
		}
	}()
	servicecode.MustParse("2O1")
}

func TestCompare_IsNumerical(t *testing.T) {
	all := []servicecode.Code{{}}
	for _, s := range every() {
		all = append(all, servicecode.MustParse(s))
	}
	for i, c := range all {
		for j, d := range all {
			if got, want := c.Compare(d), cmp.Compare(i, j); got != want {
				t.Fatalf("(%v).Compare(%v) = %d, want %d", c, d, got, want)
			}
		}
	}
	if !slices.IsSortedFunc(all, servicecode.Code.Compare) {
		t.Error("the codes are not sorted by Compare")
	}
}

func TestMarshal_RoundTripsTextAndBinary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCode(t)
		want := ""
		if c.IsValid() {
			want = c.String()
		}
		got, err := c.AppendText([]byte("code="))
		if err != nil || string(got) != "code="+want {
			t.Fatalf("AppendText = %q, %v", got, err)
		}
		got, err = c.AppendBinary([]byte("code="))
		if err != nil || string(got) != "code="+want {
			t.Fatalf("AppendBinary = %q, %v", got, err)
		}
		text, err := c.MarshalText()
		if err != nil || string(text) != want {
			t.Fatalf("MarshalText = %q, %v", text, err)
		}
		bin, err := c.MarshalBinary()
		if err != nil || string(bin) != want {
			t.Fatalf("MarshalBinary = %q, %v", bin, err)
		}
		back, back2 := anyCode(t), anyCode(t)
		if err := back.UnmarshalText(text); err != nil || back != c {
			t.Fatalf("UnmarshalText gives %v, %v; want %v", back, err, c)
		}
		if err := back2.UnmarshalBinary(bin); err != nil || back2 != c {
			t.Fatalf("UnmarshalBinary gives %v, %v; want %v", back2, err, c)
		}
	})
}

func TestUnmarshal_ErrorLeavesCode(t *testing.T) {
	c := servicecode.MustParse("201")
	if err := c.UnmarshalText([]byte("20")); !errors.Is(err, servicecode.ErrSyntax) {
		t.Errorf("error %v, want ErrSyntax", err)
	}
	if c != servicecode.MustParse("201") {
		t.Errorf("the failed UnmarshalText changed the code to %v", c)
	}
}

func TestValue_RoundTripsThroughScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, back := anyCode(t), anyCode(t)
		v, err := c.Value()
		if want := any(c.String()); err != nil || c.IsValid() && v != want || !c.IsValid() && v != nil {
			t.Fatalf("Value = %v, %v", v, err)
		}
		if err := back.Scan(v); err != nil || back != c || !back.Equal(c) {
			t.Fatalf("%v came back as %v, %v", c, back, err)
		}
	})
}

func TestScan_AcceptsTextAloneAndLeavesCodeOnError(t *testing.T) {
	before := servicecode.MustParse("201")
	for _, tt := range []struct {
		src  any
		want string // empty: the zero value
		ok   bool
	}{
		{nil, "", true}, {"", "", true}, {[]byte{}, "", true},
		{"021", "021", true}, {[]byte("000"), "000", true},
		{"21", "201", false}, {[]byte("0021"), "201", false}, {"no service code", "201", false}, {`"021"`, "201", false},
		{int64(7), "201", false}, {int64(101), "201", false}, {101.0, "201", false}, {true, "201", false},
	} {
		t.Run(fmt.Sprintf("%T %v", tt.src, tt.src), func(t *testing.T) {
			got := before
			err := got.Scan(tt.src)
			if text, _ := got.MarshalText(); string(text) != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, servicecode.ErrSyntax) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestEncoders_RoundTrip(t *testing.T) {
	type record struct {
		Code  servicecode.Code
		None  servicecode.Code
		Omit  servicecode.Code `json:",omitzero"`
		ByKey map[servicecode.Code]int
	}
	in := record{
		Code:  servicecode.MustParse("021"),
		ByKey: map[servicecode.Code]int{servicecode.CVV2(): 1, servicecode.ICVV(): 2},
	}
	same := func(a, b record) bool {
		return a.Code == b.Code && a.None == b.None && len(b.ByKey) == 2 &&
			b.ByKey[servicecode.CVV2()] == 1 && b.ByKey[servicecode.ICVV()] == 2
	}

	data, err := json.Marshal(in)
	if want := `{"Code":"021","None":"","ByKey":{"000":1,"999":2}}`; err != nil || string(data) != want {
		t.Fatalf("JSON %s, %v; want %s", data, err, want)
	}
	var out record
	if err := json.Unmarshal(data, &out); err != nil || !same(in, out) {
		t.Errorf("JSON round trip gives %+v, %v", out, err)
	}

	var buf bytes.Buffer
	must.Do(t, gob.NewEncoder(&buf).Encode(in))
	var out2 record
	if err := gob.NewDecoder(&buf).Decode(&out2); err != nil || !same(in, out2) {
		t.Errorf("gob round trip gives %+v, %v", out2, err)
	}
}

// raceDetector is set in a build with the race detector, under which sync.Pool,
// and with it crypto/rand, allocates at random.
var raceDetector bool

func TestOperations_DoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("allocations are not counted under the race detector")
	}
	c := servicecode.MustParse("201")
	buf := make([]byte, 0, 8)
	text := []byte("999")
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"Parse", func() { servicecode.Parse("101") }},
		{"UnmarshalText", func() { var d servicecode.Code; d.UnmarshalText(text) }},
		{"AppendText", func() { c.AppendText(buf) }},
		{"AppendBinary", func() { c.AppendBinary(buf) }},
		{"Compare", func() { c.Compare(servicecode.Code{}) }},
		{"IsAssigned", func() { c.IsAssigned() }},
		{"RandomAssigned", func() { servicecode.RandomAssigned(c) }},
		{"RandomForCVV", func() { servicecode.RandomForCVV(c) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(200, tt.f); n != 0 {
				t.Errorf("%s allocates %v times, want 0", tt.name, n)
			}
		})
	}
}

func anyCode(t *rapid.T) servicecode.Code {
	n := rapid.IntRange(-1, 999).Draw(t, "number")
	if n < 0 {
		return servicecode.Code{}
	}
	return servicecode.MustParse(fmt.Sprintf("%03d", n))
}

func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		c, err := servicecode.Parse(s)
		var u servicecode.Code
		uerr := u.UnmarshalText([]byte(s))

		if slices.Contains(every(), s) {
			if err != nil || uerr != nil || c.String() != s || u != c {
				t.Fatalf("a code of three digits gives %v, %v and %v, %v", c, err, u, uerr)
			}
			return
		}
		if !errors.Is(err, servicecode.ErrSyntax) || c.IsValid() || u.IsValid() {
			t.Fatalf("accepted %q", s)
		}
		if (uerr == nil) != (s == "") {
			t.Fatalf("UnmarshalText of %d bytes: %v", len(s), uerr)
		}
		// The error is a function of the length and of one position, so that it
		// cannot quote the input.
		want := fmt.Sprintf("%v: got %d bytes", servicecode.ErrSyntax, len(s))
		if len(s) == 3 {
			bad := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789", r) })
			want = fmt.Sprintf("%v: byte %d of 3 is not one", servicecode.ErrSyntax, bad+1)
		}
		if err.Error() != want {
			t.Fatalf("error %q, want %q", err, want)
		}
	})
}
