package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim"
)

// lane is what is drawn of one card.
type lane struct {
	card    string
	events  []laneEvent
	windows []window
	slots   []*slot
	arrows  []arrow
	tags    []tag // of the events that have a note, in order of x
	tagged  []int // the event of each tag

	top, line, bottom float64 // y
}

// laneEvent is the mark of one event.
type laneEvent struct {
	step   sim.Step
	serial int // of all steps, from 0
	number int // of the card's events in order of delivery, from 1; 0 where that is the order of time
	nth    int // of the card's events at its instant, from 0
	back   time.Duration
	x      float64
}

// window is a stretch of time within the guard.
type window struct {
	from, to   int64
	open       bool // it lasted as long as the guard; no event ended it
	startEvent int
	endEvent   int // where not open
	x, toX     float64
}

type slotStatus string

const (
	slotAhead   slotStatus = "ahead"
	slotServed  slotStatus = "served"
	slotDropped slotStatus = "dropped" // the schedule has moved on
)

// slot is an instant that was the card's next slot.
type slot struct {
	at      int64
	status  slotStatus
	offAxis bool // only hinted at, by a stub of an arrow
	x       float64
}

// stubWidth is how far an arrow to a slot off the axis reaches.
const stubWidth = 20.0

// arrow goes from an event that scheduled to its next slot.
type arrow struct {
	event int
	slot  *slot
	span  span
}

// roomyEvents is how many events a picture shows at ease. With more, time gets
// less room, and slots that were dropped get none.
const roomyEvents = 24

// newLanes sorts the steps by card, in order of first appearance, and enters all
// their instants on the axis.
func newLanes(rules rotation.Rules, steps []sim.Step, a *axis) []*lane {
	var lanes []*lane
	byCard := make(map[string]*lane)
	for i, s := range steps {
		l := byCard[s.Entry.Card]
		if l == nil {
			l = &lane{card: printable(s.Entry.Card, 24)}
			byCard[s.Entry.Card] = l
			lanes = append(lanes, l)
		}
		l.events = append(l.events, laneEvent{step: s, serial: i})
	}
	if len(steps) > roomyEvents {
		a.scale = dense
	}
	for _, l := range lanes {
		l.enter(a)
		l.findSlots()
		l.slots = slices.DeleteFunc(l.slots, func(s *slot) bool {
			s.offAxis = s.status == slotDropped && a.scale == dense
			return s.offAxis
		})
		for _, s := range l.slots {
			a.add(s.at).marked = true
		}
		if rules.Guard() > 0 {
			l.findWindows(rules.Guard(), a)
		}
	}
	return lanes
}

func (e laneEvent) at() int64 { return e.step.Entry.Event.At().UnixNano() }

// enter puts the events on the axis, and numbers them where they were not
// delivered in order of time.
func (l *lane) enter(a *axis) {
	repeats := make(map[int64]int)
	stepsBack := false
	for i := range l.events {
		e := &l.events[i]
		at := e.at()
		e.nth = repeats[at]
		repeats[at]++
		p := a.add(at)
		p.marked, p.event, p.repeats = true, true, max(p.repeats, repeats[at])
		if i > 0 && at < l.events[i-1].at() {
			e.back = time.Duration(l.events[i-1].at() - at)
			stepsBack = true
		}
	}
	if stepsBack {
		for i := range l.events {
			l.events[i].number = i + 1
		}
	}
}

// findSlots follows the card's next slot through its events.
func (l *lane) findSlots() {
	known := make(map[int64]*slot)
	for i, e := range l.events {
		s := e.step
		before, was := s.Before.Next()
		next, on := s.After.Next()
		if was && (!on || !next.Equal(before)) {
			if old := known[before.UnixNano()]; old != nil {
				old.status = slotDropped
				if s.Decision.Rotate() && s.Entry.Event.Kind() == rotation.KindAuto && !before.After(s.Entry.Event.At()) {
					old.status = slotServed
				}
			}
		}
		if s.Decision.Rule == rotation.R14 {
			named, _ := s.Entry.Event.Slot()
			if old := known[named.UnixNano()]; old != nil {
				old.status = slotServed
			}
		}
		if !on {
			continue
		}
		at := next.UnixNano()
		if known[at] == nil {
			known[at] = &slot{at: at}
			l.slots = append(l.slots, known[at])
		}
		if s.Decision.Reschedule() || !was || !next.Equal(before) {
			known[at].status = slotAhead
		}
		if s.Decision.Reschedule() {
			l.arrows = append(l.arrows, arrow{event: i, slot: known[at]})
		}
	}
}

// findWindows follows the guard through the card's events. A window lasts until
// the guard ends or another event restarts it, because no later event is
// measured against it.
func (l *lane) findWindows(guard time.Duration, a *axis) {
	const none = -1
	started := none
	finish := func(ended int) {
		if started == none {
			return
		}
		if w, ok := l.windowOf(started, ended, int64(guard)); ok {
			a.add(w.to)
			l.windows = append(l.windows, w)
		}
		started = none
	}
	for i, e := range l.events {
		s := e.step
		before, _, was := s.Before.Guard()
		start, _, set := s.After.Guard()
		restarted := set && start.Equal(s.Entry.Event.At()) && (!was || !before.Equal(start) || s.Decision.Rotate())
		_, on := s.After.Next()
		if restarted || !on {
			finish(i)
		}
		if restarted && on {
			started = i
		}
	}
	finish(none)
}

// windowOf returns the window that one event started and another ended; the
// latter is negative where none did. There is no window where the clock then
// stepped back by the guard or more, because no event was measured against it.
func (l *lane) windowOf(started, ended int, guard int64) (w window, ok bool) {
	from := l.events[started].at()
	if ended >= 0 {
		switch to := l.events[ended].at(); {
		case from <= to && to < from+guard:
			return window{from: from, to: to, startEvent: started, endEvent: ended}, true
		case from-guard < to && to < from: // the clock stepped back: the guard holds before its start as well
			return window{from: to, to: from, startEvent: ended, endEvent: started}, true
		case to <= from-guard:
			return window{}, false
		}
	}
	return window{from: from, to: from + guard, open: true, startEvent: started}, true
}

// lay gives everything on the lane its place.
func (l *lane) lay(a *axis, top float64) {
	for i := range l.events {
		e := &l.events[i]
		e.x = a.x(e.at()) + float64(e.nth)*repeatGap
	}
	events := make(map[int64]bool)
	for _, e := range l.events {
		events[e.at()] = true
	}
	for i := range l.windows {
		w := &l.windows[i]
		w.x = l.events[w.startEvent].x
		switch {
		case !w.open:
			w.toX = l.events[w.endEvent].x
		case events[w.to]: // an event at the very end is outside, and visibly so
			w.toX = a.x(w.to) - markSize - 4
		default:
			w.toX = a.x(w.to)
		}
	}
	for _, s := range l.slots {
		s.x = a.x(s.at)
	}
	var spans []*span
	for i := range l.arrows {
		r := &l.arrows[i]
		if r.slot.offAxis {
			r.slot.x = l.events[r.event].x + stubWidth
		}
		r.span = span{from: l.events[r.event].x, to: r.slot.x}
		spans = append(spans, &r.span)
	}
	levels := stack(spans, arrowLevels)

	l.tagged = nil
	for i, e := range l.events {
		if e.note() != "" || e.badge() != "" {
			l.tagged = append(l.tagged, i)
		}
	}
	slices.SortStableFunc(l.tagged, func(i, j int) int { return cmp.Compare(l.events[i].x, l.events[j].x) })
	for _, i := range l.tagged {
		e := l.events[i]
		l.tags = append(l.tags, tag{x: e.x, width: e.badgeWidth() + textWidth(e.note(), smallText) + tagGap})
	}
	rows := hang(l.tags, tagRows)

	l.top = top
	l.line = top + slotHeight + arrowRise + float64(levels)*arrowStep
	l.bottom = l.line + markSize + tagDrop + float64(rows)*tagStep
}

// badge is the documentation's scenario, if any.
func (e laneEvent) badge() string {
	if e.step.Decision.Scenario == 0 {
		return ""
	}
	return "S" + strconv.Itoa(e.step.Decision.Scenario)
}

func (e laneEvent) badgeWidth() float64 {
	if e.badge() == "" {
		return 0
	}
	return badgeWidth + 4
}

// note is what the mark does not show by its shape, in few words.
func (e laneEvent) note() string {
	s := e.step
	var note string
	add := func(words string) {
		if note != "" {
			note += ", "
		}
		note += words
	}
	switch s.Entry.Event.Kind() {
	case rotation.KindForced:
		if s.Entry.ServiceCode.IsValid() {
			add(s.Entry.ServiceCode.String())
		}
	case rotation.KindSetInterval:
		add("every " + rotation.FormatDuration(s.Entry.Event.Interval()))
	case rotation.KindAuto:
		late, _ := lateness(s)
		if idle(s) {
			break
		}
		if late > 0 {
			add(coarse(late) + " late")
		}
		if s.Decision.Missed > 0 {
			add(fmt.Sprintf("%d missed", s.Decision.Missed))
		}
	}
	switch s.Decision.Reason() {
	case rotation.ReasonDuplicate:
		add("duplicate")
	case rotation.ReasonSuperseded:
		add("superseded")
	case rotation.ReasonNotDue:
		add("not due")
	case rotation.ReasonUnchanged:
		add("unchanged")
	case rotation.ReasonRotationOff:
		add("off")
	}
	if e.back > 0 {
		add("clock −" + coarse(e.back))
	}
	return note
}
