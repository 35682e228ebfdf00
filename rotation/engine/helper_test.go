package engine_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/sim/must"
)

var threePM = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// fixture is an engine on a memory store, whose mocked clock stands at 3 PM. The
// engine sleeps by it too.
type fixture struct {
	*engine.Engine
	clock *clock.Mock
	store *memory.Store
	log   *logtest.Buffer
	seen  *recorder
}

func newFixture(t *testing.T, change ...func(*engine.Options)) *fixture {
	t.Helper()
	return newFixtureWith(t, engine.Random(nil, keyring(t, 1)), change...)
}

// newFixtureWith is newFixture with another generator.
func newFixtureWith(t *testing.T, g engine.Generator, change ...func(*engine.Options)) *fixture {
	t.Helper()
	mock := clock.NewMock()
	mock.Set(threePM)
	f := &fixture{clock: mock, store: memory.New(memory.Options{Clock: mock}), log: new(logtest.Buffer), seen: new(recorder)}
	o := engine.Options{
		Logger: f.log.Text(), Observer: f.seen,
	}
	for _, c := range change {
		c(&o)
	}
	e := must.Get(engine.New(f.store, g, o))(t)
	f.Engine = e
	return f
}

// keyring returns a keyring of test keys; the first id is the one that seals.
func keyring(t testing.TB, ids ...uint32) *seal.Keyring {
	t.Helper()
	keys := make([]seal.Key, len(ids))
	for i, id := range ids {
		keys[i] = seal.NewKey(id, bytes.Repeat([]byte{byte(id)}, seal.KeySize))
	}
	return must.Get(seal.NewKeyring(keys[0], keys[1:]...))(t)
}

// register registers a card that rotates at the interval; 0 is not at all.
func (f *fixture) register(t *testing.T, card string, interval time.Duration) engine.Ref {
	t.Helper()
	ref := engine.Ref{Card: card, Account: "acme"}
	_, created, err := f.Register(t.Context(), ref, engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: interval}})
	if err != nil || !created {
		t.Fatalf("Register: created %t, %v", created, err)
	}
	return ref
}

func (f *fixture) force(t *testing.T, ref engine.Ref, req engine.ForceRequest) engine.Rotation {
	t.Helper()
	r, err := f.Force(t.Context(), ref, req)
	if err != nil {
		t.Fatalf("Force: %v", err)
	}
	r.Effect = engine.Effect{} // which has a test of its own
	return r
}

func (f *fixture) card(t *testing.T, id string) store.Card {
	t.Helper()
	return must.Get(f.store.Card(t.Context(), id))(t)
}

func (f *fixture) cvv(t *testing.T, ref engine.Ref) cvvgen.CVV {
	t.Helper()
	r := must.Get(f.Reveal(t.Context(), ref))(t)
	if !r.CVV.IsValid() {
		t.Fatal("Reveal: no CVV")
	}
	return r.CVV
}

// events returns the events of a card, decoded.
func (f *fixture) events(t *testing.T, card string) []event.Changed {
	t.Helper()
	log := must.Get(f.store.ListEvents(t.Context(), 0, 1<<20))(t)
	var events []event.Changed
	for _, q := range log {
		if q.Card != card {
			continue
		}
		ev := must.Get(event.ParseStrict(q.Payload))(t)
		if ev.Number != int64(len(events)+1) || q.Number != ev.Number {
			t.Fatalf("event %d of the card has the number %d, and %d in the outbox", len(events)+1, ev.Number, q.Number)
		}
		events = append(events, ev)
	}
	return events
}

func (f *fixture) tick(t *testing.T) int {
	t.Helper()
	return must.Get(f.Tick(t.Context()))(t)
}

// recorder counts what an observer is told.
type recorder struct {
	mu       sync.Mutex
	decided  []engine.Observation
	failed   int
	claimed  int
	verdicts []engine.Verdict
	repaired int
	unlocked int
}

func (r *recorder) Decided(o engine.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decided = append(r.decided, o)
}

func (r *recorder) Failed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
}

func (r *recorder) Claimed(n int, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claimed += n
}

func (r *recorder) Verified(v engine.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verdicts = append(r.verdicts, v)
}

func (r *recorder) Unlocked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unlocked++
}

func (r *recorder) Repaired() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repaired++
}

func mustCVV(s string) cvvgen.CVV {
	cvv, err := cvvgen.ParseCVV(s)
	if err != nil {
		panic("not a CVV")
	}
	return cvv
}
