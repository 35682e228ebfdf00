package check

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"slices"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
	"cvvrotation/sim/timeline"
)

// Failure is a broken invariant, shrunk.
type Failure struct {
	Invariant Invariant
	Also      []Invariant // what the same event breaks as well
	Seed      uint64      // of the run; 0 when no campaign found it
	Options   string      // what is left of the run's options where it needs the host, else all that was drawn
	Found     int         // the card's events up to the failure, before shrinking
	Events    []Event     // one card; the last event breaks the invariant
	Outcome   Outcome     // what the system answered to that
	NeedsHost bool        // the events alone do not break it: it is what the host did about them
	Journal   []string    // with NeedsHost: what the host did, in order
	FromState bool        // the one event starts from a state that the closure had reached, not from a new card

	system System
	met    situation
	after  View
	want   model.Outcome // the reference model's answer
	refErr error
	state  model.State
	left   View // what the event before had left of the card
}

// fail shrinks what a campaign has found.
func (h *hunt) fail(found *finding) *Failure {
	f := &Failure{
		Invariant: found.failure.broken[0], Seed: found.seed,
		Options: found.options.String(), Found: len(found.trace), system: h.System,
	}
	if events, ok := shrink(h.System, eventsOf(found.trace), f.Invariant); ok {
		f.Events = events
	} else {
		f.host(h, found)
	}
	f.judge()
	return f
}

// host shrinks the run instead of the events, and keeps what happened in it.
func (f *Failure) host(h *hunt, found *finding) {
	host := &host{system: h.System, guard: h.System.Guard(), bug: h.Bug.host}
	o := shrinkRun(host, found.seed, found.options, f.Invariant)
	host.journal = &journal{}
	host.run(found.seed, o)
	f.NeedsHost, f.Options = true, o.String()
	if host.failure == nil { // a system that is no function of its seed
		f.Events, f.Also = eventsOf(found.trace), found.failure.broken[1:]
		return
	}
	f.Also, f.left, f.met = host.failure.broken[1:], host.failure.left, host.failure.met
	card := host.failure.card
	f.Events = eventsOf(host.cards[card].trace)
	for _, l := range host.journal.lines {
		if l.card < 0 || l.card == card {
			f.Journal = append(f.Journal, fmt.Sprintf("%v  %s", instant(l.at), l.text))
		}
	}
}

func eventsOf(trace []traced) []Event {
	events := make([]Event, len(trace))
	for i, t := range trace {
		events[i] = t.event
	}
	return events
}

// judge fills in what is known of the last event.
func (f *Failure) judge() {
	if len(f.Events) == 0 {
		return
	}
	if v := openLoop(f.system, f.Events); !f.NeedsHost {
		f.Also = v.broken.list()[1:]
		f.Outcome, f.left, f.met, f.after = v.outcome, v.left, v.met, v.after
	}
	ref, _ := model.New(model.Rules{Guard: time.Duration(f.system.Guard())})
	for _, e := range f.Events {
		f.want, f.refErr = ref.Step(modelEvent(e))
	}
	f.state = ref.State()
}

// Paragraph says what is wrong, in words.
func (f *Failure) Paragraph() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Invariant %v (%s): %s ", f.Invariant, f.Invariant.Rule(), f.Invariant.Sentence())
	switch {
	case len(f.Events) == 0:
		b.WriteString("No event of the card was decided at all. ")
	case f.Invariant == durable || f.Invariant == persisted && f.left != f.met.before:
		last := f.Events[len(f.Events)-1]
		fmt.Fprintf(&b, "The event before the last left the card with %v. The last event, %v at %v, went on from %v.",
			f.left, last, instant(last.At), f.met.before)
	case f.NeedsHost:
		b.WriteString("Each decision is right by itself; what the host did between them, or did not do, is not. ")
		if len(f.Journal) > 0 {
			fmt.Fprintf(&b, "In the end, at %s.", f.Journal[len(f.Journal)-1])
		}
	default:
		b.WriteString(f.story() + " " + f.contradiction())
	}
	return strings.TrimSpace(b.String())
}

// story says what the last event met.
func (f *Failure) story() string {
	e, v := f.Events[len(f.Events)-1], f.met.before
	var b strings.Builder
	switch e.Kind {
	case rotation.KindForced:
		b.WriteString("A forced call came")
	case rotation.KindAuto:
		b.WriteString("An automatic event came")
	case rotation.KindSetInterval:
		fmt.Fprintf(&b, "The interval was set to %s", span(e.Interval))
		if e.HasFirst {
			fmt.Fprintf(&b, ", the first slot to %v,", instant(e.First))
		}
	case rotation.KindDisable:
		b.WriteString("Rotation was turned off")
	default:
		b.WriteString("An event of no known kind came")
	}
	fmt.Fprintf(&b, " at %v", instant(e.At))
	if v.GuardKind == 0 {
		b.WriteString(", the first scheduling request of the card")
	} else {
		fmt.Fprintf(&b, ", %s the previous scheduling request (%v at %v)", gapWords(f.met.gap), v.GuardKind, instant(v.GuardStart))
		if f.met.on && (e.Kind == rotation.KindForced || e.Kind == rotation.KindAuto) {
			fmt.Fprintf(&b, ": the guard of %s %s", span(f.met.guard), heldWords(f.met))
		}
	}
	b.WriteString(". ")
	if v.Interval == 0 {
		b.WriteString("Rotation was off.")
	} else {
		fmt.Fprintf(&b, "The interval was %s and the next slot %v.", span(v.Interval), instant(v.Next))
	}
	if e.HasSlot {
		b.WriteString(" The event named " + slotWords(f.met) + ".")
	}
	b.WriteString(f.spokenOf())
	return b.String()
}

// spokenOf names the earlier rotation that S1, S2 or S3 is about where it is not
// the previous request.
func (f *Failure) spokenOf() string {
	last := len(f.Events) - 1
	kind := map[Invariant]rotation.Kind{s1: rotation.KindAuto, s2: rotation.KindForced, s3: rotation.KindForced}[f.Invariant]
	if kind == 0 || kind == f.met.before.GuardKind {
		return ""
	}
	for _, e := range slices.Backward(f.Events[:last]) {
		if e.Kind == kind {
			return fmt.Sprintf(" The earlier rotation (%v) that %v speaks of was at %v, %s before.",
				kind, f.Invariant.Rule(), instant(e.At), span(f.Events[last].At-e.At))
		}
	}
	return ""
}

func gapWords(gap int64) string {
	switch {
	case gap == 0:
		return "at the same instant as"
	case gap < 0:
		return span(-gap) + " before"
	}
	return span(gap) + " after"
}

func heldWords(s situation) string {
	switch {
	case s.held && s.gap < 0:
		return "holds it (the clock stepped back by less than the guard)"
	case s.held:
		return "holds it"
	case s.gap == s.guard || s.gap == -s.guard:
		return "has just ended and holds it no longer"
	case s.gap < 0:
		return "does not hold it (the clock stepped back by more than the guard)"
	}
	return "has ended and does not hold it"
}

func slotWords(s situation) string {
	words := fmt.Sprintf("the slot %v", instant(s.e.Slot))
	if !s.other {
		words += ", which was the next slot"
	} else if s.dup {
		words += ", which was served before"
	} else {
		words += ", which the schedule had left unserved"
	}
	switch late := s.e.At - s.e.Slot; {
	case late < 0:
		return words + ", " + span(-late) + " early"
	case late > 0:
		return words + ", " + span(late) + " late"
	}
	return words + ", at that instant"
}

// contradiction holds the answer against the reference model's.
func (f *Failure) contradiction() string {
	answer := "The system answered: " + f.Outcome.String() + "."
	var bad *model.Error
	if errors.As(f.refErr, &bad) {
		if f.Outcome.Refused != 0 && modelRefusals[f.Outcome.Refused] == bad.Category {
			return answer + " It was right to refuse the event, but something changed."
		}
		return answer + " By the rules the event is refused for its " + refusalNames[slices.Index(modelRefusals[:], bad.Category)] + "."
	}
	var differences []string
	differ := func(what string, is, must any) {
		if is != must {
			differences = append(differences, fmt.Sprintf("%s is %v and must be %v", what, is, must))
		}
	}
	must := viewOf(f.state)
	if f.Outcome.Refused == 0 {
		differ("rotated", f.Outcome.Rotated, f.want.Rotate)
		differ("rescheduled", f.Outcome.Rescheduled, f.want.Reschedule)
		differ("the reason", f.Outcome.Reason.String(), f.want.Reason)
		differ("the scenario", f.Outcome.Scenario, f.want.Scenario)
		differ("missed", f.Outcome.Missed, f.want.Missed)
		if f.Outcome.Next != f.after.Next {
			differ("the next slot that the caller is told", orNone(f.Outcome.Next), orNone(must.Next))
		}
		differ("the rule", modelRules[f.Outcome.Rule], f.want.Rule)
	} else {
		differences = append(differences, "it must not be refused")
	}
	differ("the interval", span(f.after.Interval), span(must.Interval))
	differ("the next slot", orNone(f.after.Next), orNone(must.Next))
	differ("the guard's start", guardWords(f.after), guardWords(must))
	differ("the newest slot served", servedWords(f.after), servedWords(must))
	if len(differences) == 0 {
		if e := f.met.e; e.Armed != 0 {
			return answer + fmt.Sprintf(" That is right for an event that names no slot. But it was the timer for %v, and so was an earlier event that rotated.", instant(e.Armed))
		}
		return answer + " That is what the rules say of this event by itself."
	}
	return answer + " By the rules: " + strings.Join(differences, "; ") + "."
}

func orNone(at int64) string {
	if at == 0 {
		return "none"
	}
	return instant(at).String()
}

func guardWords(v View) string {
	if v.GuardKind == 0 {
		return "none"
	}
	return fmt.Sprintf("%v at %v", v.GuardKind, instant(v.GuardStart))
}

func servedWords(v View) string {
	if !v.HasServed {
		return "none"
	}
	return instant(v.Served).String()
}

// Timeline returns the events as a timeline in the text spelling, that expects
// what the reference model says: right rules replay it without a difference.
// The comments on top, a line each, come first.
func (f *Failure) Timeline(comments ...string) ([]byte, error) {
	var b bytes.Buffer
	for _, line := range comments {
		fmt.Fprintln(&b, strings.TrimSpace("# "+line))
	}
	guard := time.Duration(f.system.Guard())
	rules, err := rotation.NewRules(guard, rotation.FromRequest)
	if err != nil {
		return nil, err
	}
	w := timeline.NewWriter(&b, timeline.Text, rules)
	ref, _ := model.New(model.Rules{Guard: guard})
	for _, e := range f.Events {
		want, err := ref.Step(modelEvent(e))
		if err != nil {
			fmt.Fprintf(&b, "# Here the rules refuse: %v %v\n", instant(e.At), e)
			continue
		}
		if e.Armed != 0 {
			fmt.Fprintf(&b, "# Of a timer for %v that does not say so:\n", instant(e.Armed))
		}
		entry := timeline.Entry{Card: "A", Event: e.Rotation(), Expect: timeline.Expect{
			Fields: timeline.AllFields, Rotate: want.Rotate, Reschedule: want.Reschedule,
			Scenario: int64(want.Scenario), Missed: want.Missed,
		}}
		if want.Next.OK {
			entry.Expect.Next = want.Next.Time
		}
		if err := entry.Expect.Reason.UnmarshalText([]byte(want.Reason)); err != nil {
			return nil, err
		}
		if err := w.Write(entry); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// GoTest returns a Go test that holds package rotation to what the reference
// model says of the events.
func (f *Failure) GoTest() ([]byte, error) {
	var b bytes.Buffer
	guard := time.Duration(f.system.Guard())
	fmt.Fprintf(&b, `package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/rotation"
)

// %s: %s
func TestFound%s(t *testing.T) {
	rules, err := rotation.NewRules(%d, rotation.FromRequest)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		t.Helper()
		instant, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return instant
	}
	every := func(s string) time.Duration {
		t.Helper()
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	_ = every // there may be no interval
	var s rotation.State
	for i, step := range []struct {
		event rotation.Event
		want  string // the decision; empty when the event is refused
		next  string // the next slot; empty when there is none
	}{
`, f.Invariant.Rule(), f.Invariant.Sentence(), testName(f.Invariant.String()), guard)
	ref, _ := model.New(model.Rules{Guard: guard})
	for _, e := range f.Events {
		want, err := ref.Step(modelEvent(e))
		decision, next := "", viewOf(ref.State()).Next
		if err == nil {
			decision = rotation.Decision{
				Rule: rotation.Rule(slices.Index(modelRules[:], want.Rule)), Scenario: want.Scenario, Missed: want.Missed,
			}.String()
		}
		slot := ""
		if next != 0 {
			slot = instant(next).String()
		}
		fmt.Fprintf(&b, "\t\t{%s, %q, %q},\n", e.goSource(), decision, slot)
	}
	b.WriteString(`	} {
		after, d, err := rules.Decide(s, step.event)
		if (err != nil) != (step.want == "") || err == nil && d.String() != step.want {
			t.Errorf("step %d: %v, error %v; want %q", i, d, err, step.want)
		}
		next := ""
		if slot, on := after.Next(); on {
			next = slot.Format(time.RFC3339Nano)
		}
		if next != step.next {
			t.Errorf("step %d: next is %q, want %q", i, next, step.next)
		}
		s = after
	}
}
`)
	return format.Source(b.Bytes())
}

func (e Event) goSource() string {
	at := func(ns int64) string { return fmt.Sprintf("at(%q)", instant(ns)) }
	every := fmt.Sprintf("every(%q)", timeline.FormatDuration(time.Duration(e.Interval)))
	switch {
	case e.Kind == rotation.KindForced:
		return fmt.Sprintf("rotation.Forced(%s)", at(e.At))
	case e.Kind == rotation.KindAuto && e.HasSlot:
		return fmt.Sprintf("rotation.AutoSlot(%s, %s)", at(e.At), at(e.Slot))
	case e.Kind == rotation.KindAuto:
		return fmt.Sprintf("rotation.AutoUnslotted(%s)", at(e.At))
	case e.Kind == rotation.KindSetInterval && e.HasFirst:
		return fmt.Sprintf("rotation.SetIntervalFirst(%s, %s, %s)", at(e.At), every, at(e.First))
	case e.Kind == rotation.KindSetInterval:
		return fmt.Sprintf("rotation.SetInterval(%s, %s)", at(e.At), every)
	case e.Kind == rotation.KindDisable:
		return fmt.Sprintf("rotation.Disable(%s)", at(e.At))
	}
	return "rotation.Event{}"
}

// testName is the invariant's name as part of a Go identifier.
func testName(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
