package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

var compromised = engine.ForceRequest{Compromised: true}

// codes returns all service codes but 000 and 999.
func codes() []servicecode.Code {
	var all []servicecode.Code
	for n := 1; n < 999; n++ {
		all = append(all, servicecode.MustParse(fmt.Sprintf("%03d", n)))
	}
	return all
}

func testDeriver(t *testing.T, digits int) *cvvgen.Local {
	t.Helper()
	pair := []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10}
	return must.Get(cvvgen.NewLocal(must.Get(cvvgen.NewInsecureTestCVK(pair))(t), cvvgen.ExpiryOrderYYMM, digits))(t)
}

// No code that gives a compromised CVV is accepted, and every other one is.
func TestForce_RefusesEveryCodeOfACompromisedCVV(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	ref := engine.Ref{Card: "A", Account: "acme"}
	_, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")})
	must.Do(t, err)
	leaked := f.cvv(t, ref)
	f.force(t, ref, compromised)
	refused := 0
	for _, code := range codes() {
		given := must.Get(testDeriver(t, 3).Derive(t.Context(), particulars(t), code))(t)
		wantRefused := given.Equal(leaked) || given.Equal(f.cvv(t, ref))
		_, err := f.Force(t.Context(), ref, engine.ForceRequest{ServiceCode: code})
		var field *engine.FieldError
		if wantRefused != (errors.As(err, &field) && field.Field == "service_code") || !wantRefused && err != nil {
			t.Errorf("code %v, refused %t: %v", code, wantRefused, err)
		}
		if given.Equal(leaked) {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("%d codes give the leaked CVV; the test needs one besides 201", refused)
	}
}

// Most codes give a compromised CVV, and none of them is drawn, neither by a call nor by
// the schedule.
func TestRotation_DrawsNoCompromisedCVV(t *testing.T) {
	cvvs := map[bool]string{true: "111", false: "222"}
	many := deriverFunc(func(code servicecode.Code) (cvvgen.CVV, error) { // six of ten codes give 111 or 222
		s := code.String()
		if s[2] < '6' {
			return cvvgen.ParseCVV(cvvs[s[2]%2 == 0])
		}
		return cvvgen.ParseCVV("3" + s[:2])
	})
	for kind, g := range map[string]engine.Generator{
		"derived": engine.Derived(many, keyring(t, 1), engine.DerivedOptions{AnyPAN: true}),
		"random":  engine.Random(nil, keyring(t, 1)),
	} {
		t.Run(kind, func(t *testing.T) {
			f := newFixtureWith(t, g)
			ref := engine.Ref{Card: "A", Account: "acme"}
			reg := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: time.Hour}}
			if kind == "derived" {
				reg.Particulars, reg.ServiceCode = particulars(t), servicecode.MustParse("201")
			}
			_, _, err := f.Register(t.Context(), ref, reg)
			must.Do(t, err)
			leaked := map[string]bool{}
			for range map[string]int{"derived": 8, "random": engine.MaxCompromised}[kind] {
				leaked[f.cvv(t, ref).Reveal()] = true
				f.force(t, ref, compromised)
			}
			for i := range 500 {
				if i%2 == 0 {
					f.clock.Add(time.Hour)
					must.Equal(t, must.Get(f.Tick(t.Context()))(t), 1)
				} else {
					f.force(t, ref, engine.ForceRequest{})
				}
				if leaked[f.cvv(t, ref).Reveal()] {
					t.Fatalf("rotation %d brought a compromised CVV back", i)
				}
			}
		})
	}
}

// deriverFunc is a Deriver made of a function.
type deriverFunc func(code servicecode.Code) (cvvgen.CVV, error)

func (f deriverFunc) Derive(_ context.Context, _ cvvgen.Card, code servicecode.Code) (cvvgen.CVV, error) {
	return f(code)
}

// A deriver that gives one of the compromised CVVs for every code ends in an error, not
// in a loop.
func TestForce_FailsWhereEveryCodeGivesACompromisedCVV(t *testing.T) {
	n := 0
	alternating := deriverFunc(func(servicecode.Code) (cvvgen.CVV, error) { n++; return cvvgen.ParseCVV([]string{"111", "222"}[n%2]) })
	f := newFixtureWith(t, engine.Derived(alternating, keyring(t, 1), engine.DerivedOptions{AnyPAN: true}))
	ref := engine.Ref{Card: "A", Account: "acme"}
	_, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")})
	must.Do(t, err)
	for range 3 {
		_, err = f.Force(t.Context(), ref, compromised)
	}
	if err == nil || errors.Is(err, engine.ErrInvalid) || strings.Contains(err.Error(), "111") || strings.Contains(err.Error(), "222") {
		t.Errorf("%v", err)
	}
}

// Even if the 64 CVVs that most codes give are compromised, at least half of the codes
// are left, and so a draw succeeds.
func TestMaxCompromised_LeavesCodes(t *testing.T) {
	for digits := 3; digits <= 5; digits++ {
		t.Run(fmt.Sprint(digits), func(t *testing.T) {
			d := testDeriver(t, digits)
			for n := range 50 {
				card := particulars(t)
				card.PAN = must.Get(cvvgen.ParsePAN(fmt.Sprintf("41111111111%05d", n)))(t)
				given := map[string]int{}
				for _, code := range codes() {
					given[must.Get(d.Derive(t.Context(), card, code))(t).Reveal()]++
				}
				most := slices.SortedFunc(maps.Values(given), func(a, b int) int { return cmp.Compare(b, a) })
				taken := 0
				for _, codes := range most[:engine.MaxCompromised+1] { // and the current one
					taken += codes
				}
				if taken > 499 {
					t.Errorf("PAN %d: 65 CVVs are given by %d of 998 codes", n, taken)
				}
			}
		})
	}
}

func TestForce_ForgetsTheOldestOf65CompromisedCVVs(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	ref := engine.Ref{Card: "A", Account: "acme"}
	_, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")})
	must.Do(t, err)
	var leaked []servicecode.Code
	for n := range engine.MaxCompromised + 1 {
		if logged := strings.Contains(f.log.String(), "forgetting the oldest"); logged {
			t.Fatalf("after %d: %s", n, f.log)
		}
		leaked = append(leaked, f.card(t, "A").ServiceCode)
		f.force(t, ref, compromised)
	}
	if !strings.Contains(f.log.String(), "too many compromised CVVs; forgetting the oldest") {
		t.Errorf("not logged: %s", f.log)
	}
	c := f.card(t, "A")
	kept := must.Get(derived(t).Compromised(&c))(t)
	for i, code := range leaked {
		cvv := must.Get(testDeriver(t, 3).Derive(t.Context(), particulars(t), code))(t)
		if slices.ContainsFunc(kept, cvv.Equal) != (i > 0) {
			t.Errorf("compromised CVV %d of 65 is kept or forgotten wrongly", i+1)
		}
		// No code is accepted: a caller could push a leaked CVV out of the list, and
		// then name its code.
		if _, err := f.Force(t.Context(), ref, engine.ForceRequest{ServiceCode: code}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("to the code of compromised CVV %d: %v", i+1, err)
		}
	}
	f.force(t, ref, engine.ForceRequest{})
	if len(c.Compromised) > 64*4+seal.Overhead {
		t.Errorf("%d bytes stored", len(c.Compromised))
	}
}

// The previous CVV is compromised too while it is accepted: the thief may have it.
func TestForce_CompromisesThePreviousCVVWithinItsGrace(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration
		want  bool
	}{"within": {59 * time.Minute, true}, "at the end": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			f := newFixtureWith(t, derived(t), func(o *engine.Options) { o.Grace = time.Hour })
			ref := engine.Ref{Card: "A", Account: "acme"}
			_, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")})
			must.Do(t, err)
			f.force(t, ref, engine.ForceRequest{})
			f.clock.Add(test.after)
			f.force(t, ref, compromised)
			_, err = f.Force(t.Context(), ref, engine.ForceRequest{ServiceCode: servicecode.MustParse("201")})
			if got := errors.Is(err, engine.ErrInvalid); got != test.want {
				t.Errorf("refused %t: %v", got, err)
			}
		})
	}
}

// A compromised CVV is judged like any other that is not current, now and later.
func TestVerify_CompromisedCVVIsExpiredAndThenWrong(t *testing.T) {
	f := newFixture(t, func(o *engine.Options) { o.Grace, o.MaxTries = time.Hour, 10 })
	ref := f.register(t, "A", 0)
	leaked := f.cvv(t, ref)
	f.force(t, ref, compromised)
	f.verify(t, ref, leaked, engine.VerdictExpired)
	f.force(t, ref, engine.ForceRequest{})
	f.verify(t, ref, leaked, engine.VerdictWrong)
	if tries := f.card(t, "A").Tries; tries != 2 {
		t.Errorf("%d failed attempts", tries)
	}
}

// A list that cannot be decrypted keeps no card from rotating (R15). A chosen code cannot
// be judged without it.
func TestForce_WithAnUnreadableListOfCompromisedCVVs(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	ref := engine.Ref{Card: "A", Account: "acme"}
	_, _, err := f.Register(t.Context(), ref, engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")})
	must.Do(t, err)
	f.force(t, ref, compromised)
	c := f.card(t, "A")
	c.Compromised[30] ^= 1
	f.store.Put(c)
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{ServiceCode: servicecode.MustParse("101")}); !errors.Is(err, seal.ErrOpen) || errors.Is(err, engine.ErrInvalid) {
		t.Errorf("to a chosen code: %v", err)
	}
	f.force(t, ref, engine.ForceRequest{})
	if !strings.Contains(f.log.String(), "compromised CVVs cannot be decrypted") {
		t.Errorf("not logged: %s", f.log)
	}
	code := f.card(t, "A").ServiceCode
	f.force(t, ref, compromised) // starts a new list
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{ServiceCode: code}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("to a CVV of the new list: %v", err)
	}
}

// Without the key of the list and of the current CVV there is nothing to add. The list is
// there again when the key is.
func TestForce_CompromisedWithoutTheKeyKeepsTheList(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	want := f.cvv(t, ref)
	f.force(t, ref, compromised)
	f.Engine = must.Get(engine.New(f.store, engine.Random(nil, keyring(t, 2)), engine.Options{}))(t)
	f.force(t, ref, compromised)
	c := f.card(t, "A")
	got := must.Get(engine.Random(nil, keyring(t, 2, 1)).Compromised(&c))(t)
	if !slices.EqualFunc(got, []cvvgen.CVV{want}, cvvgen.CVV.Equal) {
		t.Errorf("%d compromised CVVs, want the one from before", len(got))
	}
}

// The list outlives a change of the key, and opens for its account alone.
func TestReseal_KeepsCompromisedCVVs(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	var want []cvvgen.CVV
	for range 3 {
		want = append(want, f.cvv(t, ref))
		f.force(t, ref, compromised)
	}
	for _, keys := range [][]uint32{{2, 1}, {2}} {
		f.Engine = must.Get(engine.New(f.store, engine.Random(nil, keyring(t, keys...)), engine.Options{}))(t)
		if r, err := f.Reseal(t.Context()); r.Failed != 0 || err != nil {
			t.Fatal(r, err)
		}
	}
	alone, c := engine.Random(nil, keyring(t, 2)), f.card(t, "A")
	got := must.Get(alone.Compromised(&c))(t)
	if !slices.EqualFunc(got, want, cvvgen.CVV.Equal) {
		t.Errorf("%d compromised CVVs, want 3 others", len(got))
	}
	c.Account = "evil"
	if _, err := alone.Compromised(&c); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("they open for another account: %v", err)
	}
}

// A repeated call changes nothing, and a call without compromised adds nothing.
func TestForce_AddsACompromisedCVVOnce(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", 0)
	g := engine.Random(nil, keyring(t, 1))
	for _, call := range []struct {
		req  engine.ForceRequest
		want int
	}{
		{engine.ForceRequest{}, 0},
		{engine.ForceRequest{Compromised: true, Key: "k"}, 1},
		{engine.ForceRequest{Compromised: true, Key: "k"}, 1},
		{engine.ForceRequest{}, 1},
		{engine.ForceRequest{Compromised: true}, 2},
	} {
		f.force(t, ref, call.req)
		c := f.card(t, "A")
		if got := must.Get(g.Compromised(&c))(t); len(got) != call.want || (c.Compromised == nil) != (call.want == 0) {
			t.Errorf("%d compromised CVVs, want %d", len(got), call.want)
		}
	}
}
