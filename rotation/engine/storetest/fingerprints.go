package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"cvvrotation/rotation/engine/store"
)

// setPrints replaces the fingerprints of a card, which is then stored with an event and
// an answer.
func (f *fixture) setPrints(id string, prints ...string) error {
	return f.Update(f.Context(), id, "key of prints", func(change *store.Change) error {
		change.Card.Version++
		change.Card.Account = "a"
		change.Event = event(change, "registered")
		change.Answer = &store.Answer{Expires: change.Now.Add(time.Hour)}
		change.Write = true
		change.Fingerprints = [][]byte{} // not nil: an empty list removes all
		for _, p := range prints {
			change.Fingerprints = append(change.Fingerprints, []byte(p))
		}
		return nil
	})
}

// prints returns the fingerprints of a card, separated by spaces.
func (f *fixture) prints(id string) string {
	f.Helper()
	got, err := f.Fingerprints(f.Context(), id)
	f.must(err)
	return string(bytes.Join(got, []byte(" ")))
}

var fingerprintTests = []test{
	{"fingerprints replace those of the card, and come back in the order of their bytes", func(f *fixture) {
		a, b := f.id(), f.id()
		f.must(f.setPrints(a, a+"2", a+"1", a+"\x00\xff", a+"3"))
		f.must(f.setPrints(b, b+"1"))
		f.equal("at first", f.prints(a), strings.Join([]string{a + "\x00\xff", a + "1", a + "2", a + "3"}, " "))
		f.must(f.setPrints(a, a+"4", a+"2", a+"2"))
		f.equal("replaced", f.prints(a), a+"2 "+a+"4")
		f.equal("of the other card", f.prints(b), b+"1")
		f.must(f.setPrints(b, b+"1", a+"1")) // which the first card no longer has
		f.equal("one that became free", f.prints(b), strings.Join([]string{min(b+"1", a+"1"), max(b+"1", a+"1")}, " "))
		f.must(f.setPrints(a))
		f.equal("removed", f.prints(a), "")
		f.equal("of a card that does not exist", f.prints(f.id()), "")
	}},

	{"the id of the sealing key is the one recorded last", func(f *fixture) {
		for _, want := range []uint32{7, 1, 4294967295} {
			f.must(f.SetSealingKey(f.Context(), want))
			got, err := f.SealingKey(f.Context())
			f.must(err)
			f.equal("id", got, want)
		}
	}},

	{"an update without fingerprints leaves them", func(f *fixture) {
		id := f.id()
		f.must(f.setPrints(id, id))
		f.update(id, func(change *store.Change) { change.Card.Version, change.Write = 7, true })
		f.equal("fingerprints", f.prints(id), id)
	}},

	{"a fingerprint that another card has fails the update, and nothing is stored", func(f *fixture) {
		first, second, third := f.id(), f.id(), f.id()
		f.must(f.setPrints(first, first))
		f.must(f.setPrints(second, second+"1", second+"2"))
		before := f.card(second)
		for _, id := range []string{second, third} {
			err := f.setPrints(id, id+"3", first, id+"4")
			var taken *store.FingerprintError
			if !errors.As(err, &taken) || taken.Card != first || !errors.Is(err, store.ErrFingerprint) {
				f.Errorf("got %v, want a FingerprintError with the card", err)
			}
			if err != nil && strings.Contains(err.Error(), first) {
				f.Errorf("the text of the error names the card: %v", err)
			}
		}
		f.equal("fingerprints of the holder", f.prints(first), first)
		f.equal("fingerprints of the refused card", f.prints(second), second+"1 "+second+"2")
		f.equal("the refused card", f.card(second), before)
		f.equal("events of the refused card", len(f.eventsOf(second)), 1)
		f.equal("events of the refused new card", f.eventsOf(third), []store.Queued(nil))
		if _, err := f.Card(f.Context(), third); !errors.Is(err, store.ErrNotFound) {
			f.Errorf("the refused new card: %v", err)
		}
		f.must(f.Update(f.Context(), third, "key of prints", func(change *store.Change) error {
			if change.Prior != nil {
				f.Error("the answer of a refused update was stored")
			}
			return nil
		}))
		f.must(f.setPrints(third, third+"3", third+"4")) // which were not taken
	}},

	{"of updates that set one fingerprint for several cards, one wins", func(f *fixture) {
		for range 10 {
			shared := f.id()
			const cards = 8
			ids := make([]string, cards)
			for i := range ids {
				ids[i] = f.id()
			}
			var won atomic.Int64
			f.promptly("updates", func() {
				each(cards, func(i int) {
					prints := []string{shared + "1", shared + "2"}
					if i%2 == 0 { // as two processes that begin with another key
						prints = []string{shared + "2", shared + "1"}
					}
					err := f.setPrints(ids[i], prints...)
					var taken *store.FingerprintError
					switch {
					case err == nil:
						won.Add(1)
					case !errors.As(err, &taken):
						f.report(err)
					}
				})
			})
			if won.Load() != 1 {
				f.Errorf("%d cards have one fingerprint", won.Load())
			}
			holders := 0
			for _, id := range ids {
				if f.prints(id) != "" {
					holders++
				}
				if _, err := f.Card(f.Context(), id); (err == nil) != (f.prints(id) != "") {
					f.Errorf("card stored: %t, fingerprints %q", err == nil, f.prints(id))
				}
			}
			if holders != 1 {
				f.Errorf("%d cards have fingerprints", holders)
			}
		}
	}},

	{"the bytes of fingerprints belong to the store or to the caller, never to both", func(f *fixture) {
		id := f.id()
		print := []byte(id)
		f.update(id, func(change *store.Change) {
			change.Card.Version, change.Write, change.Fingerprints = 1, true, [][]byte{print}
		})
		print[0] ^= 0x55
		f.equal("after what was stored changed", f.prints(id), id)
		got, err := f.Fingerprints(f.Context(), id)
		f.must(err)
		got[0][0] ^= 0x55
		f.equal("after what came back changed", f.prints(id), id)
	}},

	{"a claim ignores fingerprints", func(f *fixture) {
		id := f.id()
		f.put(due(id, f.now()))
		_, err := f.Claim(context.Background(), 1000, func(change *store.Change) error {
			if change.Card.ID == id {
				change.Card.Due = time.Time{}
				change.Write, change.Fingerprints = true, [][]byte{[]byte(id)}
			}
			return nil
		})
		f.must(err)
		f.equal("fingerprints", f.prints(id), "")
	}},
}
