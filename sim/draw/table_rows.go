package draw

import (
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
)

// form is one way to lay a row out.
type form struct {
	date       bool // a column of its own, rather than a line where it changes
	gauge      int  // cells
	gaugeBelow bool // on a line below
	longNext   bool // the next slot with its year
	in         bool // how far away the next slot is
	nextBelow  bool // schedule and next slot on a line below
	card       int  // the longest card id
}

// forms are tried in this order, until the rows fit; the last is taken anyhow.
// What goes first is what another column says as well.
var forms = []form{
	{date: true, gauge: 12, longNext: true, in: true, card: 32},
	{date: true, gauge: 12, longNext: true, card: 32},
	{gauge: 12, longNext: true, card: 32},
	{gauge: 8, card: 24},
	{gauge: 12, gaugeBelow: true, card: 24},
	{gauge: 12, gaugeBelow: true, nextBelow: true, card: 16},
}

// The columns of a row.
const (
	columnDate = iota
	columnTime
	columnCard
	columnEvent
	columnGauge
	columnSchedule
	columnNext
	columnIn
	numColumns
)

func columnHeads(rules rotation.Rules) [numColumns]string {
	since := "since the previous request"
	if rules.GuardFrom() == rotation.GuardFromScheduling {
		since = "since the last scheduling"
	}
	return [numColumns]string{"date", "time UTC", "card", "event", since, "schedule", "next rotation", ""}
}

// mark is the symbol of an event; hollow where nothing was done.
func mark(s sim.Step) string {
	switch s.Entry.Event.Kind() {
	case rotation.KindAuto:
		if idle(s) {
			return "○"
		}
		return "●"
	case rotation.KindSetInterval:
		if idle(s) {
			return "□"
		}
		return "■"
	case rotation.KindForced:
		return "▲"
	default:
		return "×"
	}
}

// row returns the cells of the line of a step. The date is for the caller.
func row(rules rotation.Rules, s sim.Step, f form) (cells [numColumns]piece) {
	at := s.Entry.Event.At()
	quiet := func(st style) style {
		if idle(s) {
			return faint
		}
		return st
	}
	cells[columnTime] = piece{at.Format(timeLayout), quiet(plain)}
	cells[columnCard] = piece{printable(s.Entry.Card, f.card), quiet(plain)}
	cells[columnEvent] = piece{mark(s) + " " + eventWords(s), quiet(cyan)}
	if g, ok := gapOf(rules, s); ok {
		text := gapWords(g)
		if f.gauge > 0 {
			text = fmt.Sprintf("%-*s", f.gauge+3, gauge(g, f.gauge)) + " " + text
		}
		cells[columnGauge] = piece{text, plain}
		if g.held() {
			cells[columnGauge].style = yellow
		}
	}

	next, on := s.After.Next()
	before, was := s.Before.Next()
	arrow := "→"
	if was && before.Equal(next) {
		arrow = "="
	}
	switch {
	case !on:
		cells[columnSchedule] = piece{"none", faint}
		return cells
	case s.Decision.Reschedule():
		cells[columnSchedule] = piece{"new", green}
	case kept(s):
		cells[columnSchedule] = piece{"kept", yellow}
		if s.Decision.Scenario > 0 {
			cells[columnSchedule].text += fmt.Sprintf(" S%d", s.Decision.Scenario)
		}
	}
	cells[columnNext] = piece{arrow + " " + nextWords(next, at, f.longNext), cells[columnSchedule].style}
	if cells[columnSchedule].text == "" {
		cells[columnNext].style = faint
	}
	if f.in {
		cells[columnIn] = piece{"overdue", faint}
		if next.After(at) {
			cells[columnIn].text = "in " + coarse(next.Sub(at))
		}
	}
	return cells
}

// nextWords is the next slot: with its date, in the short form without the parts
// that it shares with the event.
func nextWords(next, at time.Time, long bool) string {
	switch {
	case long || next.Year() != at.Year():
		return next.Format(dateLayout + " " + timeLayout)
	case next.YearDay() != at.YearDay():
		return next.Format("01-02 " + timeLayout)
	default:
		return next.Format(timeLayout)
	}
}

// below takes the cells that the form puts on a line of their own out of the
// row. A gauge that would be empty is not worth a line.
func (f form) below(rules rotation.Rules, s sim.Step, cells *[numColumns]piece) (lines [][]piece) {
	if f.gaugeBelow {
		if g, ok := gapOf(rules, s); ok && g.near() {
			lines = append(lines, []piece{cells[columnGauge]})
		}
		cells[columnGauge] = piece{}
	}
	if f.nextBelow && cells[columnNext].text != "" {
		lines = append(lines, []piece{cells[columnSchedule], cells[columnNext]})
		cells[columnSchedule], cells[columnNext] = piece{}, piece{}
	}
	return lines
}

// explanation returns the pieces of the sentence about a step that needs one:
// the schedule was kept, slots were missed, or nothing was done.
func explanation(rules rotation.Rules, s sim.Step) []piece {
	if !kept(s) && !idle(s) && s.Decision.Missed == 0 {
		return nil
	}
	return words(s.Explain(rules), faint)
}

// key returns lines of pieces that explain the symbols.
func key(rules rotation.Rules) [][]piece {
	marks := []piece{
		{"● auto", cyan}, {"▲ forced", cyan}, {"■ set_interval", cyan}, {"× disable", cyan}, {"○ □ nothing was done", faint},
	}
	next := []piece{{"→ the next slot is now", plain}, {"= it is still", plain}}
	if rules.Guard() == 0 {
		return [][]piece{marks, next}
	}
	return [][]piece{
		marks,
		{{"├───●──┤ within the guard: rotated, schedule kept", yellow}, {"├──────┤● past it: new schedule", plain}},
		append(next, piece{"S1 auto→forced, S2 forced→auto, S3 forced→forced", plain}),
	}
}

// guardWords says which rules the drawing is under.
func guardWords(rules rotation.Rules) string {
	const what = "CVV rotations in the order of delivery. "
	guard := rotation.FormatDuration(rules.Guard())
	switch {
	case rules.Guard() == 0:
		return what + "No guard: each rotation gets a new schedule."
	case rules.GuardFrom() == rotation.GuardFromScheduling:
		return what + "Guard: no new schedule within " + guard + " of the last one."
	default:
		return what + "Guard: no new schedule within " + guard + " of the previous request."
	}
}

// gauge draws the guard as a scale of the given number of cells with the event
// at its place: ├────────●─┤ is within the guard, ├──────────┤● past it. It
// is empty where the event is far away.
func gauge(g gap, cells int) string {
	if cells == 0 || !g.near() {
		return ""
	}
	if !g.held() {
		return "├" + strings.Repeat("─", cells) + "┤●"
	}
	place := int(float64(g.since.Abs()) / float64(g.guard) * float64(cells))
	place = min(place, cells-1) // the last nanosecond is within as well
	return "├" + strings.Repeat("─", place) + "●" + strings.Repeat("─", cells-1-place) + "┤"
}

// gapWords says how long after the start of the guard the event came.
func gapWords(g gap) string {
	switch {
	case g.held() && g.since < 0:
		return rotation.FormatDuration(-g.since) + " back, of " + rotation.FormatDuration(g.guard)
	case g.held():
		return rotation.FormatDuration(g.since) + " of " + rotation.FormatDuration(g.guard)
	case g.near():
		return rotation.FormatDuration(g.since) + ", not held"
	case g.since < 0:
		return coarse(-g.since) + " back"
	default:
		return coarse(g.since)
	}
}
