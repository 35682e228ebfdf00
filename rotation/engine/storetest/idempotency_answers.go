package storetest

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"cvvrotation/rotation/engine/store"
)

// ask returns the answer stored under a key.
func (f *fixture) ask(id, key string) (prior *store.Answer) {
	f.Helper()
	f.must(f.Update(f.Context(), id, key, func(change *store.Change) error {
		prior = change.Prior
		return nil
	}))
	return prior
}

// answer keeps an answer under a key.
func (f *fixture) answer(id, key string, a store.Answer) {
	f.Helper()
	f.must(f.Update(f.Context(), id, key, func(change *store.Change) error {
		change.Answer = &a
		return nil
	}))
}

// answerOf returns an answer that expires in a day.
func answerOf(text string) store.Answer {
	a := store.Answer{Body: []byte(text), Expires: epoch.Add(24*time.Hour + 1)}
	copy(a.Request[:], "\x00\xffrequest of "+text)
	return a
}

var answerTests = []test{
	{"an answer is shown to later updates with its key, as it was", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		want := answerOf("first")
		f.answer(id, "key", want)
		f.equal("prior", f.ask(id, "key"), &want)
		f.equal("prior, again", f.ask(id, "key"), &want)
		f.equal("another key", f.ask(id, "Key"), (*store.Answer)(nil))
		f.equal("no key", f.ask(id, ""), (*store.Answer)(nil))
	}},

	{"a key belongs to one card", func(f *fixture) {
		a, b := f.id(), f.id()
		f.put(full(a))
		f.put(full(b))
		of := answerOf("a")
		f.answer(a, "key", of)
		f.equal("the other card", f.ask(b, "key"), (*store.Answer)(nil))
		ofB := answerOf("b")
		f.answer(b, "key", ofB)
		f.equal("a", f.ask(a, "key"), &of)
		f.equal("b", f.ask(b, "key"), &ofB)
	}},

	{"the answer to an update that makes the card is kept", func(f *fixture) {
		id := f.id()
		want := answerOf("made")
		f.must(f.Update(f.Context(), id, "key", func(change *store.Change) error {
			change.Card = full(id)
			change.Write, change.Answer = true, &want
			return nil
		}))
		f.equal("prior", f.ask(id, "key"), &want)
	}},

	{"a later answer replaces an earlier one", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		f.answer(id, "key", answerOf("first"))
		want := answerOf("second")
		f.answer(id, "key", want)
		f.equal("prior", f.ask(id, "key"), &want)
	}},

	{"without a key no answer is kept", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		f.answer(id, "", answerOf("first"))
		f.equal("prior", f.ask(id, ""), (*store.Answer)(nil))
	}},

	{"an answer is shown until the instant at which it expires", func(f *fixture) {
		defer f.clk.Set(epoch)
		id := f.id()
		f.put(full(id))
		want := answerOf("first")
		want.Expires = epoch.Add(time.Hour + 1)
		f.answer(id, "key", want)
		f.clk.Set(want.Expires.Add(-1))
		f.equal("one nanosecond before", f.ask(id, "key"), &want)
		f.clk.Set(want.Expires)
		f.equal("at the instant", f.ask(id, "key"), (*store.Answer)(nil))
		next := answerOf("second")
		f.answer(id, "key", next)
		f.equal("stored in its place", f.ask(id, "key"), &next)
	}},

	{"keys are bytes, and bodies too", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		keys := []string{"k", "K", "k ", " k", "k'", "k.1", "k:1", "%", strings.Repeat("k", 255)}
		want := make([]store.Answer, len(keys))
		for i, key := range keys {
			want[i] = answerOf(key)
			want[i].Body = append([]byte{0, 0xff, byte(i)}, make([]byte, 5000)...)
			f.answer(id, key, want[i])
		}
		for i, key := range keys {
			f.equal(key, f.ask(id, key), &want[i])
		}
	}},

	{"an answer's bytes belong to the store or to the caller", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		a := answerOf("first")
		f.answer(id, "key", a)
		a.Body[0] ^= 0x55
		f.ask(id, "key").Body[1] ^= 0x55
		want := answerOf("first")
		f.equal("prior", f.ask(id, "key"), &want)
	}},

	{"of many updates with one key, one does the work and all see its answer", func(f *fixture) {
		id := f.id()
		f.put(full(id))
		const callers = 16
		var workers atomic.Int32
		bodies := make([][]byte, callers)
		f.promptly("updates", func() {
			each(callers, func(i int) {
				worked := false
				f.report(f.Update(context.Background(), id, "key", func(change *store.Change) error {
					runtime.Gosched()
					if worked = change.Prior == nil; !worked {
						bodies[i] = change.Prior.Body
						return nil
					}
					bodies[i] = []byte{byte(i)}
					change.Card.Version++
					change.Answer = &store.Answer{Body: bodies[i], Expires: change.Now.Add(time.Hour)}
					change.Write = true
					return nil
				}))
				if worked {
					workers.Add(1)
				}
			})
		})
		if n := workers.Load(); n != 1 {
			f.Errorf("%d did the work, want 1", n)
		}
		if got, want := f.card(id).Version, full(id).Version+1; got != want {
			f.Errorf("Version %d, want %d", got, want)
		}
		for _, b := range bodies {
			if !bytes.Equal(b, bodies[0]) {
				f.Errorf("different answers: %v and %v", b, bodies[0])
			}
		}
	}},
}
