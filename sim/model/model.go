// Package model implements the rotation rules a second time, to be read: a naive
// reading of docs/rules.md, sentence by sentence. Tests compare package rotation with
// it.
//
// It shares nothing with package rotation, imports the standard library alone, and
// prefers loops and lists of cases over arithmetic and packing. When a rule changes,
// change it here from the specification's words, not from the other package's code:
// a misreading then goes unnoticed only if it happens twice.
//
// It is total: every event gives an outcome or an error, and every loop ends.
package model

import (
	"fmt"
	"time"
)

// The kinds of events, as timelines spell them.
const (
	Forced      = "forced"
	Auto        = "auto"
	SetInterval = "set_interval"
	Disable     = "disable"
)

// The reasons of outcomes, as docs/rules.md spells them.
const (
	Scheduled   = "scheduled"
	Guard       = "guard"
	RotationOff = "rotation_off"
	IntervalSet = "interval_set"
	Unchanged   = "unchanged"
	NotDue      = "not_due"
	Duplicate   = "duplicate"
	Superseded  = "superseded"
)

// The categories of errors (R22).
const (
	BadKind     = "kind"
	BadInstant  = "instant"
	BadInterval = "interval"
	BadFirst    = "first"
	BadGuard    = "guard"
)

// TenYears is the longest interval (R22).
const TenYears = 3650 * 24 * time.Hour

// Rules are the settings. Guard is taken as it is: 0 holds nothing.
type Rules struct {
	Guard          time.Duration
	FromScheduling bool // guard_from: scheduling instead of request (R16)
}

// Instant is an instant in UTC that may be missing: the zero value is none.
type Instant struct {
	Time time.Time
	OK   bool
}

// At returns the instant t.
func At(t time.Time) Instant { return Instant{t.Round(0).UTC(), true} }

// Event is one event of one card.
type Event struct {
	Kind     string
	At       time.Time
	Slot     Instant       // auto: the slot its timer was armed for, or none
	Interval time.Duration // set_interval
	First    Instant       // set_interval: the first slot, or none
}

// Outcome is what an event leads to.
type Outcome struct {
	Rule       string // R1 to R14
	Rotate     bool
	Reschedule bool
	Reason     string
	Scenario   int
	Missed     int64
	Next       Instant
}

// State is what docs/rules.md lists as the state of one card. States are
// comparable with ==.
type State struct {
	Interval   time.Duration // 0: automatic rotation is off
	Next       Instant
	GuardStart Instant
	GuardKind  string
	Served     Instant // the newest slot served
}

// Error is an input that R22 refuses.
type Error struct {
	Category string // one of the Bad constants
	Detail   string
}

// Error returns the category and the detail.
func (e *Error) Error() string { return "model: bad " + e.Category + ": " + e.Detail }

// mark is an event that may start the guard.
type mark struct {
	at   Instant
	kind string
}

// Card is one card under the rules. Copying a Card forks its history.
type Card struct {
	rules    Rules
	interval time.Duration
	next     Instant
	served   Instant

	// Both candidates for the guard's start are kept, and the rules choose.
	lastRequest    mark
	lastScheduling mark
}

// New returns a card without automatic rotation that nothing has happened to.
func New(rules Rules) (Card, error) {
	if rules.Guard < 0 {
		return Card{}, &Error{BadGuard, fmt.Sprintf("%v is negative", rules.Guard)}
	}
	return Card{rules: rules}, nil
}

// State returns the card's state.
func (c Card) State() State {
	p := c.guard()
	return State{
		Interval:   c.interval,
		Next:       c.next,
		GuardStart: p.at,
		GuardKind:  p.kind,
		Served:     c.served,
	}
}

// guard returns the guard's start.
func (c Card) guard() mark {
	if c.rules.FromScheduling {
		return c.lastScheduling
	}
	return c.lastRequest
}

// held reports whether an event at t is held: the guard's start p is set and
// |t − p| < G.
func (c Card) held(t time.Time) bool {
	p := c.guard()
	if !p.at.OK {
		return false
	}
	if t.Before(p.at.Time) { // R20: a clock that stepped back
		return p.at.Time.Sub(t) < c.rules.Guard
	}
	return t.Sub(p.at.Time) < c.rules.Guard
}

// Step applies an event to the card. An error is an *Error and leaves the card
// as it was.
func (c *Card) Step(e Event) (Outcome, error) {
	if err := c.check(e); err != nil {
		return Outcome{}, err
	}
	e.At = At(e.At).Time

	var out Outcome
	switch e.Kind {
	case Forced:
		out = c.forced(e)
	case Auto:
		out = c.auto(e)
	case SetInterval:
		out = c.setInterval(e)
	case Disable:
		// R10: no rotation, no schedule, interval forgotten.
		c.interval, c.next = 0, Instant{}
		out = Outcome{Rule: "R10", Reason: RotationOff}
	}
	out.Reschedule = out.Rule == "R3" || out.Rule == "R5" || out.Rule == "R7" || out.Rule == "R8"
	out.Next = c.next

	// R16: every event that rotates asks for a scheduling and restarts the
	// guard, whether or not it got one; so does R8.
	if out.Rotate || out.Rule == "R8" {
		c.lastRequest = mark{At(e.At), e.Kind}
	}
	if out.Reschedule {
		c.lastScheduling = mark{At(e.At), e.Kind}
	}
	return out, nil
}

// check is R22. Of several mistakes the first counts, in the order in which a
// timeline spells an event: kind, at, slot or interval, first.
func (c Card) check(e Event) error {
	switch e.Kind {
	case Forced, Auto, SetInterval, Disable:
	default:
		return &Error{BadKind, fmt.Sprintf("%q", e.Kind)}
	}
	if !inYears(e.At) {
		return &Error{BadInstant, "at " + e.At.String()}
	}
	if e.Kind == Auto && e.Slot.OK && !inYears(e.Slot.Time) {
		return &Error{BadInstant, "slot " + e.Slot.Time.String()}
	}
	if e.Kind != SetInterval {
		return nil
	}
	if e.Interval <= c.rules.Guard || e.Interval > TenYears {
		return &Error{BadInterval, e.Interval.String()}
	}
	if e.First.OK && !inYears(e.First.Time) {
		return &Error{BadInstant, "first " + e.First.Time.String()}
	}
	if e.First.OK && !(e.At.Before(e.First.Time) && !e.First.Time.After(e.At.Add(e.Interval))) {
		return &Error{BadFirst, e.First.Time.String()}
	}
	return nil
}

// inYears reports whether t lies in the years 1970 to 2200.
func inYears(t time.Time) bool {
	year := t.UTC().Year()
	return 1970 <= year && year <= 2200
}

// forced is R1 to R3; R15: it always rotates.
func (c *Card) forced(e Event) Outcome {
	if c.interval == 0 {
		return Outcome{Rule: "R1", Rotate: true, Reason: RotationOff}
	}
	if c.held(e.At) {
		return Outcome{Rule: "R2", Rotate: true, Reason: Guard, Scenario: c.scenario(e)}
	}
	c.next = At(e.At.Add(c.interval))
	return Outcome{Rule: "R3", Rotate: true, Reason: Scheduled}
}

// auto is R4 to R7 and R11 to R14.
func (c *Card) auto(e Event) Outcome {
	if c.interval == 0 {
		return Outcome{Rule: "R4", Reason: RotationOff}
	}

	held := c.held(e.At)
	inFlight := false // R14
	if e.Slot.OK {
		slot := e.Slot.Time
		if e.At.Before(slot) {
			return Outcome{Rule: "R11", Reason: NotDue}
		}
		isNext := slot.Equal(c.next.Time)
		if !isNext && c.served.OK && !slot.After(c.served.Time) {
			return Outcome{Rule: "R12", Reason: Duplicate}
		}
		if !isNext && !held {
			return Outcome{Rule: "R13", Reason: Superseded}
		}
		inFlight = !isNext
	}

	due := !c.next.Time.After(e.At)
	var out Outcome
	switch {
	case held:
		out = Outcome{Rule: "R6", Rotate: true, Reason: Guard, Scenario: c.scenario(e)}
		if inFlight {
			out.Rule = "R14"
		}
	case due:
		out = Outcome{Rule: "R5", Rotate: true, Reason: Scheduled}
	default:
		c.next = At(e.At.Add(c.interval))
		out = Outcome{Rule: "R7", Rotate: true, Reason: Scheduled}
	}

	// R19: the newest slot served becomes the largest of itself, the event's
	// slot, and for a due auto the last slot ≤ t.
	if e.Slot.OK {
		c.serve(e.Slot.Time)
	}
	if due {
		out.Missed = c.movePast(e.At) - 1 // R17: one of them is this rotation
		c.serve(c.next.Time.Add(-c.interval))
	}
	return out
}

// movePast moves next along its phase until it is after t and returns how many
// slots it left behind. It walks; over a long way it takes strides of two,
// four, … slots, as long as the slot it lands on is not after t.
func (c *Card) movePast(t time.Time) (slots int64) {
	const century = 100 * 365 * 24 * time.Hour // twice this is still a Duration
	next := c.next.Time
	for !next.After(t) {
		stride, n := c.interval, int64(1)
		for stride < century && !next.Add(2*stride).After(t) {
			stride, n = 2*stride, 2*n
		}
		next = next.Add(stride)
		slots += n
	}
	c.next = At(next)
	return slots
}

func (c *Card) serve(slot time.Time) {
	if !c.served.OK || slot.After(c.served.Time) {
		c.served = At(slot)
	}
}

// scenario is R21, for an event whose reason is guard.
func (c Card) scenario(e Event) int {
	switch c.guard().kind + " then " + e.Kind {
	case "auto then forced":
		return 1
	case "forced then auto":
		return 2
	case "forced then forced":
		return 3
	}
	return 0
}

// setInterval is R8 and R9.
func (c *Card) setInterval(e Event) Outcome {
	if e.Interval == c.interval && (!e.First.OK || e.First.Time.Equal(c.next.Time)) {
		return Outcome{Rule: "R9", Reason: Unchanged}
	}
	c.interval = e.Interval
	c.next = At(e.At.Add(e.Interval))
	if e.First.OK {
		c.next = At(e.First.Time)
	}
	return Outcome{Rule: "R8", Reason: IntervalSet}
}

// Resume returns a card that is in the state s, as if events had led it there.
func Resume(rules Rules, s State) (Card, error) {
	c, err := New(rules)
	if err != nil {
		return Card{}, err
	}
	c.interval, c.next, c.served = s.Interval, s.Next, s.Served
	c.lastRequest = mark{s.GuardStart, s.GuardKind}
	c.lastScheduling = c.lastRequest
	return c, nil
}
