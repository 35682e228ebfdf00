package draw

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

const (
	dateLayout = "2006-01-02"
	timeLayout = "15:04:05.999999999"
)

// idle reports whether the event did nothing: no rotation, and not a thing of
// the card's state has changed.
func idle(s sim.Step) bool { return !s.Decision.Rotate() && s.Before == s.After }

// kept reports whether the guard kept the schedule as it was.
func kept(s sim.Step) bool { return s.Decision.Reason() == rotation.ReasonGuard }

// differences compares the step with what its entry expects.
func differences(s sim.Step) []timeline.Difference {
	return s.Entry.Expect.Differences(s.Outcome())
}

// gap is the time from the start of the guard to an event that was measured
// against it.
type gap struct {
	since time.Duration // negative after the clock has stepped back
	guard time.Duration
}

// gapOf returns the gap that decided about the step; ok is false where the guard
// had no say.
func gapOf(rules rotation.Rules, s sim.Step) (g gap, ok bool) {
	switch s.Decision.Rule {
	case rotation.R2, rotation.R3, rotation.R5, rotation.R6, rotation.R7, rotation.R13, rotation.R14:
		start, _, ok := s.Before.Guard()
		return gap{s.Entry.Event.At().Sub(start), rules.Guard()}, ok
	}
	return gap{}, false
}

func (g gap) held() bool { return g.since.Abs() < g.guard }

// near reports whether the event is close enough to the guard to be drawn at it.
func (g gap) near() bool { return g.held() || g.since >= 0 && g.since/4 < g.guard }

// eventWords names the event with what people want to know of it, such as
// "forced 201" or "auto 5m late".
func eventWords(s sim.Step) string {
	e := s.Entry.Event
	words := e.Kind().String()
	switch e.Kind() {
	case rotation.KindForced:
		if s.Entry.ServiceCode.IsValid() {
			words += " " + s.Entry.ServiceCode.String()
		}
	case rotation.KindSetInterval:
		words += " " + rotation.FormatDuration(e.Interval())
	case rotation.KindAuto:
		switch late, _ := lateness(s); {
		case late > 0:
			words += " " + coarse(late) + " late"
		case late < 0:
			words += " " + coarse(-late) + " early"
		}
		if s.Decision.Missed > 0 {
			words += fmt.Sprintf(", %d missed", s.Decision.Missed)
		}
	}
	return words
}

// lateness is how long after its slot an automatic event came: the slot that it
// names, or else the one that was due.
func lateness(s sim.Step) (late time.Duration, slot time.Time) {
	e := s.Entry.Event
	slot, named := e.Slot()
	if !named {
		next, on := s.Before.Next()
		if !on || next.After(e.At()) {
			return 0, e.At()
		}
		slot = next
	}
	return e.At().Sub(slot), slot
}

// coarse is the duration where it is short to write, and else its two largest
// units after a tilde: 1m59.5s, ~23h58m, 9d.
func coarse(d time.Duration) string {
	const day = 24 * time.Hour
	exact := rotation.FormatDuration(d)
	if d > 2*day {
		days, rest := d/day, d%day
		if hours := rest / time.Hour; hours > 0 {
			exact = fmt.Sprintf("%dd%dh", days, hours)
		} else {
			exact = fmt.Sprintf("%dd", days)
		}
		if rest%time.Hour != 0 {
			exact = "~" + exact
		}
		return exact
	}
	if len(exact) <= 8 {
		return exact
	}
	unit := time.Millisecond
	switch {
	case d >= time.Hour:
		unit = time.Minute
	case d >= time.Minute:
		unit = time.Second
	}
	return "~" + rotation.FormatDuration(d.Truncate(unit))
}

// count is "1 card" or "2 cards".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// printable is the string with all that is not printable, and the backslash,
// escaped as in Go, and cut in its middle to at most limit runes.
func printable(s string, limit int) string {
	if len(s) > 8*limit { // before it is escaped: an id may be of any length
		s = s[:4*limit] + s[len(s)-4*limit:]
	}
	quoted := strconv.Quote(s)
	s = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	runes := []rune(s)
	head := limit / 2
	tail := limit - head - 1
	return string(runes[:head]) + "…" + string(runes[len(runes)-tail:])
}
