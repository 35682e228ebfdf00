package engine_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/must"
)

// withKeys returns an engine of derived CVVs on the store with these keys, the current one
// first.
func (f *fixture) withKeys(t *testing.T, ids ...uint32) *engine.Engine {
	t.Helper()
	g := engine.Derived(testDeriver(t, 3), keyring(t, ids...), engine.DerivedOptions{AnyPAN: true})
	return must.Get(engine.New(f.store, g, engine.Options{Logger: f.log.Text()}))(t)
}

func of(t *testing.T, pan string) engine.RegisterRequest {
	t.Helper()
	return engine.RegisterRequest{Particulars: particularsOf(t, pan)}
}

// One PAN and expiry is one card. The refusal is the same whether the other card is the
// caller's own or not.
func TestRegister_OnePANAndExpiryIsOneCard(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	holder := engine.Ref{Card: "holder", Account: "acme"}
	_, _, err := f.Register(t.Context(), holder, of(t, "4123456789012349"))
	must.Do(t, err)
	otherExpiry := of(t, "4123456789012349")
	otherExpiry.Particulars.Expiry = must.Get(cvvgen.NewExpiry(2026, 11))(t)
	otherCode := of(t, "4123456789012349")
	otherCode.ServiceCode = servicecode.MustParse("101")
	var texts []string
	for _, test := range []struct {
		name, card, account string
		req                 engine.RegisterRequest
		refused             bool
	}{
		{"the same account", "A", "acme", of(t, "4123456789012349"), true},
		{"another account", "B", "evil", of(t, "4123456789012349"), true},
		{"another service code", "C", "evil", otherCode, true},
		{"another expiry", "D", "evil", otherExpiry, false},
		{"a longer PAN", "E", "evil", of(t, "4123456789012349000"), false},
		{"another check digit", "F", "evil", of(t, "4123456789012340"), false},
		{"a leading zero", "G", "evil", of(t, "04123456789012349"), false},
		{"19 digits", "H", "acme", of(t, "4123456789012349001"), false},
		{"19 digits again", "I", "acme", of(t, "4123456789012349001"), true},
		{"the card itself", "holder", "acme", of(t, "4123456789012349"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := f.Register(t.Context(), engine.Ref{Card: test.card, Account: test.account}, test.req)
			if !test.refused {
				must.Do(t, err)
				return
			}
			if !errors.Is(err, store.ErrFingerprint) {
				t.Fatalf("%v", err)
			}
			texts = append(texts, err.Error())
			if _, err := f.store.Card(t.Context(), test.card); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a refused card is stored: %v", err)
			}
		})
	}
	if len(slices.Compact(texts)) != 1 || strings.Contains(texts[0], "holder") || strings.Contains(texts[0], "acme") {
		t.Errorf("%q", texts)
	}
}

// Replicas whose lists of keys begin with different keys, as during a change of the keys,
// register one PAN once.
func TestRegister_OnePANIsOneCardWhileKeysChange(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	replicas := []*engine.Engine{f.withKeys(t, 1, 2), f.withKeys(t, 2, 1)}
	for round := range 20 {
		var created atomic.Int32
		var wg sync.WaitGroup
		for i, account := range []string{"acme", "evil", "acme", "evil"} {
			wg.Go(func() {
				ref := engine.Ref{Card: account + "-" + string(rune('a'+round)) + string(rune('0'+i)), Account: account}
				req := engine.RegisterRequest{Particulars: particularsOf(t, "41234567890123"+string(rune('0'+round/10))+string(rune('0'+round%10)))}
				_, ok, err := replicas[i%2].Register(t.Context(), ref, req)
				if ok {
					created.Add(1)
				} else if !errors.Is(err, store.ErrFingerprint) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		must.Equal(t, int(created.Load()), 1)
	}
}

// Cards from before fingerprints get one. Of two with the same PAN and expiry one stays
// without, is re-encrypted all the same, and is reported each time.
func TestReseal_GivesEarlierCardsTheirFingerprint(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	for id, pan := range map[string]string{"A": "4123456789012349", "B": "4123456789012356", "C": "4123456789012364"} {
		_, _, err := f.Register(t.Context(), engine.Ref{Card: id, Account: "acme"}, of(t, pan))
		must.Do(t, err)
		must.Do(t, f.store.Update(t.Context(), id, "", func(change *store.Change) error {
			change.Fingerprints = [][]byte{}
			return nil
		}))
	}
	twin := f.card(t, "A") // as an earlier program would have stored it
	f.store.Put(sealedAs(t, twin, "D", "evil"))
	for i, run := range []struct {
		keys []uint32
		want engine.Resealed
	}{
		{[]uint32{1}, engine.Resealed{Cards: 3, Shared: 1}},
		{[]uint32{1}, engine.Resealed{Shared: 1}},
		{[]uint32{2, 1}, engine.Resealed{Cards: 4, Shared: 1}},
		{[]uint32{2}, engine.Resealed{Shared: 1}},
	} {
		before := f.log.String()
		if r, err := f.withKeys(t, run.keys...).Reseal(t.Context()); r != run.want || err != nil {
			t.Errorf("run %d: %+v, %v; want %+v", i+1, r, err, run.want)
		}
		if log := strings.TrimPrefix(f.log.String(), before); !strings.Contains(log, "two cards have the same PAN and expiry") || !strings.Contains(log, "card=D other=A") || strings.Contains(log, "4123") {
			t.Errorf("run %d: %s", i+1, log)
		}
	}
	e := f.withKeys(t, 2)
	for _, pan := range []string{"4123456789012349", "4123456789012356", "4123456789012364"} {
		if _, _, err := e.Register(t.Context(), engine.Ref{Card: "Z", Account: "evil"}, of(t, pan)); !errors.Is(err, store.ErrFingerprint) {
			t.Errorf("an earlier PAN is registered again: %v", err)
		}
	}
	must.Get(e.Reveal(t.Context(), engine.AnyAccount("D")))(t)
}

// sealedAs returns a card with the particulars of c, under key 1.
func sealedAs(t *testing.T, c store.Card, id, account string) store.Card {
	t.Helper()
	plain := must.Get(engine.OpenSealed(keyring(t, 1), c.Identity, &c))(t)
	c.ID, c.Account = id, account
	c.Identity = engine.SealIdentity(keyring(t, 1), plain, &c)
	return c
}

// After a change of the key, no fingerprint under the old key is left: who has that key
// could try all PANs.
func TestReseal_LeavesTheFingerprintOfTheCurrentKeyAlone(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	register := func(e *engine.Engine, id, pan string) {
		_, _, err := e.Register(t.Context(), engine.Ref{Card: id, Account: "acme"}, of(t, pan))
		must.Do(t, err)
	}
	ids := func(card string) (keys []byte) {
		for _, p := range must.Get(f.store.Fingerprints(t.Context(), card))(t) {
			if len(p) != 4+32 || !bytes.Equal(p[:3], []byte{0, 0, 0}) {
				t.Errorf("a fingerprint of %d bytes, key %x", len(p), p[:4])
			}
			keys = append(keys, p[3])
		}
		return keys
	}
	register(f.withKeys(t, 1), "A", "4123456789012349")
	register(f.withKeys(t, 2, 1), "B", "4123456789012356") // by a replica that has both keys
	must.Equal(t, string(ids("A")), "\x01")
	must.Equal(t, string(ids("B")), "\x01\x02")
	for _, keys := range [][]uint32{{2, 1}, {2}} {
		must.Get(f.withKeys(t, keys...).Reseal(t.Context()))(t)
		must.Equal(t, string(ids("A")), "\x02")
		must.Equal(t, string(ids("B")), "\x02")
	}
	register(f.withKeys(t, 2, 1), "C", "4123456789012364")
	must.Equal(t, string(ids("C")), "\x01\x02")
	must.Equal(t, must.Get(f.withKeys(t, 2).Reseal(t.Context()))(t), engine.Resealed{Cards: 1})
	must.Equal(t, string(ids("C")), "\x02")
	must.Equal(t, must.Get(f.withKeys(t, 2).Reseal(t.Context()))(t), engine.Resealed{})
}

// A rotation neither reads nor writes fingerprints.
func TestForce_LeavesFingerprintsAlone(t *testing.T) {
	f := newFixtureWith(t, derived(t))
	ref := engine.Ref{Card: "A", Account: "acme"}
	_, _, err := f.Register(t.Context(), ref, of(t, "4123456789012349"))
	must.Do(t, err)
	want := must.Get(f.store.Fingerprints(t.Context(), "A"))(t)
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallFingerprints {
			t.Error("a rotation reads fingerprints")
		}
		return memory.Fault{}
	})
	f.force(t, ref, engine.ForceRequest{})
	f.store.SetFaults(nil)
	if got := must.Get(f.store.Fingerprints(t.Context(), "A"))(t); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Error("a rotation changed the fingerprints")
	}
}
