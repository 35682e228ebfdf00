package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/sim/must"
)

// formerCVV and formerPAN are the contexts of values that were encrypted before they
// were bound to an account.
func formerCVV(id string, version int64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte("cvv\x00"), uint64(version)), id...)
}

func formerPAN(id string) []byte { return append([]byte("pan\x00"), id...) }

// makeFormer replaces the card's encrypted values by those that the previous program
// would have stored.
func (f *fixture) makeFormer(t *testing.T, id string, keys *seal.Keyring) {
	t.Helper()
	c := f.card(t, id)
	again := func(sealed *[]byte, former []byte) {
		if *sealed != nil {
			plain := must.Get(engine.OpenSealed(keys, *sealed, &c))(t)
			*sealed = keys.Seal(plain, former)
		}
	}
	again(&c.Sealed, formerCVV(id, c.Version))
	again(&c.PreviousSealed, formerCVV(id, c.Version-1))
	again(&c.Identity, formerPAN(id))
	f.store.Put(c)
}

// kinds returns a fixture of each kind of generator.
func kinds(t *testing.T) map[string]*fixture {
	grace := func(o *engine.Options) { o.Grace = time.Hour }
	return map[string]*fixture{"random": newFixture(t, grace), "derived": newFixtureWith(t, derived(t), grace)}
}

// rotated registers a card of the account and rotates it once.
func (f *fixture) rotated(t *testing.T, kind string, ref engine.Ref) {
	t.Helper()
	var req engine.RegisterRequest
	if kind == "derived" {
		req.Particulars = particularsOf(t, fmt.Sprintf("4123456789%06d", len(must.Get(f.store.ListCards(t.Context(), "", 100))(t))))
	}
	_, _, err := f.Register(t.Context(), ref, req)
	must.Do(t, err)
	f.force(t, ref, engine.ForceRequest{})
}

// A program that can write to the database cannot give a card to another account. An
// account's name and a card's id are told apart, however they are cut.
func TestReveal_RefusesACardThatWasMovedToAnotherAccount(t *testing.T) {
	for kind, f := range kinds(t) {
		for _, test := range []struct{ from, to engine.Ref }{
			{engine.Ref{Card: "A", Account: "acme"}, engine.Ref{Card: "A", Account: "evil"}},
			{engine.Ref{Card: "B", Account: "acme"}, engine.Ref{Card: "B", Account: "Acme"}},
			{engine.Ref{Card: "C", Account: "a.b-c_d:e"}, engine.Ref{Card: "C", Account: "a.b-c_d"}},
			{engine.Ref{Card: "dD", Account: "acme"}, engine.Ref{Card: "D", Account: "acmed"}},
			{engine.Ref{Card: "E", Account: "acmee"}, engine.Ref{Card: "eE", Account: "acme"}},
		} {
			t.Run(kind+" "+test.from.Account+" "+test.from.Card+" to "+test.to.Account+" "+test.to.Card, func(t *testing.T) {
				f.rotated(t, kind, test.from)
				before := f.cvv(t, test.from)
				c := f.card(t, test.from.Card)
				c.Account, c.ID = test.to.Account, test.to.Card
				f.store.Put(c)
				if _, err := f.Reveal(t.Context(), test.to); !errors.Is(err, seal.ErrOpen) {
					t.Errorf("revealed: %v", err)
				}
				if v, err := f.Verify(t.Context(), test.to, before); err == nil {
					t.Errorf("verified: %v", v.Verdict)
				}
			})
		}
	}
}

// A value of the previous program opens until it is re-encrypted, also under the current
// key. Afterwards it opens for its account alone.
func TestReseal_BindsFormerValuesToTheirAccount(t *testing.T) {
	for kind, f := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			ref := engine.Ref{Card: "A", Account: "acme"}
			f.rotated(t, kind, ref)
			value := f.cvv(t, ref)
			f.makeFormer(t, "A", keyring(t, 1))
			if former := f.card(t, "A"); !f.cvv(t, ref).Equal(value) {
				t.Fatalf("a former value does not open: %+v", former)
			}
			for run, want := range []int{1, 0} {
				if r, err := f.Reseal(t.Context()); r != (engine.Resealed{Cards: want}) || err != nil {
					t.Fatalf("run %d: %+v, %v", run+1, r, err)
				}
			}
			if !f.cvv(t, ref).Equal(value) {
				t.Error("re-encrypting changed the CVV")
			}
			c := f.card(t, "A")
			for name, sealed := range map[string][]byte{"Sealed": c.Sealed, "PreviousSealed": c.PreviousSealed, "Identity": c.Identity} {
				for _, former := range [][]byte{formerCVV("A", 1), formerCVV("A", 2), formerPAN("A")} {
					if _, err := keyring(t, 1).Open(sealed, former); err == nil {
						t.Errorf("%s still opens for %q", name, former)
					}
				}
			}
			c.Account = "evil"
			f.store.Put(c)
			if _, err := f.Reveal(t.Context(), engine.Ref{Card: "A", Account: "evil"}); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("revealed to another account: %v", err)
			}
		})
	}
}

// Whatever was encrypted with the old key opens no more once that key has left the ring,
// also a copy of a former value that was put back.
func TestReseal_WithANewKeyEndsFormerValues(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	f.makeFormer(t, "A", keyring(t, 1))
	kept := f.card(t, "A")
	resealed := must.Get(engine.New(f.store, engine.Random(nil, keyring(t, 2, 1)), engine.Options{}))(t)
	if r, err := resealed.Reseal(t.Context()); r != (engine.Resealed{Cards: 1}) || err != nil {
		t.Fatal(r, err)
	}
	alone := must.Get(engine.New(f.store, engine.Random(nil, keyring(t, 2)), engine.Options{}))(t)
	must.Get(alone.Reveal(t.Context(), ref))(t)
	f.store.Put(kept)
	if _, err := alone.Reveal(t.Context(), ref); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("a former value that was put back opens: %v", err)
	}
}

// What sealing does not detect, as docs/security says: an older row of the same card.
func TestReveal_AcceptsAnOlderRowOfTheSameCard(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	old, value := f.card(t, "A"), f.cvv(t, ref)
	f.force(t, ref, engine.ForceRequest{})
	f.store.Put(old)
	if !f.cvv(t, ref).Equal(value) {
		t.Error("an older row is detected: change docs/security/threat-model.md")
	}
}
