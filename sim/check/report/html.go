package report

import (
	"cmp"
	"io"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/check"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/timeline"
)

// WriteHTML writes the report as a page. It shows what the text shows and draws the
// events of a failure: what the rules decide of each, and what the system under
// test answered to the last.
func (r *Report) WriteHTML(w io.Writer) error {
	page := draw.Report{Title: "cvvsim check: " + string(r.Result), Other: "The system answered"}
	fact := func(name, value string) {
		if value != "" {
			page.Facts = append(page.Facts, draw.Fact{Name: name, Value: value})
		}
	}
	for _, row := range r.overview() {
		fact(row[0], row[1])
	}
	x := r.Failure
	if x == nil {
		page.Intro = []string{r.conclusion()}
		for _, g := range r.Goals {
			fact(Grouped(int64(g.Met))+" times", g.Sentence)
		}
		return draw.HTML(w, page)
	}
	page.Title = "cvvsim check: the invariant " + x.Invariant + " is broken"
	page.Intro = []string{x.Paragraph}
	if r.found == nil {
		page.Intro = []string{x.Sentence, x.Paragraph}
	}
	fact("also broken", strings.Join(x.Also, ", "))
	fact("reproduce", x.Reproduce)
	fact("options", x.Options)
	fact("timeline", cmp.Or(x.File, x.Timeline))
	fact("Go test", cmp.Or(x.GoTest, x.Source))
	fact("unwritten", strings.Join(x.Unwritten, "\n"))
	fact("the host", strings.Join(x.Journal, "\n"))
	if r.found != nil && !r.found.FromState {
		rules, steps, _ := replay(x.Timeline) // what it refuses is in the timeline
		if last := len(steps) - 1; last >= 0 && r.found.Outcome.Refused == 0 {
			steps[last].Entry.Expect = answer(r.found.Outcome)
		}
		page.Sections = []draw.Section{{Rules: rules, Steps: steps}}
	}
	return draw.HTML(w, page)
}

// replay decides the events of a failure's timeline by package rotation, up to an
// event that it refuses, and counts those that differ from what the timeline expects.
func replay(source string) (rules rotation.Rules, steps []sim.Step, differing int) {
	reader := timeline.NewReader(strings.NewReader(source), "failure")
	rules, err := reader.Rules()
	for r := sim.NewReplay(rules); err == nil; {
		var entry timeline.Entry
		if entry, err = reader.Next(); err != nil {
			break
		}
		var step sim.Step
		if step, err = r.Apply(entry); err != nil {
			return rules, steps, differing + 1
		}
		if len(entry.Expect.Differences(step.Outcome())) > 0 {
			differing++
		}
		steps = append(steps, step)
	}
	return rules, steps, differing
}

// answer returns an outcome as the expectation of a timeline.
func answer(o check.Outcome) timeline.Expect {
	x := timeline.Expect{
		Fields: timeline.FieldAll,
		Rotate: o.Rotated, Reschedule: o.Rescheduled, Reason: o.Reason,
		Scenario: int64(o.Scenario), Missed: o.Missed,
	}
	if o.Next != 0 {
		x.Next = time.Unix(0, o.Next).UTC()
	}
	return x
}
