package check

import (
	"errors"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
)

// A System decides the events of cards. The searches look for its mistakes.
type System interface {
	// Rules returns the rules that the system must have: a constant. Do not ask the
	// system itself: wrong rules would then be judged by themselves. The zero value is
	// a guard of 2 minutes from the previous request.
	Rules() rotation.Rules
	// NewCard returns a card without any event.
	NewCard() Card
}

// A Configurable is a System that can be had with other rules. A [Campaign] draws the
// guard of each run, and what it is measured from, around the system's own rules.
type Configurable interface {
	System
	// With returns the system with those rules.
	With(r rotation.Rules) System
}

// terms are the rules of a system, as the searches need them.
type terms struct {
	guard          int64
	fromScheduling bool
}

func termsOf(r rotation.Rules) terms {
	return terms{int64(r.Guard()), r.GuardFrom() == rotation.GuardFromScheduling}
}

func (t terms) rules() rotation.Rules {
	from := rotation.GuardFromRequest
	if t.fromScheduling {
		from = rotation.GuardFromScheduling
	}
	r, _ := rotation.NewRules(time.Duration(t.guard), from) // the guard is never negative
	return r
}

func (t terms) model() model.Rules {
	return model.Rules{Guard: time.Duration(t.guard), FromScheduling: t.fromScheduling}
}

// A Card is one card in the memory of a system, for one goroutine at a time.
type Card interface {
	// Apply decides an event and moves the card to the state that follows. A
	// refused event changes nothing.
	Apply(e Event) Outcome
	// View returns what the rules remember of the card.
	View() View
	// AppendStored appends the stored form of the card to b. Two cards with the
	// same stored form are equal. For a [Closure], which puts cards into states of
	// its own, that is a form that rotation.State.Scan reads: text, binary or JSON.
	AppendStored(b []byte) []byte
	// Restore replaces the card by the one that AppendStored wrote.
	Restore(stored []byte) error
}

// A Poller is a Card of a service that finds due cards by a column of its own, which
// Restore sets, too. Where the cards of a system are Pollers, every automatic event of
// a search is a poll, and Apply gets the other kinds alone.
type Poller interface {
	Card
	// Poll looks for the card as the service's query does at the instant now, without
	// locking it. It returns nil if the query does not find it, else a function that
	// does what the service does with a card that it found: it locks the card, and
	// reports false if it then applies no event. Two pollers may both find the card
	// before one of them locks it. A service whose query finds and locks in one
	// statement does both in the function.
	Poll(now int64) func() (Outcome, bool)
}

// Event is one event of one card. Unlike a [rotation.Event] its fields can be
// changed, which is what shrinking does.
type Event struct {
	Kind     rotation.Kind
	HasSlot  bool  // auto: the timer says which slot it was armed for
	HasFirst bool  // set_interval: the first slot is given
	Pollers  uint8 // auto: how many pollers look for the card (see Poller); 0: a timer delivers the event
	At       int64 // the instant
	Slot     int64 // auto, with HasSlot
	Interval int64 // set_interval
	First    int64 // set_interval, with HasFirst
	Armed    int64 // the slot of a timer that does not name it, or 0; not part of a timeline
}

// Rotation returns the event as one of package rotation.
func (e Event) Rotation() rotation.Event {
	at := time.Unix(0, e.At)
	switch {
	case e.Kind == rotation.KindForced:
		return rotation.Forced(at)
	case e.Kind == rotation.KindAuto && e.HasSlot:
		return rotation.AutoSlot(at, time.Unix(0, e.Slot))
	case e.Kind == rotation.KindAuto:
		return rotation.AutoUnslotted(at)
	case e.Kind == rotation.KindSetInterval && e.HasFirst:
		return rotation.SetIntervalFirst(at, time.Duration(e.Interval), time.Unix(0, e.First))
	case e.Kind == rotation.KindSetInterval:
		return rotation.SetInterval(at, time.Duration(e.Interval))
	case e.Kind == rotation.KindDisable:
		return rotation.Disable(at)
	}
	return rotation.Event{}
}

// Outcome is what a system answers to an event.
type Outcome struct {
	Rule        rotation.Rule // 0 when refused
	Reason      rotation.Reason
	Refused     Refusal // 0 unless the event was refused
	Rotated     bool
	Rescheduled bool
	Scenario    int
	Missed      int64
	Next        int64  // the next slot in the answer; 0 when there is none
	Err         string // an error that is no refusal; no event may lead to one
}

// OutcomeOf returns the outcome of what [rotation.Rules.Decide] returned, or of what a
// service returned for it. An error that is not a [*rotation.EventError] is Err.
func OutcomeOf(d rotation.Decision, after rotation.State, err error) Outcome {
	out := Outcome{Next: ViewOf(after).Next}
	if err != nil {
		if refused := (*rotation.EventError)(nil); errors.As(err, &refused) {
			out.Refused = RefusalOf(err)
		} else {
			out.Err = err.Error()
		}
		return out
	}
	out.Rule, out.Reason, out.Rotated, out.Rescheduled = d.Rule, d.Reason(), d.Rotate(), d.Reschedule()
	out.Scenario, out.Missed = d.Scenario, d.Missed
	return out
}

// Refusal is the field at fault in an event that R22 refuses.
type Refusal uint8

// The refusals of R22 that depend on an event.
const (
	RefusedKind Refusal = iota + 1
	RefusedInstant
	RefusedInterval
	RefusedFirst
)

// View is what the rules remember of a card (docs/rules.md).
type View struct {
	Interval   int64         // 0: automatic rotation is off
	Next       int64         // the next slot; 0 when rotation is off
	GuardStart int64         // 0 when GuardKind is
	Served     int64         // the newest slot served; 0 unless HasServed
	GuardKind  rotation.Kind // what started the guard; 0 when nothing has
	HasServed  bool
}

// Rules returns package rotation as a system.
func Rules(r rotation.Rules) System { return rulesSystem{r} }

type rulesSystem struct{ rules rotation.Rules }

func (s rulesSystem) Rules() rotation.Rules      { return s.rules }
func (rulesSystem) With(r rotation.Rules) System { return rulesSystem{r} }
func (s rulesSystem) NewCard() Card              { return &rulesCard{rules: s.rules} }

type rulesCard struct {
	rules rotation.Rules
	state rotation.State
}

func (c *rulesCard) Apply(e Event) Outcome {
	state, d, err := c.rules.Decide(c.state, e.Rotation())
	c.state = state // unchanged if there is an error
	return OutcomeOf(d, state, err)
}

// RefusalOf returns the refusal that an error of rotation.Rules.Decide is.
func RefusalOf(err error) Refusal {
	switch {
	case errors.Is(err, rotation.ErrKind):
		return RefusedKind
	case errors.Is(err, rotation.ErrInstant):
		return RefusedInstant
	case errors.Is(err, rotation.ErrInterval):
		return RefusedInterval
	default:
		return RefusedFirst
	}
}

func (c *rulesCard) View() View { return ViewOf(c.state) }

// ViewOf returns what the rules remember in a state.
func ViewOf(s rotation.State) View {
	v := View{Interval: int64(s.Interval())}
	if next, ok := s.Next(); ok {
		v.Next = next.UnixNano()
	}
	if start, by, ok := s.Guard(); ok {
		v.GuardStart, v.GuardKind = start.UnixNano(), by
	}
	if served, ok := s.Served(); ok {
		v.Served, v.HasServed = served.UnixNano(), true
	}
	return v
}

func (c *rulesCard) AppendStored(b []byte) []byte {
	b, _ = c.state.AppendBinary(b) // it never fails
	return b
}

func (c *rulesCard) Restore(stored []byte) error { return c.state.UnmarshalBinary(stored) }
