// Package storetest checks a store against the contract of package store. The tests
// of every store call [Run]. docs/embedding.md#write-a-store is a guide.
package storetest

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cvvrotation/rotation/engine/store"
)

// Open returns an empty store whose time is always the clock's, even after a test
// has set the clock. The second result reopens the database after the store was
// closed; it is nil if nothing survives. The suite closes the stores; an Open
// registers any other cleanup with t.Cleanup, which runs later.
//
// The suite calls Open about forty times: tests that need no empty store share
// one, with cards of their own.
type Open func(t *testing.T, clk clock.Clock) (s store.Store, reopen func() store.Store)

// Run runs the suite on stores from open. Tests are named by the sentence that they check.
//
// Functions given to the store here never call t.FailNow, so a store may call
// them in a goroutine of its own.
func Run(t *testing.T, open Open) {
	t.Run("cards", func(t *testing.T) { share(t, open, cardTests) })
	t.Run("updates", func(t *testing.T) { share(t, open, updateTests) })
	t.Run("answers", func(t *testing.T) { share(t, open, answerTests) })
	t.Run("claims", func(t *testing.T) { alone(t, open, claimTests) })
	t.Run("lists", func(t *testing.T) { alone(t, open, listTests) })
	t.Run("fingerprints", func(t *testing.T) { share(t, open, fingerprintTests) })
	t.Run("outbox", func(t *testing.T) { alone(t, open, outboxTests) })
	t.Run("histories", func(t *testing.T) { alone(t, open, historyTests) })
	t.Run("close and reopen", func(t *testing.T) { alone(t, open, closeTests) })
	t.Run("random histories", func(t *testing.T) { histories(t, open) })
}

// test is one sentence of the contract.
type test struct {
	sentence string
	run      func(*fixture)
}

// share runs tests that share a store, and so need cards of their own.
func share(t *testing.T, open Open, tests []test) {
	f := newFixture(t, open)
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			shared := *f
			shared.T = t
			tt.run(&shared)
		})
	}
}

// alone runs tests with an empty store each.
func alone(t *testing.T, open Open, tests []test) {
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) { tt.run(newFixture(t, open)) })
	}
}

// epoch is when the tests begin: with nanoseconds that no microsecond holds.
var epoch = time.Date(2026, 11, 22, 15, 0, 0, 123456789, time.UTC)

// fixture is a test with a store and its clock.
type fixture struct {
	*testing.T
	store.Store
	clk    *clock.Mock
	reopen func() store.Store
}

func newFixture(t *testing.T, open Open) *fixture {
	t.Helper()
	clk := clock.NewMock()
	clk.Set(epoch)
	f := &fixture{T: t, clk: clk}
	f.Store, f.reopen = open(t, clk)
	t.Cleanup(func() { f.Store.Close() })
	return f
}

// now is the clock's time, as a store returns it.
func (f *fixture) now() time.Time { return f.clk.Now().UTC() }

var lastID atomic.Int64

// id returns an id that no other test uses.
func (f *fixture) id() string { return "card-" + strconv.FormatInt(lastID.Add(1), 10) }

// must ends the test if err is not nil.
func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// update changes a card.
func (f *fixture) update(id string, edit func(*store.Change)) {
	f.Helper()
	f.must(f.Update(f.Context(), id, "", func(change *store.Change) error {
		edit(change)
		return nil
	}))
}

// put stores a card unchanged.
func (f *fixture) put(c store.Card) {
	f.Helper()
	f.update(c.ID, func(change *store.Change) { change.Card, change.Write = c, true })
}

// card returns a card that is stored.
func (f *fixture) card(id string) store.Card {
	f.Helper()
	c, err := f.Card(f.Context(), id)
	f.must(err)
	return c
}

// alike treats empty and nil slices as equal, and equal instants in all locations.
var alike = cmpopts.EquateEmpty()

// equal reports a difference.
func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if diff := cmp.Diff(want, got, alike); diff != "" {
		f.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// report reports the error of a call in a goroutine, and whether there was one.
// Errors after the test has ended are ignored.
func (f *fixture) report(err error) bool {
	f.Helper()
	if err != nil && f.Context().Err() == nil {
		f.Error(err)
	}
	return err != nil
}

// promptly fails the test if call does not return within 20 s.
func (f *fixture) promptly(what string, call func()) {
	f.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		f.Fatalf("%s: still waiting after 20 s", what)
	}
}
