package rotation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"

	"pgregory.net/rapid"
)

// A timeline is rules, and events with what came of each.
type timeline struct {
	rules rotation.Rules
	moves []move
}

// GoString is how rapid shows a failing timeline.
func (tl timeline) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "guard %v from %v:", tl.rules.Guard(), tl.rules.GuardFrom())
	for _, m := range tl.moves {
		b.WriteString("\n" + tell(m))
	}
	return b.String()
}

type move struct {
	model.Event // as given, in plain data

	before, after rotation.State
	decision      rotation.Decision
	err           error
}

// timelines are the shapes a generated timeline may take.
type timelines struct {
	rules []model.Rules
	back  bool // the clock may step back
	wrong bool // events may be wrong (R22)
}

var (
	theRules  = []model.Rules{{Guard: G}}
	someRules = []model.Rules{
		{Guard: G}, {Guard: G, FromScheduling: true},
		{Guard: 0}, {Guard: 1}, {Guard: time.Hour}, {Guard: time.Hour, FromScheduling: true},
	}

	forwards = timelines{rules: theRules}
	anyClock = timelines{rules: theRules, back: true}
	anything = timelines{rules: someRules, back: true, wrong: true}
)

// generator returns timelines whose instants crowd around every boundary.
func (o timelines) generator(tb testing.TB) *rapid.Generator[timeline] {
	return rapid.Custom(func(t *rapid.T) timeline {
		g := newGuesser(t, rapid.SampledFrom(o.rules).Draw(t, "rules"), o)
		tl := timeline{rules: realRules(tb, g.rules)}
		var s rotation.State
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			m := move{Event: g.event(t), before: s}
			m.after, m.decision, m.err = tl.rules.Decide(s, real(m.Event))
			s = m.after
			g.saw(m.Event, view(s), m.err)
			tl.moves = append(tl.moves, m)
		}
		return tl
	})
}

// A guesser draws events that are likely to matter to a card in some state.
type guesser struct {
	timelines
	rules model.Rules
	state model.State
	now   time.Time
	slots []model.Instant // every slot there was: timers may be in flight for it
}

func newGuesser(t *rapid.T, rules model.Rules, o timelines) *guesser {
	return &guesser{timelines: o, rules: rules, now: rapid.SampledFrom([]time.Time{
		start, start, start, start, time.Unix(0, 0).UTC(), endOfYears.Add(-2 * time.Hour),
	}).Draw(t, "start")}
}

var endOfYears = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)

func (g *guesser) saw(e model.Event, after model.State, err error) {
	if err == nil {
		g.now = e.At
	}
	if after.Next.OK && after.Next != g.state.Next {
		g.slots = append(g.slots, after.Next)
	}
	g.state = after
}

// event draws an event of any kind, more often of the kinds that rotate.
func (g *guesser) event(t *rapid.T) model.Event {
	if g.wrong && rapid.IntRange(0, 15).Draw(t, "wrong") == 0 {
		return g.wrongEvent(t)
	}
	draws := []func(*rapid.T) model.Event{
		g.forced, g.forced, g.forced, g.auto, g.auto, g.autoSlot, g.autoSlot, g.autoSlot,
		g.setInterval, g.setFirst, g.disable,
	}
	if !g.state.Next.OK {
		draws = append(draws, g.setInterval, g.setInterval, g.setInterval, g.setFirst, g.setFirst, g.setFirst)
	}
	return rapid.SampledFrom(draws).Draw(t, "kind")(t)
}

func (g *guesser) forced(t *rapid.T) model.Event {
	return model.Event{Kind: model.Forced, At: g.instant(t)}
}

func (g *guesser) auto(t *rapid.T) model.Event {
	return model.Event{Kind: model.Auto, At: g.instant(t)}
}

// autoSlot draws a timer for the next slot or for another one.
func (g *guesser) autoSlot(t *rapid.T) model.Event {
	e := model.Event{Kind: model.Auto, At: g.instant(t), Slot: model.At(g.now)}
	slots := []model.Instant{model.At(g.instant(t))}
	if g.state.Next.OK {
		slots = append(slots, g.state.Next, g.state.Next)
	}
	slots = append(slots, g.slots...)
	slots = append(slots, g.slots[max(0, len(g.slots)-3):]...) // those in flight, most likely
	if slot := rapid.SampledFrom(slots).Draw(t, "slot"); g.wrong || slot.Time.Before(endOfYears) {
		e.Slot = slot
	}
	return e
}

func (g *guesser) setInterval(t *rapid.T) model.Event {
	return model.Event{Kind: model.SetInterval, At: g.instant(t), Interval: g.interval(t)}
}

func (g *guesser) setFirst(t *rapid.T) model.Event {
	e := g.setInterval(t)
	first := rapid.SampledFrom([]time.Time{
		e.At.Add(ns), e.At.Add(time.Second), e.At.Add(e.Interval / 2), e.At.Add(e.Interval), g.state.Next.Time,
	}).Draw(t, "first")
	if !g.wrong && (!first.After(e.At) || first.After(e.At.Add(e.Interval)) || !first.Before(endOfYears)) {
		return model.Event{Kind: model.SetInterval, At: e.At, Interval: e.Interval}
	}
	e.First = model.At(first)
	return e
}

func (g *guesser) disable(t *rapid.T) model.Event {
	return model.Event{Kind: model.Disable, At: g.instant(t)}
}

// interval draws the interval in force or another, from just over the guard to
// ten years.
func (g *guesser) interval(t *rapid.T) time.Duration {
	intervals := []time.Duration{g.rules.Guard + ns, 2*g.rules.Guard + 1, g.rules.Guard + time.Hour, day, rotation.MaxInterval}
	if g.state.Next.OK {
		intervals = append(intervals, g.state.Interval, g.state.Interval)
	}
	return rapid.SampledFrom(intervals).Draw(t, "interval")
}

// instant draws an instant at or within a nanosecond of a boundary: now, the
// guard's start and end, the slots.
func (g *guesser) instant(t *rapid.T) time.Time {
	anchors := []time.Time{g.now, g.now}
	if g.state.GuardStart.OK {
		anchors = append(anchors, g.state.GuardStart.Time)
	}
	if g.state.Next.OK {
		anchors = append(anchors, g.state.Next.Time, g.state.Next.Time)
	}
	if g.state.Served.OK {
		anchors = append(anchors, g.state.Served.Time)
	}
	guard, interval := g.rules.Guard, g.state.Interval
	distances := []time.Duration{
		0, 0, guard, guard, guard / 2, time.Duration(rapid.Int64Range(0, int64(2*guard)).Draw(t, "within")),
		interval, interval * time.Duration(rapid.IntRange(0, 5).Draw(t, "slots")), 10 * 365 * day,
	}
	if g.back {
		distances = append(distances, -guard, -guard/2, -interval, -10*365*day)
	}
	at := rapid.SampledFrom(anchors).Draw(t, "anchor").
		Add(rapid.SampledFrom(distances).Draw(t, "distance")).
		Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "ns")))
	if !g.back && at.Before(g.now) {
		at = g.now
	}
	if !g.wrong && (at.Before(time.Unix(0, 0)) || !at.Before(endOfYears)) {
		at = g.now
	}
	return at
}

// wrongEvent draws an event that R22 refuses, or that is close to one.
func (g *guesser) wrongEvent(t *rapid.T) model.Event {
	e := model.Event{
		Kind: rapid.SampledFrom([]string{"", model.Forced, model.Auto, model.SetInterval, model.SetInterval, model.Disable}).Draw(t, "wrong kind"),
		At: rapid.SampledFrom([]time.Time{
			g.now, g.now, {}, time.Unix(0, -1), time.Unix(0, 0), endOfYears.Add(-ns), endOfYears,
			time.Unix(1<<62, 0), time.Unix(-1<<62, 0),
		}).Draw(t, "wrong at"),
	}
	odd := func(label string) model.Instant {
		return model.Instant{
			Time: rapid.SampledFrom([]time.Time{{}, e.At, e.At.Add(ns), e.At.Add(-ns), e.At.Add(day), e.At.Add(day + ns), endOfYears, time.Unix(0, -1)}).Draw(t, label),
			OK:   rapid.Bool().Draw(t, label+" given"),
		}
	}
	switch e.Kind {
	case model.Auto:
		e.Slot = odd("wrong slot")
	case model.SetInterval:
		e.Interval = rapid.SampledFrom([]time.Duration{
			day, day, -1 << 63, -day, 0, g.rules.Guard, g.rules.Guard + ns, rotation.MaxInterval, rotation.MaxInterval + ns, 1<<63 - 1,
		}).Draw(t, "wrong interval")
		e.First = odd("wrong first")
	}
	return e
}
