package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
)

// errOneFile refuses several files where their outputs could not be told apart.
var errOneFile = errors.New("a drawing is of one file: run the command once for each")

// pictureSteps collects the steps of a picture. It holds draw.MaxEvents of them:
// beyond that every second one is left out, and again, but none that differs from
// its record while there is room.
type pictureSteps struct {
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
	for len(p.steps) > draw.MaxEvents {
		if p.stride > n { // all but the first differ: the first ones are shown
			p.steps, p.full = p.steps[:draw.MaxEvents], true
			return
		}
		p.stride *= 2
		p.steps = slices.DeleteFunc(p.steps, func(s numbered) bool { return s.n%p.stride != 0 && !differs(s.step) })
	}
}

func differs(s sim.Step) bool { return len(s.Entry.Expect.Differences(s.Outcome())) > 0 }

// write draws what was collected. It says on stderr how much was left out.
func (p *pictureSteps) write(out *bufio.Writer, stderr io.Writer, output, title, other string, rules rotation.Rules) error {
	if p.seen == 0 {
		return errors.New("there is nothing to draw: no event is of the chosen cards and time")
	}
	var steps []sim.Step
	for _, s := range p.steps {
		steps = append(steps, s.step)
	}
	var intro []string
	if left := p.seen - len(steps); left > 0 {
		note := fmt.Sprintf("%d of %d events are drawn: those that differ first, and of the others one in %d. Choose a card or a time to see all of them.", len(steps), p.seen, p.stride)
		if p.full {
			note = fmt.Sprintf("%d of %d events are drawn: the first that differ. Choose a card or a time to see all of them.", len(steps), p.seen)
		}
		fmt.Fprintf(stderr, "note: %s (--card, --from, --to)\n", note)
		intro = append(intro, note)
		title += fmt.Sprintf(" (%d of %d events)", len(steps), p.seen)
	}
	if output == "svg" {
		return draw.SVG(out, title, rules, steps)
	}
	return draw.HTML(out, draw.Report{Title: title, Intro: intro, Rules: rules, Steps: steps, Other: other})
}
