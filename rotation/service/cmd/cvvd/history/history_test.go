package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/cmd/cvvd/history"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/must"
)

// fixture is an engine on a memory store with one card.
type fixture struct {
	*engine.Engine
	clock *clock.Mock
	store *memory.Store
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewMock()}
	f.clock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	f.store = memory.New(memory.Options{Clock: f.clock})
	f.open(t, rotation.Rules{})
	_, _, err := f.Register(t.Context(), engine.Ref{Card: "card", Account: "acme"}, engine.RegisterRequest{})
	must.Do(t, err)
	return f
}

// open replaces the engine by one with other rules, like a restart.
func (f *fixture) open(t *testing.T, rules rotation.Rules) {
	t.Helper()
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
	f.Engine = must.Get(engine.New(f.store, engine.Random(nil, keys), engine.Options{Rules: rules, Clock: f.clock}))(t)
}

func (f *fixture) force(t *testing.T, times int) {
	t.Helper()
	for range times {
		must.Get(f.Force(t.Context(), engine.AnyAccount("card"), engine.ForceRequest{}))(t)
	}
}

func (f *fixture) read(t *testing.T, before int64, limit int) history.Card {
	t.Helper()
	return must.Get(history.Read(t.Context(), f, "card", before, limit))(t)
}

// A history longer than a page of the engine has each event once, and the ranges of
// numbers that are missing.
func TestRead_JoinsPages(t *testing.T) {
	f := newFixture(t)
	f.force(t, 2*engine.MaxHistory+7)
	var gone []store.Delivery
	for _, p := range []int64{1, 2, 3, 400, 600} {
		gone = append(gone, store.Delivery{Position: p, Status: store.StatusDelivered})
	}
	must.Do(t, f.store.RecordDeliveries(t.Context(), gone))
	f.clock.Add(time.Hour)
	must.Get(f.store.DeleteExpired(t.Context(), f.clock.Now(), 100))(t)

	c := f.read(t, 0, 2000)
	if len(c.Events) != 2*engine.MaxHistory+2 || c.Events[0].Number != 1007 || c.Older != 0 || c.Last != 1007 {
		t.Errorf("%d events, older %d, last %d", len(c.Events), c.Older, c.Last)
	}
	for i, e := range c.Events[1:] {
		if e.Number >= c.Events[i].Number {
			t.Fatalf("event %d after %d", e.Number, c.Events[i].Number)
		}
	}
	must.Equal(t, []string{
		"Event 600 is no longer kept (engine.keep_events).",
		"Event 400 is no longer kept (engine.keep_events).",
		"Events 1 to 3 are no longer kept (engine.keep_events).",
	}, c.Notes())
	c = f.read(t, 0, 700)
	if len(c.Events) != 700 || c.Older != 306 || len(c.Notes()) != 2 {
		t.Errorf("%d events, older %d, %q", len(c.Events), c.Older, c.Notes())
	}
}

func TestCard_FactsAreThoseOfTheCard(t *testing.T) {
	f := newFixture(t)
	fact := func(name string) string {
		for _, fact := range f.read(t, 0, 10).Facts() {
			if fact.Name == name {
				return fact.Value
			}
		}
		return ""
	}
	must.Equal(t, []string{"acme", "version 1, created 2026-11-22 15:00:00 UTC", "off", "", "not locked", "", ""},
		[]string{fact("Account"), fact("CVV"), fact("Automatic"), fact("Next"), fact("Lock"), fact("Wrong CVVs"), fact("Rotation failed")})
	must.Equal(t, []string{"The CVV and its schedule have not changed since the card was registered."}, f.read(t, 0, 10).Notes())

	must.Get(f.SetInterval(t.Context(), engine.AnyAccount("card"), engine.IntervalRequest{Interval: 36 * time.Hour}))(t)
	right := must.Get(f.Reveal(t.Context(), engine.AnyAccount("card")))(t).CVV.Reveal()
	const wrong = "0000" // all others have 3 digits
	guess := func() {
		for range 3 {
			var cvv cvvgen.CVV
			must.Do(t, cvv.UnmarshalText([]byte(wrong)))
			must.Get(f.Verify(t.Context(), engine.AnyAccount("card"), cvv))(t)
		}
	}
	guess()
	must.Do(t, f.store.Update(t.Context(), "card", "", func(change *store.Change) error {
		change.Card.Failures, change.Card.Failure, change.Write = 2, "the key is gone", true
		return nil
	}))
	next := fact("Next")
	if lines := strings.Split(next, "\n"); len(lines) != 5 || lines[0] != "2026-11-24 03:00:00 UTC" || lines[1] != "2026-11-25 15:00:00 UTC" {
		t.Error(next)
	}
	must.Equal(t, []string{"every 36h", "locked since 2026-11-22 15:00:00 UTC: too many wrong CVVs were presented", "3 in a row, 3 within 24 hours", "2 times in a row, the last time: the key is gone"},
		[]string{fact("Automatic"), fact("Lock"), fact("Wrong CVVs"), fact("Rotation failed")})
	must.Equal(t, "", fact("Throttled"))
	for range 6 { // up to 20 within the day, the default
		must.Get(f.Unlock(t.Context(), engine.AnyAccount("card")))(t)
		guess()
	}
	must.Equal(t, []string{"until 2026-11-23 15:00:00 UTC: too many wrong CVVs within 24 hours", "2 in a row, 20 within 24 hours"},
		[]string{fact("Throttled"), fact("Wrong CVVs")})
	code := must.Get(f.Show(t.Context(), engine.AnyAccount("card"), 0))(t).ServiceCode.String()
	for _, x := range f.read(t, 0, 10).Facts() {
		if x.Value == right || x.Value == code {
			t.Errorf("%s is a CVV or a service code", x.Name)
		}
	}
}

// An account may be a card number of someone; a page or a terminal does not show it.
func TestCard_FactsMaskAccountsThatCouldBePANs(t *testing.T) {
	f := newFixture(t)
	_, _, err := f.Register(t.Context(), engine.Ref{Card: "other", Account: "4111111111111111"}, engine.RegisterRequest{})
	must.Do(t, err)
	facts := must.Get(history.Read(t.Context(), f, "other", 0, 10))(t).Facts()
	must.Equal(t, draw.Fact{Name: "Account", Value: "411111xxxxxx1111"}, facts[0])
}

func TestCard_SectionEndsWhereTheRulesWereOthers(t *testing.T) {
	f := newFixture(t)
	f.force(t, 3)
	f.open(t, must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromRequest))(t))
	f.force(t, 2)
	s := must.Get(f.read(t, 0, 10).Section())(t)
	must.Equal(t, []string{"The picture leaves out 3 older events, which were decided under other rules."}, s.Intro)
	if len(s.Steps) != 2 || s.Rules.Guard() != 5*time.Minute {
		t.Errorf("%d steps, guard %v", len(s.Steps), s.Rules.Guard())
	}
}

func TestCard_DeliveryNamesWhatSubscribersHaveNotReceived(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	waiting := func(d time.Duration) (e engine.HistoryEvent) {
		e.Status, e.At = store.StatusWaiting, at.Add(-d)
		return e
	}
	card := history.Card{Schedule: engine.Schedule{At: at}}
	for _, test := range []struct {
		e    engine.HistoryEvent
		want string
	}{
		{engine.HistoryEvent{Status: store.StatusDelivered, Attempts: 2, Failure: "503"}, ""},
		{waiting(0), ""}, // it takes a moment
		{waiting(5 * time.Second), ""},
		{waiting(5*time.Second + 1), "not delivered yet"}, // behind a failed one, or the sink is down
		{engine.HistoryEvent{Status: store.StatusWaiting, Attempts: 2, Failure: "503"}, "not delivered yet, failed 2 times: 503"},
		{engine.HistoryEvent{Status: store.StatusParked, Position: 7, Failure: "410"}, "dead-lettered (parked) at position 7: 410"},
	} {
		t.Run(test.want, func(t *testing.T) {
			must.Equal(t, test.want, card.Delivery(test.e))
		})
	}
}

func TestRead_Refuses(t *testing.T) {
	f := newFixture(t)
	for card, want := range map[string]error{"unknown": store.ErrNotFound, "4111111111111111": engine.ErrInvalid, "<b>": engine.ErrInvalid} {
		t.Run(card, func(t *testing.T) {
			_, err := history.Read(t.Context(), f, card, 0, 10)
			if !errors.Is(err, want) || strings.Contains(fmt.Sprint(err), "4111") {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}
