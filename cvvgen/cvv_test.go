package cvvgen

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"cvvrotation/servicecode"
	"cvvrotation/sim/must"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// secret is what the three secret types have in common.
type secret interface {
	fmt.Formatter
	fmt.Stringer
	slog.LogValuer
	encoding.TextMarshaler
	encoding.BinaryMarshaler
	driver.Valuer
	IsValid() bool
}

var (
	_ secret                   = CVV{}
	_ secret                   = PAN{}
	_ secret                   = CVK{}
	_ encoding.TextUnmarshaler = (*CVV)(nil)
	_ encoding.TextUnmarshaler = (*PAN)(nil)
	_ Deriver                  = (*Local)(nil)
)

func TestParse_RevealsWhatWasParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9]{0,21}`).Draw(t, "digits")
		c, err := ParseCVV(s)
		var uc CVV
		uerr := uc.UnmarshalText([]byte(s))
		if ok := len(s) >= 3 && len(s) <= 5; ok != (err == nil) || ok != (uerr == nil) || ok != c.IsValid() || c != uc || (ok && c.Reveal() != s) {
			t.Fatalf("CVV of %d digits: %v, %v; or another value comes out", len(s), err, uerr)
		}
		p, err := ParsePAN(s)
		var up PAN
		uerr = up.UnmarshalText([]byte(s))
		if ok := len(s) >= 8 && len(s) <= 19; ok != (err == nil) || ok != (uerr == nil) || ok != p.IsValid() || p != up || (ok && p.Reveal() != s) {
			t.Fatalf("PAN of %d digits: %v, %v; or another value comes out", len(s), err, uerr)
		}
	})
}

func TestEqual_ComparesDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[01]{3,5}`) // few, so that pairs are often equal
		a, b := digits.Draw(t, "a"), digits.Draw(t, "b")
		c, d := mustCVV(a), mustCVV(b)
		want := a == b
		if c.Equal(d) != want || c.Matches(d) != want || (c == d) != want || cmp.Equal(c, d) != want {
			t.Fatalf("%s and %s: Equal %v, Matches %v, == %v", a, b, c.Equal(d), c.Matches(d), c == d)
		}
		longA, longB := a+strings.Repeat("9", 14), b+strings.Repeat("9", 14)
		p, q := mustPAN(longA), mustPAN(longB)
		if want := longA == longB; p.Equal(q) != want || (p == q) != want || cmp.Equal(p, q) != want {
			t.Fatalf("%s and %s: Equal %v, == %v", longA, longB, p.Equal(q), p == q)
		}
	})
}

// Each bit of the representation counts.
func TestEqual_ChecksEveryBit(t *testing.T) {
	for bit := range 64 {
		if equal(12345, 12345^1<<bit) {
			t.Errorf("values that differ in bit %d are equal", bit)
		}
	}
}

func TestZeroValues_AreNotValid(t *testing.T) {
	var c CVV
	var p PAN
	var k CVK
	if c.IsValid() || p.IsValid() || k.IsValid() || c.Reveal() != "" || p.Reveal() != "" {
		t.Error("a zero value is something")
	}
	if !c.Equal(CVV{}) || !p.Equal(PAN{}) {
		t.Error("zero values are not equal, as cmp needs")
	}
	if c.Matches(CVV{}) || c.Matches(mustCVV("000")) || mustCVV("000").Matches(c) {
		t.Error("an absent CVV matches")
	}
	if got := fmt.Sprint(c, p, k); got != "[redacted] [redacted] [redacted]" {
		t.Errorf("zero values print as %q, so that absence shows", got)
	}
}

// Every verb gives the same text, but for %T, %p and a misplaced %w, which fmt
// does not leave to a Formatter.
func TestFormat_RedactsUnderEveryVerb(t *testing.T) {
	for _, s := range []secret{mustCVV("739"), CVV{}, mustPAN("4123456789012349"), PAN{}, mustCVK(visaTestKey), CVK{}} {
		t.Run(fmt.Sprintf("%T %t", s, s.IsValid()), func(t *testing.T) {
			for _, verb := range verbs {
				if verb == "%T" || verb == "%p" || verb == "%w" {
					continue
				}
				if got := fmt.Sprintf(verb, s); !strings.Contains(got, "[redacted]") {
					t.Errorf("%T prints as %q under %s, want [redacted]", s, got, verb)
				}
			}
		})
	}
}

func TestMarshal_RefusesSecrets(t *testing.T) {
	for _, s := range []secret{mustCVV("123"), CVV{}, mustPAN("4123456789012349"), PAN{}, mustCVK(visaTestKey), CVK{}} {
		t.Run(fmt.Sprintf("%T %t", s, s.IsValid()), func(t *testing.T) {
			_, text := s.MarshalText()
			_, bin := s.MarshalBinary()
			_, value := s.Value()
			_, jsonErr := json.Marshal(map[string]any{"k": s})
			_, xmlErr := xml.Marshal(s)
			gobErr := gob.NewEncoder(new(bytes.Buffer)).Encode(s)
			for name, err := range map[string]error{"text": text, "binary": bin, "SQL": value, "JSON": jsonErr, "XML": xmlErr, "gob": gobErr} {
				if !errors.Is(err, ErrSecret) {
					t.Errorf("%T as %s: %v, want ErrSecret", s, name, err)
				}
			}
		})
	}
}

// What the package comment says about embedding.
func TestEmbedding_RedactsTheWholeStruct(t *testing.T) {
	type record struct {
		CVV
		Name string
	}
	r := record{mustCVV("739"), "Ada"}
	if got := fmt.Sprintf("%+v", r); got != "[redacted]" {
		t.Errorf("a struct that embeds a CVV prints as %q", got)
	}
	if _, err := json.Marshal(r); !errors.Is(err, ErrSecret) {
		t.Errorf("a struct that embeds a CVV marshals: %v", err)
	}
}

func TestParse_ErrorsNameLengthAndPosition(t *testing.T) {
	for _, tt := range []struct {
		what string
		err  error
		want string
	}{
		{"CVV", second(ParseCVV("")), "cvvgen: malformed value: CVV of 0 bytes, want 3 to 5 digits"},
		{"CVV", second(ParseCVV("739146")), "cvvgen: malformed value: CVV of 6 bytes, want 3 to 5 digits"},
		{"CVV", second(ParseCVV("73O1")), "cvvgen: malformed value: CVV: byte 3 of 4 is not a digit 0 to 9"},
		{"CVV", second(ParseCVV("/39")), "cvvgen: malformed value: CVV: byte 1 of 3 is not a digit 0 to 9"},
		{"CVV", second(ParseCVV("73:")), "cvvgen: malformed value: CVV: byte 3 of 3 is not a digit 0 to 9"},
		{"PAN", second(ParsePAN("4123456")), "cvvgen: malformed value: PAN of 7 bytes, want 8 to 19 digits"},
		{"PAN", second(ParsePAN("4123 4567 8901 2345")), "cvvgen: malformed value: PAN: byte 5 of 19 is not a digit 0 to 9"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			if !errors.Is(tt.err, ErrSyntax) || tt.err.Error() != tt.want {
				t.Errorf("%s: %v, want %s", tt.what, tt.err, tt.want)
			}
		})
	}
	c, p := mustCVV("123"), mustPAN("4123456789012349")
	if c.UnmarshalText([]byte("12")) == nil || p.UnmarshalText([]byte("12")) == nil {
		t.Error("UnmarshalText takes 2 digits")
	}
	if c != mustCVV("123") || p != mustPAN("4123456789012349") {
		t.Error("a failed UnmarshalText changed its receiver")
	}
}

func second[T any](_ T, err error) error { return err }

func TestMask_CanBeUndone(t *testing.T) {
	if permutation.mask(0) != 0 {
		t.Error("0 is not masked as 0")
	}
	rapid.Check(t, func(t *rapid.T) {
		p := newPermutation()
		x := rapid.Uint64().Draw(t, "x")
		if got := p.unmask(p.mask(x)); got != x {
			t.Fatalf("%d comes back as %d", x, got)
		}
	})
}

// One known number and its mask do not unmask the others, as they would with the
// exclusive or or the sum with a constant.
func TestMask_IsNoOffset(t *testing.T) {
	xor, sum := map[uint64]bool{}, map[uint64]bool{}
	const n = 1000
	for v := range uint64(n) {
		m := uint64(maskNumber(v, 3))
		xor[m^(firsts[3]+v)] = true
		sum[m-(firsts[3]+v)] = true
	}
	if len(xor) < n-1 || len(sum) < n-1 {
		t.Errorf("%d numbers have %d exclusive ors and %d differences with their masks", n, len(xor), len(sum))
	}
}

func TestMask_DiffersByProcess(t *testing.T) {
	const env = "CVVGEN_PRINT_MASK"
	if os.Getenv(env) != "" {
		fmt.Printf("mask %d\n", mustCVV("739").digits)
		return
	}
	seen := map[string]bool{}
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMask_DiffersByProcess$")
		cmd.Env = append(os.Environ(), env+"=1")
		out, err := cmd.Output()
		if err != nil || !bytes.HasPrefix(out, []byte("mask ")) {
			t.Fatalf("child: %v\n%s", err, out)
		}
		mask, _, _ := strings.Cut(string(out), "\n")
		seen[mask] = true
	}
	if len(seen) != 3 {
		t.Errorf("3 processes have %d masks", len(seen))
	}
}

// The numbering of digit strings, against counting them.
func TestFirsts_NumberStringsInOrder(t *testing.T) {
	number := uint64(0)
	for n, strings := 0, uint64(1); n < 20; n++ { // strings of n digits
		if firsts[n] != number {
			t.Errorf("the first string of %d digits has number %d, want %d", n, firsts[n], number)
		}
		number += strings
		strings *= 10
	}
}

func TestOperations_DoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("allocations are not counted under the race detector")
	}
	three, buffered := &Random{}, must.Get(NewBufferedRandom(4))(t)
	c, text := mustCVV("123"), []byte("456")
	local, card, code := testLocal(t, 5), testCard(), servicecode.MustParse("201")
	ctx := context.Background()
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"Random.Next", func() { three.Next(c) }},
		{"buffered Random.Next", func() { buffered.Next(c) }},
		{"ParseCVV", func() { ParseCVV("123") }},
		{"ParsePAN", func() { ParsePAN("4123456789012349") }},
		{"UnmarshalText", func() { c.UnmarshalText(text) }},
		{"ParseExpiry", func() { ParseExpiry(ExpiryOrderYYMM, "2511") }},
		{"Equal", func() { c.Equal(c) }},
		{"Matches", func() { c.Matches(c) }},
		{"Derive", func() { local.Derive(ctx, card, code) }},
		{"Rotate", func() { Rotate(ctx, local, card, code) }},
		{"RotateTo", func() { RotateTo(ctx, local, card, code, code) }},
		{"Verify", func() { Verify(ctx, local, card, code, c) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(200, tt.f); n != 0 {
				t.Errorf("%s allocates %v times, want 0", tt.name, n)
			}
		})
	}
}

// The working memory of a derivation goes back to its pool without the PAN and
// the result.
func TestDerive_WipesScratchMemory(t *testing.T) {
	local, card, code := testLocal(t, 3), testCard(), servicecode.MustParse("201")
	for range 100 { // the pool may drop or hold back values now and then
		must.Get(local.Derive(context.Background(), card, code))(t)
		s := scratches.Get().(*scratch)
		if *s != (scratch{}) {
			t.Fatal("the scratch is not zero")
		}
		scratches.Put(s)
	}
}

func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		allDigits := strings.Trim(s, "0123456789") == ""
		for _, tt := range []struct {
			what   string
			lo, hi int
			parse  func() (revealed string, err error)
		}{
			{"CVV", 3, 5, func() (string, error) { c, err := ParseCVV(s); return c.Reveal(), err }},
			{"PAN", 8, 19, func() (string, error) { p, err := ParsePAN(s); return p.Reveal(), err }},
		} {
			revealed, err := tt.parse()
			if allDigits && len(s) >= tt.lo && len(s) <= tt.hi {
				if err != nil || revealed != s {
					t.Fatalf("%s: %v, or other digits come out", tt.what, err)
				}
				continue
			}
			// The error is a function of the length and of one position, so that it
			// cannot quote the input.
			want := fmt.Sprintf("%v: %s of %d bytes, want %d to %d digits", ErrSyntax, tt.what, len(s), tt.lo, tt.hi)
			if len(s) >= tt.lo && len(s) <= tt.hi {
				bad := len(s) - len(strings.TrimLeft(s, "0123456789"))
				want = fmt.Sprintf("%v: %s: byte %d of %d is not a digit 0 to 9", ErrSyntax, tt.what, bad+1, len(s))
			}
			if err == nil || err.Error() != want || revealed != "" {
				t.Fatalf("%s: error %q, want %q", tt.what, err, want)
			}
		}
	})
}

func FuzzParseExpiry(f *testing.F) {
	f.Fuzz(func(t *testing.T, order uint8, s string) {
		o := ExpiryOrder(order)
		e, err := ParseExpiry(o, s)
		if err == nil {
			if back, err := e.Digits(o); err != nil || back != s {
				t.Fatalf("%q in order %v comes back as %q, %v", s, o, back, err)
			}
			return
		}
		if e.IsValid() || !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrExpiryOrder) {
			t.Fatalf("gives %v with error %v", e, err)
		}
	})
}
