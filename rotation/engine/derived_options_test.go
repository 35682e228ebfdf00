package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// The algorithm writes PAN, expiry and service code in a row without separators, and fills
// up with zeros. So a PAN of another length, with another expiry and a code that may be
// chosen, gives the CVV2, iCVV or CVV of a card that another account has registered.
func TestDerived_PANOfAnotherLengthGivesNoCVVOfAnother(t *testing.T) {
	deny := derivedFor(t, engine.DerivedOptions{Prefixes: map[string][]string{"acme": {"4"}, "evil": {"4"}}})
	f := newFixtureWith(t, derivedFor(t, engine.DerivedOptions{AnyPAN: true}))
	for _, test := range []struct {
		name, pan, expiry, code       string
		otherPAN, otherExpiry, choose string
	}{
		{"CVV2", "4123456789012370", "2711", "000", "4123456789012", "3702", "711"},
		{"CVV2 of another month", "4123456789012351", "2703", "000", "4123456789012", "3512", "703"},
		{"CVV2 by one digit less", "4123456789012356", "3111", "000", "412345678901235", "6311", "100"},
		{"iCVV by one digit more", "4123456789012399", "2710", "999", "41234567890123992", "7109", "990"},
		{"CVV by two digits more", "4123456789012398", "2711", "101", "412345678901239827", "1110", "100"},
	} {
		t.Run(test.name, func(t *testing.T) {
			card := func(pan, expiry string) cvvgen.Card {
				return cvvgen.Card{PAN: must.Get(cvvgen.ParsePAN(pan))(t), Expiry: must.Get(cvvgen.ParseExpiry(cvvgen.ExpiryOrderYYMM, expiry))(t)}
			}
			secret := must.Get(testDeriver(t, 3).Derive(t.Context(), card(test.pan, test.expiry), servicecode.MustParse(test.code)))(t)
			reg := engine.RegisterRequest{Particulars: card(test.otherPAN, test.otherExpiry), ServiceCode: servicecode.MustParse(test.choose)}
			ref := engine.Ref{Card: strings.ReplaceAll(test.name, " ", "-"), Account: "evil"}
			_, _, err := f.Register(t.Context(), ref, reg) // without regard to lengths
			must.Do(t, err)
			if !f.cvv(t, ref).Equal(secret) {
				t.Fatal("the other PAN gives another CVV: the test shows nothing")
			}
			protected := newFixtureWith(t, deny)
			_, _, err = protected.Register(t.Context(), ref, reg)
			var field *engine.FieldError
			if !errors.As(err, &field) || field.Field != "pan" {
				t.Errorf("%v", err)
			}
			_, _, err = protected.Register(t.Context(), ref, engine.RegisterRequest{Particulars: card(test.pan, test.expiry)})
			must.Do(t, err)
		})
	}
}

// An account registers PANs under its own prefixes alone.
func TestDerived_AccountRegistersPANsUnderItsPrefixes(t *testing.T) {
	prefixes := map[string][]string{"acme": {"412345", "51"}, "a.b-c_d:e": {"41234567899"}, "16": {"4"}}
	f := newFixtureWith(t, derivedFor(t, engine.DerivedOptions{Prefixes: prefixes}))
	for i, test := range []struct {
		account, pan string
		allowed      bool
	}{
		{"acme", "4123456789012349", true},
		{"acme", "4123450000000000", true},
		{"acme", "5100000000000008", true},
		{"acme", "4123446789012349", false}, // the next BIN
		{"acme", "4123466789012349", false},
		{"acme", "5012345678901234", false},
		{"acme", "0412345678901234", false},
		{"acme", "9412345000000051", false},
		{"a.b-c_d:e", "4123456789012349", false}, // a part of a prefix is not enough
		{"a.b-c_d:e", "4123456789099999", false},
		{"a.b-c_d:e", "4123456789912345", true},
		{"a.b-c_d", "4123456789912345", false},
		{"Acme", "4123456789012349", false},
		{"acm", "4123456789012349", false},
		{"none", "4123456789012349", false},
		{"16", "4999999999999999", true},
		{"16", "5999999999999999", false},
	} {
		t.Run(test.account+" "+test.pan, func(t *testing.T) {
			ref := engine.Ref{Card: "card-" + string(rune('a'+i)), Account: test.account}
			reg := engine.RegisterRequest{Particulars: particulars(t)}
			reg.Particulars.PAN = must.Get(cvvgen.ParsePAN(test.pan))(t)
			_, created, err := f.Register(t.Context(), ref, reg)
			if test.allowed {
				if err != nil || !created {
					t.Errorf("created %t, %v", created, err)
				}
				return
			}
			var field *engine.FieldError
			if !errors.As(err, &field) || field.Field != "pan" || !strings.Contains(err.Error(), "cvv.prefixes") {
				t.Errorf("%v", err)
			}
			if err != nil && (strings.Contains(err.Error(), test.pan[:6]) || strings.Contains(err.Error(), "412345")) {
				t.Errorf("the error has digits of a PAN: %v", err)
			}
			if _, err := f.store.Card(t.Context(), ref.Card); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a refused card is stored: %v", err)
			}
		})
	}
}

func TestDerived_PANsHaveOneLength(t *testing.T) {
	for digits, pans := range map[int]map[string]bool{
		0:  {"4123456789012349": true, "412345678901234": false, "41234567890123490": false, "41234512": false, "4123456789012349000": false},
		8:  {"41234512": true, "4123456789012349": false},
		15: {"412345678901234": true, "4123456789012349": false},
		19: {"4123456789012349000": true, "4123456789012349": false},
	} {
		f := newFixtureWith(t, derivedFor(t, engine.DerivedOptions{Prefixes: map[string][]string{"acme": {"4"}}, PANDigits: digits}))
		for pan, allowed := range pans {
			t.Run(fmt.Sprint(digits, " ", pan), func(t *testing.T) {
				_, _, err := f.Register(t.Context(), engine.Ref{Card: fmt.Sprint("card-", len(pan)), Account: "acme"}, of(t, pan))
				var field *engine.FieldError
				if allowed != (err == nil) || err != nil && (!errors.As(err, &field) || field.Field != "pan" || !strings.Contains(err.Error(), "cvv.pan_digits")) {
					t.Errorf("%v", err)
				}
			})
		}
	}
	for _, digits := range []int{-1, 7, 20} {
		if err := (engine.DerivedOptions{PANDigits: digits}).Check(); !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), "PANDigits") {
			t.Errorf("%d digits: %v", digits, err)
		}
	}
}

// A card that is registered stays as it is when the prefixes change.
func TestDerived_RegisteredCardsOutliveTheirPrefix(t *testing.T) {
	f := newFixtureWith(t, derivedFor(t, engine.DerivedOptions{AnyPAN: true, AllowCVV2Codes: true}))
	ref := engine.Ref{Card: "A", Account: "acme"}
	reg := engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.CVV2()}
	_, _, err := f.Register(t.Context(), ref, reg)
	must.Do(t, err)
	value := f.cvv(t, ref)
	f.Engine = must.Get(engine.New(f.store, derivedFor(t, engine.DerivedOptions{}), engine.Options{}))(t)
	if _, created, err := f.Register(t.Context(), ref, reg); created || err != nil {
		t.Errorf("registering again: created %t, %v", created, err)
	}
	f.verify(t, ref, value, engine.VerdictCurrent)
	f.force(t, ref, engine.ForceRequest{})
}

func TestDerived_RefusesTheServiceCodesOfCVV2AndICVV(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		f := newFixtureWith(t, derivedFor(t, engine.DerivedOptions{AnyPAN: true, AllowCVV2Codes: allowed}))
		registered := engine.Ref{Card: "registered", Account: "acme"}
		_, _, err := f.Register(t.Context(), registered, engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse("201")})
		must.Do(t, err)
		for i, code := range []string{"000", "999", "001", "998", "099", "900"} {
			t.Run(code, func(t *testing.T) {
				refused := !allowed && i < 2
				reg := engine.RegisterRequest{Particulars: particulars(t), ServiceCode: servicecode.MustParse(code)}
				reg.Particulars.PAN = must.Get(cvvgen.ParsePAN("411111111111111" + string(rune('0'+i))))(t)
				_, _, first := f.Register(t.Context(), engine.Ref{Card: "new-" + code, Account: "acme"}, reg)
				_, second := f.Force(t.Context(), registered, engine.ForceRequest{ServiceCode: reg.ServiceCode})
				for call, err := range map[string]error{"registering": first, "rotating": second} {
					var field *engine.FieldError
					if refused != (errors.As(err, &field) && field.Field == "service_code") || !refused && err != nil {
						t.Errorf("%s, allowed %t: %v", call, allowed, err)
					}
				}
			})
		}
	}
}

func TestDerivedOptions_CheckNamesTheAccountAndNoDigits(t *testing.T) {
	for name, test := range map[string]struct {
		prefixes map[string][]string
		says     string // empty: accepted
	}{
		"none":              {nil, ""},
		"one digit":         {map[string][]string{"acme": {"4"}}, ""},
		"eleven":            {map[string][]string{"acme": {"41234567890"}}, ""},
		"no account":        {map[string][]string{"": {"4"}}, `account ""`},
		"account of a path": {map[string][]string{"a/b": {"4"}}, `account "a/b"`},
		"no prefixes":       {map[string][]string{"acme": nil}, `account "acme" has no prefix`},
		"empty":             {map[string][]string{"acme": {"412345", ""}}, "1 to 11 digits"},
		"a PAN":             {map[string][]string{"acme": {"4123456789012349"}}, "1 to 11 digits"},
		"twelve":            {map[string][]string{"acme": {"412345678901"}}, "1 to 11 digits"},
		"with a space":      {map[string][]string{"acme": {"4123 45"}}, "1 to 11 digits"},
		"a pattern":         {map[string][]string{"acme": {"4*"}}, "1 to 11 digits"},
		"other digits":      {map[string][]string{"acme": {"٤"}}, "1 to 11 digits"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine.New(memory.New(memory.Options{}), derivedFor(t, engine.DerivedOptions{Prefixes: test.prefixes}), engine.Options{})
			if test.says == "" {
				must.Do(t, err)
				return
			}
			if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "4123") {
				t.Errorf("%v", err)
			}
		})
	}
}
