package report

import (
	"cmp"
	"errors"
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
		var err error
		if page.Steps, err = failureSteps(r.found, x.Timeline); err != nil {
			return err
		}
	}
	return draw.HTML(w, page)
}

// failureSteps replays the failure's timeline by the rules. The system's answer
// replaces what the last event expects.
func failureSteps(f *check.Failure, source string) (steps []sim.Step, err error) {
	replay := sim.NewReplay(rotation.Rules{})
	reader := timeline.NewReader(strings.NewReader(source), "failure")
	for {
		entry, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		step, err := replay.Apply(entry)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	if len(steps) > 0 && f.Outcome.Refused == 0 {
		steps[len(steps)-1].Entry.Expect = answer(f.Outcome)
	}
	return steps, nil
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
