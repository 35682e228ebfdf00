package check

import (
	"bytes"
	"fmt"
	"go/format"
	"slices"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
	"cvvrotation/sim/timeline"
)

// Timeline returns the events as a timeline in the text spelling. It expects what
// the reference model decides, so right rules replay it without a difference. The
// comments come first, a line each.
func (f *Failure) Timeline(comments ...string) ([]byte, error) {
	var b bytes.Buffer
	for _, line := range comments {
		fmt.Fprintln(&b, strings.TrimSpace("# "+line))
	}
	rules := f.system.Rules()
	w := timeline.NewWriter(&b, timeline.SpellingText, rules)
	ref, _ := model.New(termsOf(rules).model())
	for _, e := range f.Events {
		want, err := ref.Step(modelEvent(e))
		if err != nil {
			under := ""
			if rules != (rotation.Rules{}) {
				under = fmt.Sprintf(" with guard=%s guard_from=%v", rotation.FormatDuration(rules.Guard()), rules.GuardFrom())
			}
			fmt.Fprintf(&b, "# Here the rules refuse%s: %v %v\n", under, instant(e.At), e)
			continue
		}
		if e.Pollers != 0 {
			fmt.Fprintf(&b, "# A poll of the service's own, by %d at the same time:\n", e.Pollers)
		}
		if e.Armed != 0 {
			fmt.Fprintf(&b, "# Of a timer armed for %v, which the event does not name:\n", instant(e.Armed))
		}
		entry := timeline.Entry{Card: "A", Event: e.Rotation(), Expect: timeline.Expect{
			Fields: timeline.FieldAll, Rotate: want.Rotate, Reschedule: want.Reschedule,
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

// GoTest returns a Go test that compares package rotation with what the reference
// model decides of the events.
func (f *Failure) GoTest() ([]byte, error) {
	var b bytes.Buffer
	rules := f.system.Rules()
	from := "rotation.GuardFromRequest"
	if rules.GuardFrom() == rotation.GuardFromScheduling {
		from = "rotation.GuardFromScheduling"
	}
	fmt.Fprintf(&b, `package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/sim/must"
	"cvvrotation/rotation"
)

// %s: %s
func TestFound%s(t *testing.T) {
	rules := must.Get(rotation.NewRules(%d, %s))(t)
	at := func(s string) time.Time { return must.Get(time.Parse(time.RFC3339Nano, s))(t) }
	every := func(s string) time.Duration { return must.Get(time.ParseDuration(s))(t) }
	_ = every // there may be no interval
	var s rotation.State
	for i, step := range []struct {
		event rotation.Event
		want  string // the decision; empty when the event is refused
		next  string // the next slot; empty when there is none
	}{
`, f.Invariant.Rule(), f.Invariant.Sentence(), testName(f.Invariant.String()), rules.Guard(), from)
	ref, _ := model.New(termsOf(rules).model())
	for _, e := range f.Events {
		want, err := ref.Step(modelEvent(e))
		decision, next := "", ViewOfModel(ref.State()).Next
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
	every := fmt.Sprintf("every(%q)", rotation.FormatDuration(time.Duration(e.Interval)))
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
