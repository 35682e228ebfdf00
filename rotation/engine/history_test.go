package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/must"
)

// history returns a page as lines: number, rule and sentence; then what is missing.
func (f *fixture) history(t *testing.T, ref engine.Ref, before int64, limit int) (lines []string, h engine.History) {
	t.Helper()
	h = must.Get(f.History(t.Context(), ref, before, limit))(t)
	for _, e := range h.Events {
		lines = append(lines, fmt.Sprintf("%d %v %s", e.Number, e.Rule, e.Sentence))
	}
	return lines, h
}

func TestHistory_AnswersWhyTheCVVChanged(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t *testing.T, f *fixture, ref engine.Ref)
		want string // of the newest event
	}{
		{"forced within the guard of a registration", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(time.Minute)
			f.force(t, ref, engine.ForceRequest{})
		}, "2 R2 forced 1m after the new interval at 15:00:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z"},
		{"compromised", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(time.Hour)
			f.force(t, ref, engine.ForceRequest{Compromised: true})
		}, "2 R3 forced 1h after the new interval at 15:00:00: CVV rotated, rescheduled, next 2026-11-23T16:00:00Z; compromised: the previous CVV stopped being accepted immediately"},
		{"at its slot", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(24 * time.Hour)
			f.tick(t)
		}, "2 R5 automatic at its slot: CVV rotated, rescheduled, next 2026-11-24T15:00:00Z"},
		{"catch-up after an outage", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(5*24*time.Hour + time.Minute)
			f.tick(t)
		}, "2 R5 automatic 96h1m after its slot 2026-11-23T15:00:00Z: CVV rotated, rescheduled, 4 slots missed, next 2026-11-28T15:00:00Z"},
		{"S1", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(24 * time.Hour)
			f.tick(t)
			f.clock.Add(time.Minute)
			f.force(t, ref, engine.ForceRequest{})
		}, "3 R2 forced 1m after the automatic rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-24T15:00:00Z (scenario 1)"},
		{"S2, a timer in flight", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Add(24*time.Hour + time.Second)
			f.store.SetFaults(func(op memory.Op) memory.Fault {
				if op.Call != memory.CallClaim {
					return memory.Fault{}
				}
				return memory.Fault{Race: func() { f.force(t, ref, engine.ForceRequest{}) }}
			})
			f.tick(t)
			f.store.SetFaults(nil)
		}, "3 R14 automatic 1s after its slot 15:00:00, at the same instant as the forced rotation: CVV rotated, schedule kept, next 2026-11-24T15:00:01Z (scenario 2)"},
		{"forced after automatic rotation was turned off and on", func(t *testing.T, f *fixture, ref engine.Ref) {
			must.Get(f.Disable(t.Context(), ref))(t)
			f.clock.Add(time.Second)
			f.force(t, ref, engine.ForceRequest{})
		}, "3 R1 forced 1s after the new interval at 15:00:00: CVV rotated, automatic rotation is off"},
		{"turned off", func(t *testing.T, f *fixture, ref engine.Ref) {
			must.Get(f.Disable(t.Context(), ref))(t)
		}, "2 R10 automatic rotation turned off: no next rotation"},
		{"repaired after a clock step", func(t *testing.T, f *fixture, ref engine.Ref) {
			f.clock.Set(threePM.Add(-72 * time.Hour))
			must.Do(t, f.Sweep(t.Context()))
		}, "2 R8 next rotation repaired, it was more than one interval ahead (clock step): new schedule, next 2026-11-20T15:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			ref := f.register(t, "card", 24*time.Hour)
			test.do(t, f, ref)
			lines, _ := f.history(t, ref, 0, 1)
			must.Equal(t, []string{test.want}, lines)
		})
	}
}

func TestHistory_OfACardThatNothingHappenedTo(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "card", 0)
	must.Equal(t, engine.History{Card: "card", Account: "acme"}, must.Get(f.History(t.Context(), ref, 0, 10))(t))
}

// Pages have every event once, with the sentence that it has on one large page, however
// many events are written in between.
func TestHistory_PagesAreStable(t *testing.T) {
	for _, from := range []rotation.GuardFrom{rotation.GuardFromRequest, rotation.GuardFromScheduling} {
		t.Run(from.String(), func(t *testing.T) {
			rules := must.Get(rotation.NewRules(2*time.Minute, from))(t)
			f := newFixture(t, func(o *engine.Options) { o.Rules = rules })
			ref := f.register(t, "card", time.Hour)
			for i := range 20 {
				f.clock.Add(time.Duration(i%4) * 50 * time.Second)
				f.force(t, ref, engine.ForceRequest{})
			}
			whole, _ := f.history(t, ref, 0, engine.MaxHistory)
			if len(whole) != 21 {
				t.Fatal(whole)
			}
			for limit := 1; limit < 9; limit++ {
				var pages []string
				before := int64(22) // the events of the loop below are newer
				for before != 0 {
					lines, h := f.history(t, ref, before, limit)
					pages, before = append(pages, lines...), h.Older
					if len(h.Missing) > 0 {
						t.Errorf("missing %v", h.Missing)
					}
					f.force(t, ref, engine.ForceRequest{})
				}
				must.Equal(t, whole, pages)
			}
		})
	}
}

func TestHistory_NamesEachNumberThatIsNotKept(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "card", 0)
	for range 9 {
		f.force(t, ref, engine.ForceRequest{})
	}
	log := must.Get(f.store.ListEvents(t.Context(), 0, 100))(t)
	deliver := func(numbers ...int) {
		for _, n := range numbers {
			must.Do(t, f.store.RecordDeliveries(t.Context(), []store.Delivery{{Position: log[n-1].Position, Status: store.StatusDelivered}}))
		}
	}
	deliver(1, 2, 4, 9)
	f.clock.Add(time.Minute)
	must.Get(f.store.DeleteExpired(t.Context(), f.clock.Now(), 100))(t)
	deliver(3)
	must.Do(t, f.store.RecordDeliveries(t.Context(), []store.Delivery{{Position: log[4].Position, Status: store.StatusParked, Failure: "410 Gone"}}))

	for _, test := range []struct {
		before  int64
		limit   int
		numbers string
		missing []engine.Range
		older   int64
	}{
		{0, 10, "[8 7 6 5 3]", []engine.Range{{9, 9}, {4, 4}, {1, 2}}, 0},
		{0, 3, "[8 7 6]", []engine.Range{{9, 9}}, 6},
		{6, 1, "[5]", nil, 5},
		{5, 1, "[3]", []engine.Range{{4, 4}, {1, 2}}, 0},
		{3, 10, "[]", []engine.Range{{1, 2}}, 0},
		{1, 10, "[]", nil, 0},
		{1 << 62, 3, "[8 7 6]", []engine.Range{{9, 9}}, 6},
	} {
		t.Run(fmt.Sprintf("before %d, limit %d", test.before, test.limit), func(t *testing.T) {
			h := must.Get(f.History(t.Context(), ref, test.before, test.limit))(t)
			numbers := []int64{}
			for _, e := range h.Events {
				numbers = append(numbers, e.Number)
				want := map[int64]string{3: "delivered 0 ", 5: "parked 1 410 Gone"}[e.Number]
				if got := fmt.Sprint(e.Status, " ", e.Attempts, " ", e.Failure); want != "" && got != want {
					t.Errorf("event %d: %s, want %s", e.Number, got, want)
				}
			}
			must.Equal(t, []any{test.numbers, test.missing, test.older, int64(9)}, []any{fmt.Sprint(numbers), h.Missing, h.Older, h.Last})
		})
	}
}

func TestHistory_Refuses(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "card", 0)
	for _, test := range []struct {
		name   string
		ref    engine.Ref
		before int64
		limit  int
		want   error
	}{
		{"a card of another account", engine.Ref{Card: "card", Account: "other"}, 0, 1, engine.ErrForbidden},
		{"an unknown card", engine.Ref{Card: "unknown", Account: "acme"}, 0, 1, store.ErrNotFound},
		{"an unknown card of any account", engine.AnyAccount("unknown"), 0, 1, store.ErrNotFound},
		{"an id like a PAN", engine.AnyAccount("4111111111111111"), 0, 1, engine.ErrInvalid},
		{"no account", engine.Ref{Card: "card"}, 0, 1, engine.ErrInvalid},
		{"limit 0", ref, 0, 0, engine.ErrInvalid},
		{"too many", ref, 0, engine.MaxHistory + 1, engine.ErrInvalid},
		{"before a negative number", ref, -1, 1, engine.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := f.History(t.Context(), test.ref, test.before, test.limit)
			if !errors.Is(err, test.want) || strings.Contains(fmt.Sprint(err), "4111") {
				t.Errorf("%v, want %v", err, test.want)
			}
			must.Equal(t, engine.History{}, h)
		})
	}
	must.Get(f.History(t.Context(), engine.AnyAccount("card"), 0, 1))(t)
}

// An event that cannot be read is an error that names it, not an event less.
func TestHistory_ReportsADamagedEvent(t *testing.T) {
	f := newFixture(t)
	ref := f.register(t, "card", time.Hour)
	must.Do(t, f.store.Update(t.Context(), "card", "", func(change *store.Change) error {
		change.Card.Events++
		change.Event, change.Write = &store.Event{Card: "card", Number: 2, At: change.Now, Payload: []byte("{}")}, true
		return nil
	}))
	_, err := f.History(t.Context(), ref, 0, 10)
	if err == nil || !strings.Contains(err.Error(), "event 2 of card card: ") {
		t.Error(err)
	}
}
