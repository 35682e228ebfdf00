package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/servicecode"
)

// TestForce_ReplayIsNeitherObservedNorWritten also shows that the relay is woken only
// when events were written.
func TestForce_ReplayIsNeitherObservedNorWritten(t *testing.T) {
	written := 0
	f := newFixture(t, func(o *engine.Options) { o.Written = func() { written++ } })
	expect := func(what string, want int) {
		t.Helper()
		if written != want {
			t.Errorf("%s: told %d times, want %d", what, written, want)
		}
	}
	ref := f.register(t, "A", time.Hour)
	expect("an interval", 1)
	f.force(t, ref, engine.ForceRequest{Key: "k"})
	expect("a forced call", 2)
	f.force(t, ref, engine.ForceRequest{Key: "k"})
	expect("its replay", 2)
	if len(f.seen.decided) != 2 {
		t.Errorf("%d decisions counted", len(f.seen.decided))
	}
	f.clock.Add(time.Hour)
	f.tick(t)
	expect("a claim", 3)
	must.Get(f.SetInterval(t.Context(), ref, engine.IntervalRequest{Interval: time.Hour}))(t)
	expect("the interval in force", 3)
}

func TestForce_RefusesKeysThatAreNotPrintableASCII(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	for _, key := range []string{strings.Repeat("k", engine.MaxKey+1), "a\nb", "é", "\x7f"} {
		if _, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: key}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	f.force(t, ref, engine.ForceRequest{Key: strings.Repeat("k", engine.MaxKey)})
}

func TestForce_SameKeyRotatesOnce(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	other := f.register(t, "B", time.Hour)
	first := f.force(t, ref, engine.ForceRequest{Key: "k"})

	f.clock.Add(engine.KeyLifetime - 1)
	again := f.force(t, ref, engine.ForceRequest{Key: "k"})
	if !again.Replayed {
		t.Error("not marked as replayed")
	}
	again.Replayed = false
	if diff := cmp.Diff(first, again, cmp.Comparer(func(a, b servicecode.Code) bool { return a == b })); diff != "" {
		t.Errorf("another answer (-first +again):\n%s", diff)
	}
	if v := f.card(t, "A").Version; v != 2 {
		t.Errorf("the same key rotated again: version %d", v)
	}
	_, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: "k", Compromised: true})
	if !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another request under the key: %v", err)
	}
	_, err = f.Force(t.Context(), ref, engine.ForceRequest{Key: "k", ServiceCode: servicecode.MustParse("201")})
	if !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another service code under the key: %v", err)
	}
	if r := f.force(t, other, engine.ForceRequest{Key: "k"}); r.Replayed {
		t.Error("a key of one card answered for another")
	}
	f.clock.Add(1)
	if r := f.force(t, ref, engine.ForceRequest{Key: "k"}); r.Replayed || r.Version != 3 {
		t.Errorf("after a day: replayed %t, version %d", r.Replayed, r.Version)
	}
}

// TestForce_SameKeyAfterALostReplyRotatesOnce: the commit went through and the reply did not. The same key
// then gives the answer, and the card has rotated once.
func TestForce_SameKeyAfterALostReplyRotatesOnce(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "A", time.Hour)
	lost := true
	f.store.SetFaults(func(op memory.Op) memory.Fault {
		if op.Call == memory.CallUpdate && lost {
			lost = false
			return memory.Fault{After: memory.ErrInjected}
		}
		return memory.Fault{Again: true}
	})
	if _, err := f.Force(t.Context(), ref, engine.ForceRequest{Key: "k"}); !errors.Is(err, memory.ErrInjected) {
		t.Fatal(err)
	}
	r := f.force(t, ref, engine.ForceRequest{Key: "k"})
	if !r.Replayed || r.Version != 2 || f.card(t, "A").Version != 2 {
		t.Errorf("replayed %t, version %d, card %d", r.Replayed, r.Version, f.card(t, "A").Version)
	}
}
