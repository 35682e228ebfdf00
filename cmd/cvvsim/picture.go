package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
)

// pageEvents is the maximum number of events on a page of several files. A browser stays
// responsive with so many.
const pageEvents = 6_000

// pictures are the drawings of a command's files, on one page.
type pictures []*pictureSteps

// begin returns the steps of the next file; there are so many files.
func (p *pictures) begin(name string, files int, rules rotation.Rules) *pictureSteps {
	s := &pictureSteps{name: name, rules: rules, limit: max(50, min(draw.MaxEvents, pageEvents/max(1, files)))}
	*p = append(*p, s)
	return s
}

// sink returns the sink of the next file.
func (p *pictures) sink(name string, files int, rules rotation.Rules) sink {
	steps := p.begin(name, files, rules)
	return sink{
		step:  func(s sim.Step) error { steps.add(s); return nil },
		close: func(bool) error { return nil },
	}
}

// write draws what was collected, as svg or html. It says on stderr how much was left
// out. The title defaults to the name of the files. The intro comes first.
func (p pictures) write(out *bufio.Writer, stderr io.Writer, output, title, other string, intro ...string) error {
	report := draw.Report{Title: title, Other: other, Intro: intro}
	seen, parts, note := 0, 0, ""
	for _, s := range p {
		seen += s.seen
		section := s.section()
		report.Sections = append(report.Sections, section)
		if len(section.Intro) > 0 {
			parts, note = parts+1, section.Intro[0]
		}
	}
	switch {
	case parts > 1:
		fmt.Fprintf(stderr, "note: a part of the events is drawn of %s; their titles say how many. Choose a card or a time to see all of them. (--card, --from, --to)\n", count(parts, "file"))
	case parts == 1:
		fmt.Fprintf(stderr, "note: %s (--card, --from, --to)\n", note)
	}
	if seen == 0 {
		return errors.New("there is nothing to draw: " + nothingChosen)
	}
	switch {
	case len(p) == 1:
		report.Title = cmp.Or(title, filepath.Base(p[0].name)) + p[0].part()
	case title == "":
		report.Title = fmt.Sprintf("%s and %s", filepath.Base(p[0].name), count(len(p)-1, "other file"))
	}
	if output == "svg" {
		return draw.SVG(out, report)
	}
	return draw.HTML(out, report)
}

// pictureSteps collects the steps of a file's picture. It holds up to limit of them:
// beyond that every second one is left out, and again, but none that differs from
// its record while there is room.
type pictureSteps struct {
	name   string
	rules  rotation.Rules
	limit  int
	steps  []numbered
	seen   int
	stride int  // one of so many is kept; 0 is 1
	full   bool // with steps that differ
}

type numbered struct {
	step sim.Step
	n    int // 0, 1, 2 … in the order of delivery
}

func (p *pictureSteps) add(s sim.Step) {
	p.stride = max(1, p.stride)
	n := p.seen
	p.seen++
	if p.full || n%p.stride != 0 && !differs(s) {
		return
	}
	p.steps = append(p.steps, numbered{s, n})
	for len(p.steps) > p.limit {
		if p.stride > n { // all but the first differ: the first ones are shown
			p.steps, p.full = p.steps[:p.limit], true
			return
		}
		p.stride *= 2
		p.steps = slices.DeleteFunc(p.steps, func(s numbered) bool { return s.n%p.stride != 0 && !differs(s.step) })
	}
}

func differs(s sim.Step) bool { return len(s.Entry.Expect.Differences(s.Outcome())) > 0 }

// section returns what is drawn, and says how much was left out.
func (p *pictureSteps) section() draw.Section {
	section := draw.Section{Title: p.name + p.part(), Rules: p.rules}
	for _, s := range p.steps {
		section.Steps = append(section.Steps, s.step)
	}
	if len(p.steps) < p.seen {
		note := fmt.Sprintf("%d of %d events are drawn: those that differ first, and of the others one in %d. Choose a card or a time to see all of them.", len(p.steps), p.seen, p.stride)
		if p.full {
			note = fmt.Sprintf("%d of %d events are drawn: the first that differ. Choose a card or a time to see all of them.", len(p.steps), p.seen)
		}
		section.Intro = []string{note}
	}
	return section
}

// part says in a title how much of a file is drawn; nothing if all of it is.
func (p *pictureSteps) part() string {
	if len(p.steps) == p.seen {
		return ""
	}
	return fmt.Sprintf(" (%d of %d events)", len(p.steps), p.seen)
}
