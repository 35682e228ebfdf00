package engine_test

import (
	"errors"
	"strings"
	"testing"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

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
		{"acme", "41234512", true}, // the shortest PAN
		{"acme", "4123459999999999999", true},
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
