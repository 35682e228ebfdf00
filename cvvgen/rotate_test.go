package cvvgen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"cvvrotation/servicecode"
	"cvvrotation/sim/must"

	"pgregory.net/rapid"
)

// deriverFunc is a Deriver made of a function, such as a faulty HSM.
type deriverFunc func(code servicecode.Code) (CVV, error)

func (f deriverFunc) Derive(_ context.Context, _ Card, code servicecode.Code) (CVV, error) {
	return f(code)
}

func TestRotate_ChangesCodeAndCVV(t *testing.T) {
	ctx, card := context.Background(), testCard()
	for digits := 3; digits <= 5; digits++ {
		local := testLocal(t, digits)
		current := servicecode.MustParse("201")
		before := must.Get(local.Derive(ctx, card, current))(t)
		for range 3000 {
			r := must.Get(Rotate(ctx, local, card, current))(t)
			switch {
			case r.ServiceCode == current, r.ServiceCode == servicecode.CVV2(), r.ServiceCode == servicecode.ICVV():
				t.Fatalf("rotated to %v", r.ServiceCode)
			case r.CVV.Equal(before), r.SameCVV:
				t.Fatal("rotated to the same CVV")
			}
			again, err := local.Derive(ctx, card, r.ServiceCode)
			if err != nil || !again.Equal(r.CVV) {
				t.Fatalf("the service code does not give the CVV again: %v", err)
			}
			current, before = r.ServiceCode, r.CVV
		}
	}
}

// With a Deriver under which a quarter of the codes share the current CVV, the
// rest come equally often and those never.
func TestRotate_DrawsUniformly(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 4)
	d := deriverFunc(func(code servicecode.Code) (CVV, error) {
		s := code.String()
		if (s[2]-'0')%4 == 1 {
			return ParseCVV("111")
		}
		return ParseCVV("222")
	})
	index := map[string]int{}
	for n := range 999 {
		if s := fmt.Sprintf("%03d", n); n != 0 && (s[2]-'0')%4 != 1 {
			index[s] = len(index)
		}
	}
	const n = 300_000
	count := make([]int, len(index))
	for range n {
		r := must.Get(Rotate(context.Background(), d, testCard(), servicecode.MustParse("201")))(t)
		i, ok := index[r.ServiceCode.String()]
		if !ok {
			t.Fatalf("rotated to %v", r.ServiceCode)
		}
		count[i]++
	}
	must.Do(t, uniform(count, n))
}

// Also under a Deriver that contradicts itself the code is another.
func TestRotate_NeverReturnsCurrentCode(t *testing.T) {
	calls := 0
	d := deriverFunc(func(servicecode.Code) (CVV, error) {
		calls++
		return ParseCVV(fmt.Sprintf("%03d", calls%1000))
	})
	current := servicecode.MustParse("201")
	for range 20_000 {
		r, err := Rotate(context.Background(), d, testCard(), current)
		if err != nil || r.ServiceCode == current {
			t.Fatalf("rotated to %v, %v", r.ServiceCode, err)
		}
	}
}

// A card that has no code yet gets one.
func TestRotate_WithoutCurrentCode(t *testing.T) {
	local := testLocal(t, 3)
	r, err := Rotate(context.Background(), local, testCard(), servicecode.Code{})
	if err != nil || !r.ServiceCode.IsValid() || !r.CVV.IsValid() || r.SameCVV {
		t.Errorf("first rotation gives %+v, %v", r, err)
	}
	r, err = RotateTo(context.Background(), local, testCard(), servicecode.Code{}, servicecode.MustParse("201"))
	if err != nil || r.CVV.Reveal() != "526" || r.SameCVV {
		t.Errorf("first rotation to 201 gives %+v, %v", r, err)
	}
}

func TestRotateTo_ReportsSameCVV(t *testing.T) {
	ctx, card, local := context.Background(), testCard(), testLocal(t, 3)
	same := 0
	for n := range 1000 {
		next := servicecode.MustParse(fmt.Sprintf("%03d", n))
		r, err := RotateTo(ctx, local, card, servicecode.MustParse("201"), next)
		if err != nil || r.ServiceCode != next {
			t.Fatalf("RotateTo gives %+v, %v", r, err)
		}
		want, _ := twin(unhex(visaTestKey), "4123456789012349"+"2511"+next.String())
		if r.CVV.Reveal() != want[:3] || r.SameCVV != (want[:3] == "526") {
			t.Fatalf("to %v: CVV or SameCVV = %v is wrong", next, r.SameCVV)
		}
		if r.SameCVV {
			same++
		}
	}
	if same < 2 {
		t.Errorf("%d of 1,000 codes give the same CVV; the test needs one besides 201", same)
	}
}

func TestRotate_ReturnsErrorsOfDeriver(t *testing.T) {
	ctx, card := context.Background(), testCard()
	broken := errors.New("HSM: connection lost")
	from, to := servicecode.MustParse("201"), servicecode.MustParse("101")
	failing := deriverFunc(func(servicecode.Code) (CVV, error) { return CVV{}, broken })
	failingNew := deriverFunc(func(c servicecode.Code) (CVV, error) {
		if c == from {
			return ParseCVV("123")
		}
		return CVV{}, broken
	})
	absent := deriverFunc(func(servicecode.Code) (CVV, error) { return CVV{}, nil })
	calls := 0
	stuck := deriverFunc(func(servicecode.Code) (CVV, error) { calls++; return ParseCVV("123") })

	for _, tt := range []struct {
		name string
		d    Deriver
		want error
		text string
	}{
		{"failing", failing, broken, "deriving the current CVV: HSM: connection lost"},
		{"failing for the new code", failingNew, broken, "deriving the new CVV: HSM: connection lost"},
		{"absent", absent, ErrMissing, "deriving the current CVV: cvvgen: missing value: CVV from the deriver"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Rotate(ctx, tt.d, card, from)
			if !errors.Is(err, tt.want) || err.Error() != tt.text || r != (Rotation{}) {
				t.Errorf("%s: Rotate gives %+v, %v; want %q", tt.name, r, err, tt.text)
			}
			r, err = RotateTo(ctx, tt.d, card, from, to)
			if !errors.Is(err, tt.want) || err.Error() != tt.text || r != (Rotation{}) {
				t.Errorf("%s: RotateTo gives %+v, %v; want %q", tt.name, r, err, tt.text)
			}
		})
	}
	if _, err := Rotate(ctx, stuck, card, from); !errors.Is(err, ErrStuck) || calls != 1+maxDraws {
		t.Errorf("stuck: %v after %d calls, want ErrStuck after %d", err, calls, 1+maxDraws)
	}
	if _, err := RotateTo(ctx, testLocal(t, 3), card, from, servicecode.Code{}); !errors.Is(err, ErrMissing) {
		t.Errorf("RotateTo no code: %v, want ErrMissing", err)
	}
	if ok, err := Verify(ctx, failing, card, from, mustCVV("123")); ok || !errors.Is(err, broken) {
		t.Errorf("Verify with a failing deriver: %v, %v", ok, err)
	}
	if ok, err := Verify(ctx, absent, card, from, mustCVV("123")); ok || !errors.Is(err, ErrMissing) {
		t.Errorf("Verify with an absent CVV: %v, %v", ok, err)
	}
	if ok, err := Verify(ctx, testLocal(t, 3), card, from, CVV{}); ok || !errors.Is(err, ErrMissing) {
		t.Errorf("Verify of no CVV: %v, %v", ok, err)
	}
}

// Exactly the right digits verify, out of all of 3 to 5.
func TestVerify_AcceptsOnlyTheCVV(t *testing.T) {
	ctx, card := context.Background(), testCard()
	for digits, want := range map[int]string{3: "526", 4: "5263", 5: "52630"} {
		t.Run(fmt.Sprint(digits), func(t *testing.T) {
			local := testLocal(t, digits)
			for n := 3; n <= 5; n++ {
				for v := range []int{3: 1000, 4: 10_000, 5: 100_000}[n] {
					if n == 5 && v%97 != 0 && v != 52630 {
						continue
					}
					s := fmt.Sprintf("%0*d", n, v)
					ok, err := Verify(ctx, local, card, servicecode.MustParse("201"), mustCVV(s))
					if err != nil || ok != (s == want) {
						t.Fatalf("Verify of %s for %s gives %v, %v", s, want, ok, err)
					}
				}
			}
		})
	}
}

func TestExpiry_RoundTripsInBothOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		year := rapid.IntRange(0, 99).Draw(t, "year")
		month := rapid.IntRange(1, 12).Draw(t, "month")
		yymm, mmyy := fmt.Sprintf("%02d%02d", year, month), fmt.Sprintf("%02d%02d", month, year)

		e := must.Get(ParseExpiry(ExpiryOrderYYMM, yymm))(t)
		e2, err := ParseExpiry(ExpiryOrderMMYY, mmyy)
		if err != nil || e2 != e {
			t.Fatalf("MMYY gives %v, %v; want %v", e2, err, e)
		}
		e3, err := NewExpiry(2000+year, time.Month(month))
		if err != nil || e3 != e {
			t.Fatalf("NewExpiry gives %v, %v; want %v", e3, err, e)
		}
		if got, err := e.Digits(ExpiryOrderYYMM); err != nil || got != yymm {
			t.Fatalf("Digits(ExpiryOrderYYMM) = %s, %v", got, err)
		}
		if got, err := e.Digits(ExpiryOrderMMYY); err != nil || got != mmyy {
			t.Fatalf("Digits(ExpiryOrderMMYY) = %s, %v", got, err)
		}
		if want := fmt.Sprintf("month %02d of year %02d", month, year); e.String() != want || !e.IsValid() {
			t.Fatalf("String = %q, want %q", e, want)
		}
	})
}

func TestExpiry_RefusesOtherText(t *testing.T) {
	for _, tt := range []struct {
		order ExpiryOrder
		in    string
		want  error
	}{
		{ExpiryOrderYYMM, "", ErrSyntax},
		{ExpiryOrderYYMM, "251", ErrSyntax},
		{ExpiryOrderYYMM, "25111", ErrSyntax},
		{ExpiryOrderYYMM, "25x1", ErrSyntax},
		{ExpiryOrderYYMM, "25/1", ErrSyntax},
		{ExpiryOrderYYMM, "251:", ErrSyntax},
		{ExpiryOrderYYMM, "2500", ErrSyntax},
		{ExpiryOrderYYMM, "2513", ErrSyntax},
		{ExpiryOrderMMYY, "2511", ErrSyntax}, // the wrong order, noticed by the month
		{0, "2511", ErrExpiryOrder},
		{3, "2511", ErrExpiryOrder},
	} {
		t.Run(fmt.Sprint(tt.order, tt.in), func(t *testing.T) {
			e, err := ParseExpiry(tt.order, tt.in)
			if !errors.Is(err, tt.want) || e.IsValid() {
				t.Errorf("ParseExpiry(%v, %q) = %v, %v; want %v", tt.order, tt.in, e, err, tt.want)
			}
			if err != nil && len(tt.in) > 2 && strings.Contains(err.Error(), tt.in) {
				t.Errorf("the error quotes the input: %v", err)
			}
		})
	}
	for _, tt := range []struct{ year, month int }{{25, 11}, {1999, 1}, {2100, 1}, {2025, 0}, {2025, 13}, {2025, -1}, {11, 2025}, {2025, 257}} {
		t.Run(fmt.Sprint(tt.year, tt.month), func(t *testing.T) {
			if e, err := NewExpiry(tt.year, time.Month(tt.month)); !errors.Is(err, ErrSyntax) || e.IsValid() {
				t.Errorf("NewExpiry(%d, %d) = %v, %v; want ErrSyntax", tt.year, tt.month, e, err)
			}
		})
	}
	if _, err := (Expiry{}).Digits(ExpiryOrderYYMM); !errors.Is(err, ErrMissing) {
		t.Errorf("Digits of no expiry: %v, want ErrMissing", err)
	}
	if _, err := testCard().Expiry.Digits(0); !errors.Is(err, ErrExpiryOrder) {
		t.Errorf("Digits in no order: %v, want ErrExpiryOrder", err)
	}
	if got := (Expiry{}).String(); got != "no expiry" {
		t.Errorf("no expiry prints as %q", got)
	}
	for o, want := range map[ExpiryOrder]string{ExpiryOrderYYMM: "YYMM", ExpiryOrderMMYY: "MMYY", 0: "ExpiryOrder(0)", 77: "ExpiryOrder(77)"} {
		if o.String() != want {
			t.Errorf("order prints as %q, want %q", o, want)
		}
	}
}
