package enginecheck

import (
	"errors"
	"strconv"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/model"
)

// ledger is what a card must be by now: the reference model for the schedule,
// counting for the rest.
type ledger struct {
	ref        engine.Ref
	registered bool
	rules      model.Card
	state      model.State

	version, events          int64
	created, rotated         time.Time
	cvvs                     []cvvgen.CVV     // of all versions but those not looked at yet
	code                     servicecode.Code // of the current CVV
	chosen                   servicecode.Code // the code that the next CVV is to have; zero: any
	previousUntil            time.Time
	tries                    int
	locked                   time.Time
	failures                 int
	due                      time.Time
	answers                  map[string]answered
	automatic, lastAutomatic int64 // automatic rotations, and how many there were a round ago
	triedAt                  int64 // the version when a wrong CVV was last presented
}

// answered is what a key stands for.
type answered struct {
	code        servicecode.Code
	compromised bool
	expires     time.Time
	rotation    engine.Rotation
}

// terms are what the ledger has to know of the run to do its sums.
type terms struct {
	now      time.Time
	grace    time.Duration
	maxTries int
	fails    bool // the generator fails for the card
}

// errDraw is what the generator fails with.
var errDraw = errors.New("the generator fails")

// outcome is what an event on a card must lead to.
type outcome struct {
	model.Outcome
	kind     rotation.Kind
	rule     rotation.Rule
	lateness time.Duration
}

func (o outcome) decision() rotation.Decision {
	return rotation.Decision{Rule: o.rule, Scenario: o.Scenario, Missed: o.Missed}
}

// modelKinds are the kinds in the model's words.
var modelKinds = map[string]rotation.Kind{
	model.Forced: rotation.KindForced, model.Auto: rotation.KindAuto,
	model.SetInterval: rotation.KindSetInterval, model.Disable: rotation.KindDisable,
}

// modelErrors are the refusals in the words of package rotation.
var modelErrors = map[string]error{
	model.BadKind: rotation.ErrKind, model.BadInstant: rotation.ErrInstant,
	model.BadInterval: rotation.ErrInterval, model.BadFirst: rotation.ErrFirst,
}

// apply lets an event happen to the card. An error leaves it as it was.
func (l *ledger) apply(t terms, e model.Event, compromised, repaired bool) (o outcome, events []event.Changed, err error) {
	after := l.rules
	e.At = t.now
	if o.Outcome, err = after.Step(e); err != nil {
		var bad *model.Error
		errors.As(err, &bad)
		return o, nil, modelErrors[bad.Category]
	}
	n, _ := strconv.Atoi(o.Rule[1:])
	o.rule, o.kind = rotation.Rule(n), modelKinds[e.Kind]
	if e.Slot.OK {
		o.lateness = t.now.Sub(e.Slot.Time)
	}
	if o.Rotate && t.fails {
		return o, nil, errDraw
	}
	wasOn := l.state.Interval != 0
	l.rules, l.state = after, after.State()
	l.due, l.failures = l.state.Next.Time, 0
	if o.Rotate {
		l.version++
		l.rotated, l.previousUntil = t.now, time.Time{}
		if t.grace > 0 && !compromised {
			l.previousUntil = t.now.Add(t.grace)
		}
		if o.kind == rotation.KindAuto {
			l.automatic++
		}
	}
	operation := event.Operation("")
	switch {
	case o.Rotate:
		operation = event.Rotate
	case o.Reschedule:
		operation = event.ChangeInterval
	case e.Kind == model.Disable && wasOn:
		operation = event.DeleteInterval
	default:
		return o, nil, nil
	}
	l.events++
	return o, []event.Changed{{
		Source: "/cvvrotation", Card: l.ref.Card, Account: l.ref.Account, Number: l.events, At: t.now, Operation: operation,
		Automatic: o.kind == rotation.KindAuto, Version: l.version, Next: l.state.Next.Time, Interval: l.state.Interval,
		Rescheduled: o.Reschedule, Reason: o.rule.Reason(), Scenario: o.Scenario, Missed: o.Missed,
		Compromised: compromised, Repaired: repaired,
	}}, nil
}

// owned is what a call by ref on the card is refused with; nil: it is not.
func (l *ledger) owned(ref engine.Ref) error {
	switch {
	case !l.registered:
		return store.ErrNotFound
	case ref.Account != "" && ref.Account != l.ref.Account:
		return engine.ErrForbidden
	}
	return nil
}

// fail is an automatic rotation that failed.
func (l *ledger) fail(now time.Time) {
	l.failures++
	wait := time.Second
	for range l.failures - 1 {
		wait = min(2*wait, time.Hour)
	}
	l.due = now.Add(wait)
}

// current returns the card's CVV, previous the one before; the zero CVV when
// there is none.
func (l *ledger) current() cvvgen.CVV { return l.cvv(1) }

func (l *ledger) previous() cvvgen.CVV { return l.cvv(2) }

func (l *ledger) cvv(fromEnd int) cvvgen.CVV {
	if len(l.cvvs) < fromEnd {
		return cvvgen.CVV{}
	}
	return l.cvvs[len(l.cvvs)-fromEnd]
}

// verify is what a CVV that is presented must be judged as.
func (l *ledger) verify(t terms, presented cvvgen.CVV) engine.Verdict {
	if !l.locked.IsZero() {
		return engine.Locked
	}
	if presented.Equal(l.current()) {
		l.tries = 0
		return engine.Current
	}
	verdict := engine.Wrong
	if presented.Equal(l.previous()) {
		if t.now.Before(l.previousUntil) {
			return engine.Previous
		}
		verdict = engine.Expired
	}
	if l.tries++; l.tries >= t.maxTries {
		l.locked = t.now
	}
	return verdict
}

// ahead reports whether the next slot is further ahead than one interval, and
// where along its phase it belongs.
func (l *ledger) ahead(now time.Time) (first time.Time, ahead bool) {
	if l.state.Interval == 0 || !l.state.Next.Time.After(now.Add(l.state.Interval)) {
		return time.Time{}, false
	}
	first = l.state.Next.Time
	stride := l.state.Interval
	for first.Add(-2 * stride).After(now) { // long strides first: a century of minutes is many
		stride *= 2
	}
	for ; stride >= l.state.Interval; stride /= 2 {
		for first.Add(-stride).After(now) {
			first = first.Add(-stride)
		}
	}
	return first, true
}

// shown is what Show must say.
func (l *ledger) shown(now time.Time, slots int) (s engine.Schedule, err error) {
	fork := l.rules
	forced, err := fork.Step(model.Event{Kind: model.Forced, At: now})
	if err != nil {
		return s, rotation.ErrInstant
	}
	s = engine.Schedule{
		Card: l.ref.Card, Account: l.ref.Account, At: now, Interval: l.state.Interval, Next: l.state.Next.Time,
		Version: l.version, ServiceCode: l.code.String(), Rotated: l.rotated, Locked: l.locked, Tries: l.tries, Failures: l.failures,
	}
	s.Forced.Rescheduled, s.Forced.Scenario, s.Forced.Next = forced.Reschedule, forced.Scenario, forced.Next.Time
	_ = s.Forced.Reason.UnmarshalText([]byte(forced.Reason))
	if l.state.Interval != 0 {
		for i := range slots {
			s.Slots = append(s.Slots, l.state.Next.Time.Add(time.Duration(i)*l.state.Interval))
		}
	}
	return s, nil
}

// interval is set_interval on the ledger.
func (l *ledger) interval(t terms, req engine.IntervalRequest) (outcome, []event.Changed, error) {
	e := model.Event{Kind: model.SetInterval, Interval: req.Interval}
	if !req.First.IsZero() {
		e.First = model.At(req.First)
	}
	return l.apply(t, e, false, false)
}
