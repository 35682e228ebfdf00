package hsm_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/examples/hsm"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// module stands for the HSM: it knows one published test vector.
type module struct{}

func (module) GenerateCVV(_ context.Context, pan, expiry, code string) (string, error) {
	if pan+expiry+code != "41234567890123458701101" {
		return "", errors.New("unknown card " + pan)
	}
	return "561", nil
}

// TestDeriver_EngineRevealsWhatTheModuleDerived: the engine works with the module as it
// does with a key of its own, and the module's errors do not carry the PAN out.
func TestDeriver_EngineRevealsWhatTheModuleDerived(t *testing.T) {
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize))))(t)
	generator := engine.Derived(hsm.Deriver{Client: module{}, Order: cvvgen.ExpiryOrderYYMM}, keys,
		engine.DerivedOptions{Prefixes: map[string][]string{"acme": {"412345"}}})
	e := must.Get(engine.New(memory.New(memory.Options{}), generator, engine.Options{}))(t)
	for id, expiry := range map[string]string{"known": "8701", "unknown": "8702"} {
		_, _, err := e.Register(t.Context(), engine.Ref{Card: id, Account: "acme"}, engine.RegisterRequest{
			Particulars: cvvgen.Card{
				PAN:    must.Get(cvvgen.ParsePAN("4123456789012345"))(t),
				Expiry: must.Get(cvvgen.ParseExpiry(cvvgen.ExpiryOrderYYMM, expiry))(t),
			},
			ServiceCode: servicecode.MustParse("101"),
		})
		must.Do(t, err)
	}
	r := must.Get(e.Reveal(t.Context(), engine.AnyAccount("known")))(t)
	must.Equal(t, r.CVV.Reveal(), "561")
	if _, err := e.Reveal(t.Context(), engine.AnyAccount("unknown")); err == nil || strings.Contains(err.Error(), "4123456789012345") {
		t.Errorf("a failure of the module: %v", err)
	}
}
