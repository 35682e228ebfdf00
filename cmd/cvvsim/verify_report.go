package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

const (
	shownPerCard  = 10 // differing events of one card; the table counts the rest
	shownInferred = 10 // cards whose interval was inferred; -o json lists all
)

// verifyReport collects what is found, and prints it: text while it is found, JSON
// at the end.
type verifyReport struct {
	Events    int             `json:"events"`
	Judged    int             `json:"judged"`
	Unknown   int             `json:"unknown"` // depends on what came before the log
	Differing int             `json:"differing"`
	Cards     []*differing    `json:"cards"`           // by their first difference
	Inferred  []inferredState `json:"inferred"`        // of logs that begin in the middle
	Error     string          `json:"error,omitempty"` // what ended the reading early

	out      *bufio.Writer
	options  *verifyOptions
	byCard   map[fileCard]*differing
	inferred map[fileCard]bool
	printed  int // differing events

	// Of outputs that draw the log.
	pictures pictures
	picture  *pictureSteps // of the current file
	timeline *timeline.Writer

	imprecise, repeated int
	gaps                int64
	firstImprecise      string // file, line and card
	firstGap            string
	expects             bool // any entry records something
}

// fileCard names a card: each file is a log of its own.
type fileCard struct{ file, card string }

// place is where an event stands.
type place struct {
	File string    `json:"file"`
	Line int       `json:"line"`
	At   time.Time `json:"at"`
}

// differing is a card with differences.
type differing struct {
	Card        string      `json:"card"`
	First       place       `json:"first"`
	Rule        string      `json:"rule"`        // that decides the first; empty: none does
	Mistake     sim.Mistake `json:"looks_like"`  // what the first looks like
	Differences int         `json:"differences"` // differing events
}

// inferredState is what a log that begins in the middle determined.
type inferredState struct {
	Card     string     `json:"card"`
	From     place      `json:"from"`
	Interval string     `json:"interval"`
	Next     *time.Time `json:"next"`
}

func newVerifyReport(out *bufio.Writer, o *verifyOptions) *verifyReport {
	return &verifyReport{Cards: []*differing{}, Inferred: []inferredState{}, out: out, options: o, byCard: make(map[fileCard]*differing), inferred: make(map[fileCard]bool)}
}

// begin prepares the drawing of one of so many files.
func (v *verifyReport) begin(rules rotation.Rules, name string, files int) {
	switch v.options.output {
	case "svg", "html":
		v.picture = v.pictures.begin(name, files, rules)
	case "timeline":
		v.timeline = timeline.NewWriter(v.out, timeline.SpellingText, rules)
	}
}

// draw adds a finding to the drawing.
func (v *verifyReport) draw(f sim.Finding) error {
	switch v.options.output {
	case "svg", "html":
		v.picture.add(f.Step)
	case "timeline":
		for _, d := range f.Differences {
			fmt.Fprintf(v.out, "# differs: %s: recorded %s, the rules say %s\n", d.Field, d.Want, d.Got)
		}
		if f.Verdict == sim.VerdictDiffers {
			fmt.Fprintf(v.out, "# %s\n", f.Explanation)
		}
		return v.timeline.Write(f.Step.Entry)
	}
	return nil
}

// file judges one timeline.
func (v *verifyReport) file(r *timeline.Reader, name string, verifier *sim.Verifier) error {
	return eachEntry(r, name, func(e timeline.Entry) error {
		f, err := verifier.Apply(e)
		if err != nil {
			return err
		}
		v.expects = v.expects || e.Expect.Fields != 0
		if !v.options.window.includes(e) {
			return nil
		}
		v.add(place{name, e.Line, e.Event.At()}, e, f)
		if f.Verdict == sim.VerdictRepeated {
			return nil
		}
		return v.draw(f)
	})
}

func (v *verifyReport) add(at place, e timeline.Entry, f sim.Finding) {
	where := fmt.Sprintf("%s:%d, card %s", at.File, at.Line, printable(e.Card))
	v.Events++
	if f.LostPrecision != 0 {
		v.imprecise++
		v.firstImprecise = cmp.Or(v.firstImprecise, where)
	}
	if f.Missing > 0 {
		v.gaps += f.Missing
		v.firstGap = cmp.Or(v.firstGap, where)
	}
	if key := (fileCard{at.File, e.Card}); f.Inferred != 0 && !v.inferred[key] {
		v.inferred[key] = true
		state := inferredState{Card: e.Card, From: at, Interval: rotation.FormatDuration(f.Inferred)}
		if !f.Next.IsZero() {
			state.Next = &f.Next
		}
		v.Inferred = append(v.Inferred, state)
	}
	switch f.Verdict {
	case sim.VerdictRepeated:
		v.repeated++
	case sim.VerdictUnknown:
		v.Unknown++
	case sim.VerdictAgrees:
		v.Judged++
	case sim.VerdictDiffers:
		v.Judged++
		v.Differing++
		v.differ(at, e, f)
	}
}

// differ counts a difference and prints it: a card's first whole, some further ones
// in a line for each field, and the rest not at all unless the card is asked for.
func (v *verifyReport) differ(at place, e timeline.Entry, f sim.Finding) {
	key := fileCard{at.File, e.Card}
	d := v.byCard[key]
	if d == nil {
		d = &differing{Card: e.Card, First: at, Mistake: f.Mistake}
		if f.Rule != 0 {
			d.Rule = f.Rule.String()
		}
		v.byCard[key], v.Cards = d, append(v.Cards, d)
	}
	d.Differences++
	asked := len(v.options.window.cards) > 0
	if v.options.output != "text" || v.options.limit > 0 && v.printed == v.options.limit || d.Differences > shownPerCard && !asked {
		return
	}
	v.printed++
	where := fmt.Sprintf("%s:%d: card %s: %s %s", at.File, at.Line, printable(e.Card), at.At.Format(time.RFC3339Nano), e.Event.Kind())
	for _, difference := range f.Differences {
		fmt.Fprintf(v.out, "%s: %s: recorded %s, the rules say %s\n", where, difference.Field, difference.Want, difference.Got)
	}
	if len(f.Differences) == 0 {
		fmt.Fprintf(v.out, "%s: recorded %s\n", where, e.Expect)
	}
	if d.Differences == 1 || asked {
		fmt.Fprintf(v.out, "    %s\n", f.Explanation)
	}
}

// close prints what is known at the end.
func (v *verifyReport) close(stderr io.Writer) error {
	if v.options.draws() {
		fmt.Fprintf(stderr, "note: %s; without -o the differences are listed\n", v.summary())
	}
	switch v.options.output {
	case "timeline":
		return nil
	case "svg", "html":
		if v.Events == 0 {
			return nil // and whyUnjudged says so
		}
		return v.pictures.write(v.out, stderr, v.options.output, "", "Recorded", "Compared with the rules: "+v.summary()+".")
	case "json":
		encoder := json.NewEncoder(v.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	if more := v.Differing - v.printed; more > 0 {
		fmt.Fprintf(v.out, "and %d more\n", more)
	}
	if len(v.Cards) > 0 {
		fmt.Fprintln(v.out)
		if err := v.table(); err != nil {
			return err
		}
		fmt.Fprintln(v.out)
	}
	for i, s := range v.Inferred {
		if i == shownInferred {
			fmt.Fprintf(v.out, "inferred for %d more cards; -o json lists them\n", len(v.Inferred)-i)
			break
		}
		next := "none"
		if s.Next != nil {
			next = s.Next.Format(time.RFC3339Nano)
		}
		fmt.Fprintf(v.out, "%s:%d: card %s: inferred interval %s, next %s\n", s.From.File, s.From.Line, printable(s.Card), s.Interval, next)
	}
	_, err := fmt.Fprintln(v.out, v.summary())
	return err
}

func (v *verifyReport) summary() string {
	return fmt.Sprintf("%s, %d judged, %d differing, %d unknown", count(v.Events, "event"), v.Judged, v.Differing, v.Unknown)
}

// table prints a line for each card with differences.
func (v *verifyReport) table() error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "card\tfirst difference\tat\trule\tdiffering\tlooks like")
	for _, d := range v.Cards {
		fmt.Fprintf(w, "%s\t%s:%d\t%s\t%s\t%d\t%s\n", printable(d.Card), d.First.File, d.First.Line, d.First.At.Format(time.RFC3339Nano), d.Rule, d.Differences, d.Mistake)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(v.out, text.String())
	return err
}

// whyUnjudged says why nothing was judged, and what to do.
func (v *verifyReport) whyUnjudged() string {
	switch {
	case v.Events == 0 && v.options.window.restricted():
		return nothingChosen
	case v.Events == 0:
		return "there is no event; check the file, and --map event and --map-event for a log with other names"
	case !v.expects:
		return "no event records a decision; map the log's fields to rotate, next and others"
	default:
		return "the records determine no card's state; record next, rotate, reschedule and interval, or begin the log earlier"
	}
}

// printable returns a card's id, quoted if it could forge lines or colours.
func printable(card string) string {
	if strings.ContainsFunc(card, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(card) {
		return strconv.Quote(card)
	}
	return card
}
