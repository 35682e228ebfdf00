package draw

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"

	"cvvrotation/rotation"
	"cvvrotation/sim"
)

// Report is what a page or a picture shows.
type Report struct {
	Title    string
	Intro    []string  // paragraphs that come first; default none
	Facts    []Fact    // listed after them, such as a seed or a broken invariant; default none
	Sections []Section // one for each timeline; default none
	// Other names whose word the entries' expectations are, where a step differs
	// from them; default "Expected".
	Other string
}

// Section is one timeline of a report: a picture, and a table of all events below it.
type Section struct {
	Title string   // shown if the report has several sections
	Intro []string // paragraphs before the picture; default none
	Rules rotation.Rules
	Steps []sim.Step // in their order of delivery; none: no picture and no table
}

// check returns an error if a section has more events than can be drawn.
func (r Report) check() error {
	for _, s := range r.Sections {
		if len(s.Steps) > MaxEvents {
			return fmt.Errorf("draw: %d events: %w", len(s.Steps), ErrTooMany)
		}
	}
	return nil
}

// Fact is a name and what belongs to it.
type Fact struct{ Name, Value string }

// The parts of the page.
var (
	//go:embed report.html
	reportPage string
	//go:embed report.css
	reportStyle string
	//go:embed report.js
	reportScript string

	reportTemplate = template.Must(template.New("report").Parse(reportPage))
)

// HTML writes the report as one page that loads nothing from anywhere. Each section
// has a picture as [SVG] draws it, in which one can move below an axis and an overview
// that stay, and a table that has the sentence of each event. Both can be filtered by
// card, kept schedules and differences. Several sections come below their titles, and a
// table of contents says how many events and differences each has. Without scripts
// the table still has everything, and on paper too. Where a step differs from what its
// entry expects, its mark and row say so. The page's content security policy allows its
// own style and script, and nothing else. The error wraps [ErrTooMany], or is the
// writer's; in the first case nothing is written.
func HTML(w io.Writer, r Report) error {
	if err := r.check(); err != nil {
		return err
	}
	style := styleSheet + reportStyle
	var facts []Fact
	for _, f := range r.Facts {
		pair := visible([]string{f.Name, f.Value})
		facts = append(facts, Fact{pair[0], pair[1]})
	}
	several := len(r.Sections) > 1
	var sections []pageSection
	for i, s := range r.Sections {
		section := pageSection{Intro: visible(s.Intro)}
		if several {
			section.ID, section.Title = prefix(i), printable(s.Title, 160)
		}
		section.draw(s)
		sections = append(sections, section)
	}
	out := bufio.NewWriter(w)
	err := reportTemplate.Execute(out, page{
		Title:    printable(r.Title, 160),
		Intro:    visible(r.Intro),
		Facts:    facts,
		Several:  several,
		Sections: sections,
		Other:    cmp.Or(visible([]string{r.Other})[0], "Expected"),
		Style:    template.CSS(style),
		Script:   template.JS(reportScript),
		Policy:   "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + hashSource(style) + "; script-src " + hashSource(reportScript),
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// page is what the template shows.
type page struct {
	Title    string
	Intro    []string
	Facts    []Fact
	Several  bool
	Sections []pageSection
	Other    string
	Style    template.CSS
	Script   template.JS
	Policy   string
}

// pageSection is a section of a page.
type pageSection struct {
	Figure
	ID        string // begins all ids of the section; of an only section: none
	Title     string
	Intro     []string
	Differing int // events
	Rows      []pageRow
}

func (p *pageSection) draw(s Section) {
	p.Figure = newFigure(s, p.ID)
	p.Rows = pageRows(s.Rules, s.Steps)
	for _, row := range p.Rows {
		if len(row.Expected) > 0 {
			p.Differing++
		}
	}
}

// pageRow is the row of one event.
type pageRow struct {
	Number               int
	Instant, Date, Clock string
	Card                 string
	Mark, Kind, Event    string
	Rule                 string
	Sentence             string
	Expected             []string
	Schedule, Scenario   string
	Next                 string
}

// visible returns the texts with a replacement for what can't be printed, which
// could turn the order of the words around.
func visible(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = strings.Map(func(r rune) rune {
			if r == '\n' || unicode.IsPrint(r) {
				return r
			}
			return unicode.ReplacementChar
		}, text)
	}
	return out
}

// hashSource is how a content security policy names a text that it allows.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// drawing returns what draw writes. It is markup that can be trusted, because an
// svgWriter escapes every string that it is given.
func drawing(draw func(*svgWriter)) template.HTML {
	var b strings.Builder
	o := &svgWriter{w: bufio.NewWriter(&b)}
	draw(o)
	o.w.Flush() // a strings.Builder does not fail
	return template.HTML(b.String())
}

func pageRows(rules rotation.Rules, steps []sim.Step) []pageRow {
	var rows []pageRow
	for i, s := range steps {
		at := s.Entry.Event.At()
		row := pageRow{
			Number:   i + 1,
			Instant:  at.Format(time.RFC3339Nano),
			Date:     at.Format(dayLayout),
			Clock:    at.Format(timeLayout),
			Card:     printable(s.Entry.Card, 64),
			Mark:     mark(s),
			Kind:     s.Entry.Event.Kind().String(),
			Event:    eventWords(s),
			Rule:     s.Decision.Rule.String(),
			Sentence: s.Explain(rules),
			Next:     "none",
		}
		for _, d := range differences(s) {
			row.Expected = append(row.Expected, d.Field+"="+d.Want)
		}
		if next, on := s.After.Next(); on {
			row.Next = next.Format(dateLayout + " " + timeLayout)
		}
		switch {
		case s.Decision.Reschedule():
			row.Schedule = "new"
		case kept(s):
			row.Schedule = "kept"
			row.Scenario = laneEvent{step: s}.badge()
		}
		rows = append(rows, row)
	}
	return rows
}
