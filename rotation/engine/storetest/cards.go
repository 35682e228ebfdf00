package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// full returns a card with something in every field.
func full(id string) store.Card {
	at := func(n int) time.Time { return epoch.Add(time.Duration(n)*time.Hour + time.Duration(n)) }
	return store.Card{
		ID: id, Account: "account of " + id, Version: 1<<40 + 7, Events: 1<<40 + 9,
		State: []byte{0, 1, 0xff, '\''}, Next: at(1), Interval: 24*time.Hour + 1, Due: at(2), First: at(5), Spread: true,
		ServiceCode: servicecode.MustParse("000"), Sealed: []byte{1, 0, 2},
		PreviousCode: servicecode.MustParse("201"), PreviousSealed: []byte{0xfe}, PreviousUntil: at(3),
		Identity: []byte("\x00identity"), Created: at(-4), Rotated: at(-3), Tries: 3, Locked: at(-2),
		FailedAt: []byte{0, 0xff, 3}, Compromised: []byte("\x00compromised"),
		Failures: 5, Failure: "it's \"no\" good; -- ü\n%s",
	}
}

var cardTests = []test{
	{"every field comes back as it was stored", func(f *fixture) {
		want := full(f.id())
		for field, v := range reflect.ValueOf(want).Fields() {
			if v.IsZero() {
				f.Errorf("the test has nothing in %s", field.Name)
			}
		}
		f.put(want)
		f.equal("card", f.card(want.ID), want)
		f.update(want.ID, func(change *store.Change) { f.equal("card in an update", change.Card, want) })
	}},

	{"zero fields come back as zero: no time, no code, no bytes", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		want := store.Card{ID: id, Version: 1, Account: "a", Created: epoch, State: []byte("s")}
		f.put(want)
		f.equal("card", f.card(id), want)
	}},

	{"an instant is its nanoseconds, from 1970 to 2200, in UTC", func(f *fixture) {
		for _, at := range []time.Time{
			time.Unix(0, 0), time.Unix(0, 1), epoch.Add(1), epoch.Add(999),
			time.Date(2200, 12, 31, 23, 59, 59, 999999999, time.UTC),
			epoch.In(time.FixedZone("elsewhere", -5*3600)), time.Now(),
		} {
			c := store.Card{
				ID: f.id(), Account: "a", Version: 1, State: []byte("s"),
				Next: at, Due: at, First: at, PreviousUntil: at, Created: at, Rotated: at, Locked: at,
			}
			f.put(c)
			got := f.card(c.ID)
			f.equal("card", got, c)
			for _, g := range []time.Time{got.Next, got.Due, got.First, got.PreviousUntil, got.Created, got.Rotated, got.Locked} {
				if g != time.Unix(0, at.UnixNano()).UTC() {
					f.Errorf("%v came back as %#v", at, g)
				}
			}
		}
	}},

	{"empty bytes come back empty, none as none", func(f *fixture) {
		fields := func(c *store.Card) []*[]byte {
			return []*[]byte{&c.Sealed, &c.PreviousSealed, &c.Identity, &c.FailedAt, &c.Compromised}
		}
		c := store.Card{ID: f.id(), Account: "a", Version: 1, State: []byte("s")}
		for _, field := range fields(&c) {
			*field = []byte{}
		}
		f.put(c)
		got := f.card(c.ID)
		for i, field := range fields(&got) {
			if len(*field) != 0 {
				f.Errorf("empty, field %d: got %x", i, *field)
			}
		}
		for _, field := range fields(&c) {
			*field = nil
		}
		f.put(c)
		got = f.card(c.ID)
		for i, field := range fields(&got) {
			if *field != nil {
				f.Errorf("none, field %d: got %#v", i, *field)
			}
		}
	}},

	{"bytes belong to the store or to the caller, never to both", func(f *fixture) {
		want := full(f.id())
		spoil := func(c store.Card) {
			for _, b := range [][]byte{c.State, c.Sealed, c.PreviousSealed, c.Identity, c.FailedAt, c.Compromised} {
				b[0] ^= 0x55
			}
		}
		in := full(want.ID)
		f.put(in)
		spoil(in)
		f.equal("after what was stored changed", f.card(want.ID), want)
		spoil(f.card(want.ID))
		f.equal("after what came back changed", f.card(want.ID), want)
		f.update(want.ID, func(change *store.Change) { spoil(change.Card) })
		f.equal("after an update that does not write", f.card(want.ID), want)
		list, err := f.ListCards(f.Context(), "", 1000)
		f.must(err)
		for _, c := range list {
			if c.ID == want.ID {
				spoil(c)
			}
		}
		f.equal("after a list changed", f.card(want.ID), want)
	}},

	{"a card that is not stored is ErrNotFound", func(f *fixture) {
		_, err := f.Card(f.Context(), f.id())
		if !errors.Is(err, store.ErrNotFound) {
			f.Errorf("got %v", err)
		}
	}},

	{"ids are bytes: case, punctuation and length matter", func(f *fixture) {
		ids := []string{
			"A", "a", "B", "b", "a.1", "a-1", "a:1", "a_1", "a1", "a 1", "a%", "a'1", `a\`, `a"`, "a~", "a/../b",
			"1", "01", "1.0", "null", strings.Repeat("x", store.MaxID), strings.Repeat("x", store.MaxID-1),
		}
		for _, id := range ids {
			c := full(id)
			f.put(c)
		}
		for _, id := range ids {
			f.equal(id, f.card(id), full(id))
		}
		var got []string
		for after := ""; ; {
			page, err := f.ListCards(f.Context(), after, 5)
			f.must(err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				if slices.Contains(ids, c.ID) {
					got = append(got, c.ID)
				}
			}
			if page[0].ID <= after {
				f.Fatalf("Cards after %q begins with %q", after, page[0].ID)
			}
			after = page[len(page)-1].ID
		}
		slices.Sort(ids)
		f.equal("order", got, ids)
	}},

	{"Now is the clock's time, in UTC", func(f *fixture) {
		now, err := f.Now(f.Context())
		f.must(err)
		if now != f.now() {
			f.Errorf("got %#v, want %#v", now, f.now())
		}
	}},
}
