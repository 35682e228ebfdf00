package enginecheck

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/store"
)

// The engine holds, every situation is met, and what comes out is the same the
// second time, whatever the workers.
func TestCampaign(t *testing.T) {
	const seeds = 300
	first := Campaign{First: 1, Last: seeds, Workers: 1}.Run(context.Background())
	if f := first.Failure; f != nil {
		t.Fatalf("seed %d breaks %v: %s\n%s\n%s", f.Seed, f.Invariant, f.Detail, f.Options, strings.Join(f.Journal, "\n"))
	}
	for _, p := range first.Places {
		if p.Met == 0 {
			t.Errorf("never met: %s", p.Sentence)
		}
	}
	again := Campaign{First: 1, Last: seeds, Workers: 3}.Run(context.Background())
	if again.Hash != first.Hash || again.Events != first.Events || again.Runs != seeds {
		t.Errorf("3 workers: hash %x, %d events; 1 worker: %x, %d", again.Hash, again.Events, first.Hash, first.Events)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := (Campaign{First: 1, Last: 1 << 40}).Run(ctx); r.Runs != 0 || r.Failure != nil {
		t.Errorf("%d runs", r.Runs)
	}
	if r := (Campaign{First: 1, Last: 1 << 40, For: time.Millisecond}).Run(context.Background()); r.Runs == 0 {
		t.Error("no runs in a millisecond")
	}
}

// Audit finds by itself what is wrong with a history: the campaign, which knows
// more, would find it first.
func TestAudit(t *testing.T) {
	o := drawOptions(8)
	o.faults, o.cards = 0, 2
	r := &run{}
	r.perform(8, o, stepsOf(o))
	if r.failure != nil {
		t.Fatal(r.failure.detail)
	}
	right := func() History {
		h := History{Guard: guard, Events: r.base.Written(0), Answers: slices.Clone(r.answers), At: r.at(), Complete: true}
		for _, l := range r.cards {
			c, err := r.base.Card(context.Background(), l.ref.Card)
			if err != nil {
				t.Fatal(err)
			}
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
		{"an event lost", "is number", func(h *History) { h.Events = slices.Delete(h.Events, 3, 4) }},
		{"the last event lost", "and counts", func(h *History) { h.Events = h.Events[:len(h.Events)-1] }},
		{"an event twice", "is number", func(h *History) { h.Events = slices.Insert(h.Events, 3, h.Events[3]) }},
		{"events out of order", "is number", func(h *History) {
			for i := range h.Events {
				for j := i + 1; j < len(h.Events); j++ {
					if h.Events[i].Card == h.Events[j].Card {
						h.Events[i], h.Events[j] = h.Events[j], h.Events[i]
						return
					}
				}
			}
		}},
		{"an event altered", "decides nothing", func(h *History) {
			e := &h.Events[automatic]
			e.Payload = []byte(strings.Replace(string(e.Payload), `"missed":`, `"missed":1`, 1))
		}},
		{"an event of no card", "there is not", func(h *History) { h.Events[2].Card = "stranger" }},
		{"a rotation lost", "no event of it", func(h *History) { h.Answers[2].Version = 1000 }},
		{"one rotation for two keys", "two forced calls", func(h *History) { h.Answers = append(h.Answers, h.Answers[1]) }},
		{"a rotation doubled", "forced rotations, and", func(h *History) { h.Answers = h.Answers[1:] }},
		{"an answer that is not the event's", "its event says", func(h *History) { h.Answers[0].Next = h.At }},
		{"an answer for no card", "no such card", func(h *History) { h.Answers = append(h.Answers, engine.Rotation{Card: "stranger"}) }},
		{"a version too many", "is stored as version", func(h *History) { h.Cards[0].Version++ }},
		{"another schedule", "the next slot is", func(h *History) { h.Cards[0].Next = h.At.Add(time.Hour) }},
		{"a damaged state", "damaged", func(h *History) { h.Cards[0].State = []byte{1, 2, 3} }},
		{"a card left behind", "due since", func(h *History) { h.Cards[0].Due = h.At }},
		{"a delivery lost", "was never delivered", func(h *History) { h.Delivered = h.Delivered[:len(h.Delivered)-1] }},
		{"a delivery lost in the middle", "was never delivered", func(h *History) { h.Delivered = slices.Delete(h.Delivered, 5, 6) }},
		{"a delivery out of order", "was delivered before", func(h *History) {
			slices.Reverse(h.Delivered)
		}},
	} {
		h := right()
		test.harm(&h)
		wrong := Audit(h)
		if len(wrong) == 0 || !slices.ContainsFunc(wrong, func(err error) bool { return strings.Contains(err.Error(), test.says) }) {
			t.Errorf("%s: %v", test.name, wrong)
		}
	}
}
