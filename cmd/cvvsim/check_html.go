package main

import (
	"io"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/check"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/timeline"
)

// html writes the report as a page. It shows what the text shows and, of a
// failure, the events as a picture: what the rules decide of each, and what the
// system under test answered to the last.
func (r *report) html(out io.Writer) error {
	page := draw.Report{Title: "cvvsim check: " + r.Result, Other: "The system answered"}
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
		for _, s := range r.Situations {
			fact(grouped(int64(s.Met))+" times", s.Sentence)
		}
		return draw.HTML(out, page)
	}
	page.Title = "cvvsim check: the invariant " + x.Invariant + " is broken"
	page.Intro = []string{x.Paragraph}
	if r.replicasFailed() {
		page.Intro = []string{x.Sentence, x.Paragraph}
	}
	fact("also broken", strings.Join(x.Also, ", "))
	fact("reproduce", x.Reproduce)
	fact("options", x.Options)
	fact("timeline", x.File)
	fact("the host", strings.Join(x.Journal, "\n"))
	if r.found != nil && !r.found.FromState {
		var err error
		if page.Steps, err = failureSteps(r.found, x.Timeline); err != nil {
			return err
		}
	}
	return draw.HTML(out, page)
}

// failureSteps replays the failure's timeline by the rules. What the system
// answered takes the place of what the last event expects.
func failureSteps(f *check.Failure, source string) ([]sim.Step, error) {
	var steps []sim.Step
	reader := timeline.NewReader(strings.NewReader(source), "failure")
	err := replayOpen(reader, "failure", rotation.Rules{}, func(step sim.Step) error {
		steps = append(steps, step)
		return nil
	})
	if err == nil && len(steps) > 0 && f.Outcome.Refused == 0 {
		steps[len(steps)-1].Entry.Expect = answer(f.Outcome)
	}
	return steps, err
}

// answer is an outcome in the words of a timeline.
func answer(o check.Outcome) timeline.Expect {
	x := timeline.Expect{
		Fields: timeline.AllFields,
		Rotate: o.Rotated, Reschedule: o.Rescheduled, Reason: o.Reason,
		Scenario: int64(o.Scenario), Missed: o.Missed,
	}
	if o.Next != 0 {
		x.Next = time.Unix(0, o.Next).UTC()
	}
	return x
}
