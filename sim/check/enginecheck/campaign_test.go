package enginecheck

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/campaign"
	"cvvrotation/sim/internal/golden"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

func TestCampaign_EngineHoldsAndMeetsEveryGoal(t *testing.T) {
	const seeds = 300
	first := Campaign(Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds, Workers: 1})
	if f := first.Failure; f != nil {
		t.Fatalf("seed %d breaks %v: %s\n%s\n%s", f.Seed, f.Invariant, f.Detail, f.Options, strings.Join(f.Journal, "\n"))
	}
	for _, g := range first.Unmet() {
		t.Errorf("never met: %s", g.Sentence)
	}
	again := Campaign(Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds, Workers: 3})
	if again.Hash != first.Hash || again.Events != first.Events || again.Runs != seeds {
		t.Errorf("3 workers: hash %x, %d events; 1 worker: %x, %d", again.Hash, again.Events, first.Hash, first.Events)
	}
}

// The campaign once blamed a correct engine: it expected a slot in flight to be
// the next one, and a retry to be a slot.
func TestCampaign_HoldsForSeedsOfFalseAlarms(t *testing.T) {
	for _, seed := range []uint64{1984300072, 5036954} {
		if f := Campaign(Bug{}).Run(context.Background(), campaign.Options{First: seed, Last: seed}).Failure; f != nil {
			t.Errorf("seed %d breaks %v: %s", f.Seed, f.Invariant, f.Detail)
		}
	}
}

// The campaign itself knows more and would find each of these first.
func TestAudit_FindsWhatIsWrongWithAHistory(t *testing.T) {
	o := drawOptions(8)
	o.faults, o.cards = 0, 2
	r := &run{}
	r.perform(8, o, stepsOf(o))
	if r.failure != nil {
		t.Fatal(r.failure.detail)
	}
	right := func() History {
		h := History{Guard: o.rules.Guard(), From: o.rules.GuardFrom(), Events: r.base.Written(0), Answers: slices.Clone(r.answers), At: r.at(), Complete: true}
		for _, l := range r.cards {
			c := must.Get(r.base.Card(context.Background(), l.ref.Card))(t)
			h.Cards = append(h.Cards, c)
		}
		for _, q := range h.Events {
			h.Delivered = append(h.Delivered, q.Event)
		}
		return h
	}
	if wrong := Audit(right()); len(wrong) > 0 || len(r.answers) < 5 || r.position < 20 {
		t.Fatalf("%d answers, %d events: %v", len(r.answers), r.position, wrong)
	}
	automatic := slices.IndexFunc(right().Events, func(q store.Queued) bool { return strings.Contains(string(q.Payload), "AUTOMATIC") })
	for _, test := range []struct {
		name, says string
		harm       func(*History)
	}{
		{"an event lost", "want number", func(h *History) { h.Events = slices.Delete(h.Events, 3, 4) }},
		{"the last event lost", "but counts", func(h *History) { h.Events = h.Events[:len(h.Events)-1] }},
		{"an event twice", "want number", func(h *History) { h.Events = slices.Insert(h.Events, 3, h.Events[3]) }},
		{"events out of order", "want number", func(h *History) {
			for i := range h.Events {
				for j := i + 1; j < len(h.Events); j++ {
					if h.Events[i].Card == h.Events[j].Card {
						h.Events[i], h.Events[j] = h.Events[j], h.Events[i]
						return
					}
				}
			}
		}},
		{"an event altered", "decides nothing that matches it: Missed is 1", func(h *History) {
			e := &h.Events[automatic]
			e.Payload = []byte(strings.Replace(string(e.Payload), `"missed":`, `"missed":1`, 1))
		}},
		{"an event of no card", "an event belongs to a card that does not exist", func(h *History) { h.Events[2].Card = "stranger" }},
		{"a rotation lost", "which has no event", func(h *History) { h.Answers[2].Version = 1000 }},
		{"one rotation for two keys", "two forced calls", func(h *History) { h.Answers = append(h.Answers, h.Answers[1]) }},
		{"a rotation doubled", "forced rotations, but", func(h *History) { h.Answers = h.Answers[1:] }},
		{"an answer that is not the event's", "its event has", func(h *History) { h.Answers[0].Next = h.At }},
		{"an answer for no card", "was answered for a card that does not exist", func(h *History) { h.Answers = append(h.Answers, engine.Rotation{Card: "stranger"}) }},
		{"a version too many", "but version", func(h *History) { h.Cards[0].Version++ }},
		{"another schedule", "the next slot is", func(h *History) { h.Cards[0].Next = h.At.Add(time.Hour) }},
		{"a damaged state", "damaged", func(h *History) { h.Cards[0].State = []byte{1, 2, 3} }},
		{"a card left behind", "due since", func(h *History) { h.Cards[0].Due = h.At }},
		{"a delivery lost", "was never delivered", func(h *History) { h.Delivered = h.Delivered[:len(h.Delivered)-1] }},
		{"a delivery lost in the middle", "was never delivered", func(h *History) { h.Delivered = slices.Delete(h.Delivered, 5, 6) }},
		{"a delivery out of order", "was delivered before", func(h *History) {
			slices.Reverse(h.Delivered)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := right()
			test.harm(&h)
			wrong := Audit(h)
			if !slices.ContainsFunc(wrong, func(err error) bool { return strings.Contains(err.Error(), test.says) }) {
				t.Errorf("want an error with %q: %v", test.says, wrong)
			}
		})
	}
}

// The event of an automatic rotation does not name the slot that it served. By R5
// it is the slot that was due, by R7 none; if the event was held, it may be any
// slot in flight (R14) or none (R6).
func TestAudit_AcceptsTheSlotsThatEventsAllow(t *testing.T) {
	const interval = 3 * time.Minute
	at := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	set := rotation.SetInterval(at, interval)
	sooner := rotation.SetIntervalFirst(at, interval, after(150*time.Second))
	forced := rotation.Forced(after(150 * time.Second)) // takes the slot's place, which may be in flight by then

	r5 := []rotation.Event{sooner, rotation.AutoSlot(after(150*time.Second), after(150*time.Second))}
	r7 := []rotation.Event{set, rotation.AutoUnslotted(after(150 * time.Second))}
	r14 := []rotation.Event{set, forced, rotation.AutoSlot(after(interval), after(interval))}
	r6 := []rotation.Event{set, forced, rotation.AutoUnslotted(after(interval))}
	for _, test := range []struct {
		name         string
		told, stored []rotation.Event
		right        bool
	}{
		{"R5", r5, r5, true},
		{"R7", r7, r7, true},
		{"R14", r14, r14, true},
		{"R6", r6, r6, true},
		{"R5 in the events, nothing stored as served", r5, r7, false},
		{"R7 in the events, a slot stored as served", r7, r5, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := History{Guard: guard, At: after(interval), Cards: make([]store.Card, 1)}
			_, h.Events = play(t, test.told)
			h.Cards[0], _ = play(t, test.stored)
			if wrong := Audit(h); (len(wrong) == 0) != test.right || !test.right && !strings.Contains(wrong[0].Error(), "newest slot served") {
				t.Error(wrong)
			}
		})
	}
}

func TestAudit_BreaksHistoryInARun(t *testing.T) {
	o := drawOptions(8)
	r := &run{}
	r.perform(8, o, stepsOf(o))
	if r.failure != nil || len(r.answers) < 2 {
		t.Fatalf("%+v, %d answers", r.failure, len(r.answers))
	}
	r.answers = append(r.answers, r.answers[1])
	if r.audit(); r.failure == nil || r.failure.invariant != history {
		t.Errorf("a rotation that was answered twice: %+v", r.failure)
	}
}

// play returns what is stored of a card after its events, and what it wrote.
func play(t *testing.T, es []rotation.Event) (c store.Card, written []store.Queued) {
	t.Helper()
	rules := must.Get(rotation.NewRules(guard, rotation.GuardFromRequest))(t)
	var s rotation.State
	c = store.Card{ID: "card", Version: 1}
	for _, e := range es {
		next, d, err := rules.Decide(s, e)
		must.Do(t, err)
		s = next
		changed := event.Changed{
			Source: "/", Card: c.ID, At: e.At(), Operation: event.OperationChangeInterval, Interval: s.Interval(),
			Rescheduled: d.Reschedule(), Reason: d.Reason(), Scenario: d.Scenario, Missed: d.Missed,
		}
		if d.Rotate() {
			c.Version++
			changed.Operation, changed.Automatic = event.OperationRotate, e.Kind() == rotation.KindAuto
		}
		c.Events++
		c.Interval = s.Interval()
		c.Next, _ = s.Next()
		changed.Number, changed.Version, changed.Next = c.Events, c.Version, c.Next
		written = append(written, store.Queued{Event: store.Event{Card: c.ID, Number: c.Events, At: e.At(), Payload: changed.AppendJSON(nil)}})
	}
	c.State = must.Get(s.MarshalBinary())(t)
	return c, written
}

// Two runs find the same, to the letter. The table is testdata/bugs.txt: the invariant
// that each bug breaks, the seed, and the steps before and after shrinking.
func TestBugs_AreFoundAndShrunk(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "bug\tinvariant\tseed\tsteps\tshrunk to")
	broken := map[Invariant]bool{}
	for _, b := range Bugs() {
		t.Run(b.Name, func(t *testing.T) {
			find := func(workers int) *Failure {
				return Campaign(b).Run(context.Background(), campaign.Options{First: 1, Last: 500, Workers: workers}).Failure
			}
			f := find(1)
			if f == nil {
				t.Fatal("not found")
			}
			if diff := cmp.Diff(f, find(2)); diff != "" {
				t.Errorf("found again, it differs:\n%s", diff)
			}
			if f.Detail == "" || f.Steps > 12 || len(f.Journal) == 0 {
				t.Errorf("shrunk to %d steps: %s\n%v", f.Steps, f.Detail, f.Journal)
			}
			broken[f.Invariant] = true
			for _, line := range append(f.Journal, f.Detail) {
				if len(line) > 350 || regexp.MustCompile(`\(0\)|<nil>|0001-01-01`).MatchString(line) {
					t.Errorf("not for people: %s", line)
				}
			}
			fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%d\n", b.Name, f.Invariant, f.Seed, f.Found, f.Steps)
		})
	}
	for _, i := range Invariants() {
		if !broken[i] && i != history { // the others come first; TestAudit breaks it
			t.Errorf("no bug breaks %v first", i)
		}
	}
	w.Flush()
	golden.Check(t, "testdata/bugs.txt", table.Bytes())
}

func TestSystem_LeavesTheTraceOfTheRules(t *testing.T) {
	const seeds = 150
	want := check.Campaign(check.Rules(rotation.Rules{}), check.Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds})
	got := check.Campaign(System(), check.Bug{}).Run(context.Background(), campaign.Options{First: 1, Last: seeds})
	if got.Failure != nil {
		t.Fatal(got.Failure.Paragraph())
	}
	if got.Hash != want.Hash || got.Events != want.Events {
		t.Errorf("hash %x, %d events; the rules: %x, %d", got.Hash, got.Events, want.Hash, want.Events)
	}
	q := check.Sequences(context.Background(), System(), 3)
	if q.Failure != nil || !q.Done {
		t.Fatal(q.Failure.Paragraph())
	}
}

// The events of engines, with repairs, faults and steps of the clock, say enough for
// a replay to decide the same.
func TestDaemonEvents_ReplayDecidesWhatTheyReport(t *testing.T) {
	judged, repaired := 0, 0
	for seed := range uint64(40) {
		o := drawOptions(seed)
		r := &run{}
		r.perform(seed, o, stepsOf(o))
		var log bytes.Buffer
		for _, q := range r.base.Written(0) {
			log.Write(append(q.Payload, '\n'))
			repaired += strings.Count(string(q.Payload), `"repaired":true`)
		}
		reader := timeline.NewReader(&log, "events")
		replay := sim.NewReplay(must.Get(reader.Rules())(t))
		rounded := map[string]bool{}
		for {
			e, err := reader.Next()
			if err == io.EOF {
				break
			}
			must.Do(t, err)
			if rounded[e.Card] = rounded[e.Card] || e.Event.Interval() == guard || e.Event.Interval() == o.rules.Guard(); rounded[e.Card] {
				continue // it was a nanosecond more: events round intervals to microseconds
			}
			judged++
			step := must.Get(replay.Apply(e))(t)
			for _, d := range e.Expect.Differences(step.Outcome()) {
				t.Errorf("seed %d, event %d of %s: %+v", seed, e.Number, e.Card, d)
			}
		}
	}
	if judged < 500 || repaired == 0 {
		t.Errorf("%d events judged, %d repairs", judged, repaired)
	}
}
