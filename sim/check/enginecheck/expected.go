package enginecheck

import (
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
	"cvvrotation/sim/internal/splitmix"
	"cvvrotation/sim/model"
)

// expectedCard is what the engine must have committed for a card: the reference
// model for the schedule, counters for the rest.
type expectedCard struct {
	ref        engine.Ref
	registered bool
	rules      model.Card
	state      model.State

	version, events          int64
	created, rotated         time.Time
	accepted                 engine.IntervalRequest // the last one; zero: none since rotation was off
	forced                   bool                   // a forced call rescheduled the card since then
	cvvs                     []cvvgen.CVV           // of all versions that were compared
	spent                    []cvvgen.CVV           // compromised
	spentCode                servicecode.Code       // of the last compromised one
	code                     servicecode.Code       // of the current CVV
	chosen                   servicecode.Code       // the code that the next CVV is to have; zero: any
	previousUntil            time.Time
	tries                    int
	failedAt                 []time.Time // failed attempts that may still count for the daily limit
	judged                   []time.Time // failed attempts that were reported, on a clock that does not step
	locked                   time.Time
	failures                 int
	due                      time.Time
	answers                  map[string]answered
	automatic, lastAutomatic int64 // automatic rotations, and how many there were a round ago
	throttled                bool  // by the last CVV that was presented while it was not locked
	triedAt                  int64 // the version when a wrong CVV was last presented
}

// answered is the request and the answer of an idempotency key.
type answered struct {
	code        servicecode.Code
	compromised bool
	expires     time.Time
	rotation    engine.Rotation
}

// settings hold the run's settings that the expected state depends on.
type settings struct {
	rules    rotation.Rules
	now      time.Time
	grace    time.Duration
	maxTries int
	daily    int
	fails    bool // the generator fails for the card
}

// errDraw is the error of a failing generator.
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

// modelKinds maps the model's kinds to those of package rotation.
var modelKinds = map[string]rotation.Kind{
	model.Forced: rotation.KindForced, model.Auto: rotation.KindAuto,
	model.SetInterval: rotation.KindSetInterval, model.Disable: rotation.KindDisable,
}

// modelErrors maps the model's refusals to the errors of package rotation.
var modelErrors = map[string]error{
	model.BadKind: rotation.ErrKind, model.BadInstant: rotation.ErrInstant,
	model.BadInterval: rotation.ErrInterval, model.BadFirst: rotation.ErrFirst,
}

// apply applies an event to the card. An error leaves the card unchanged.
func (l *expectedCard) apply(t settings, e model.Event, compromised, repaired bool) (o outcome, events []event.Changed, err error) {
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
		if compromised {
			l.compromise(t.now)
		}
		l.version++
		l.rotated, l.previousUntil = t.now, time.Time{}
		if t.grace > 0 && !compromised {
			l.previousUntil = t.now.Add(t.grace)
		}
		if o.kind == rotation.KindAuto {
			l.automatic++
		}
		l.forced = l.forced || o.kind == rotation.KindForced && o.Reschedule
	}
	operation := event.Operation("")
	switch {
	case o.Rotate:
		operation = event.OperationRotate
	case o.Reschedule:
		operation = event.OperationChangeInterval
	case e.Kind == model.Disable && wasOn:
		operation = event.OperationDeleteInterval
	default:
		return o, nil, nil
	}
	l.events++
	return o, []event.Changed{{
		Source: "/cvvrotation", Card: l.ref.Card, Account: l.ref.Account, Number: l.events, At: t.now, Operation: operation,
		Automatic: o.kind == rotation.KindAuto, Version: l.version, Next: l.state.Next.Time, Interval: l.state.Interval,
		Rescheduled: o.Reschedule, Reason: o.rule.Reason(), Scenario: o.Scenario, Missed: o.Missed,
		Slot: e.Slot.Time, Compromised: compromised, Repaired: repaired, Rules: t.rules,
	}}, nil
}

// compromise adds the current CVV to the compromised ones, and the previous one while it
// is accepted.
func (l *expectedCard) compromise(now time.Time) {
	l.spentCode = l.code
	l.spent = append(slices.Clip(l.spent), l.current())
	if now.Before(l.previousUntil) {
		l.spent = append(l.spent, l.previous())
	}
	l.spent = l.spent[max(0, len(l.spent)-engine.MaxCompromised):]
}

// owned returns the error of a call with ref; nil if ref may access the card.
func (l *expectedCard) owned(ref engine.Ref) error {
	switch {
	case !l.registered:
		return store.ErrNotFound
	case ref != l.ref && ref != engine.AnyAccount(l.ref.Card):
		return engine.ErrForbidden
	}
	return nil
}

// fail applies a failed automatic rotation.
func (l *expectedCard) fail(now time.Time) {
	l.failures++
	wait := time.Second
	for range l.failures - 1 {
		wait = min(2*wait, time.Hour)
	}
	l.due = now.Add(wait)
}

// current returns the card's CVV, and previous its previous CVV; the zero CVV if
// there is none.
func (l *expectedCard) current() cvvgen.CVV { return l.cvv(1) }

func (l *expectedCard) previous() cvvgen.CVV { return l.cvv(2) }

func (l *expectedCard) cvv(fromEnd int) cvvgen.CVV {
	if len(l.cvvs) < fromEnd {
		return cvvgen.CVV{}
	}
	return l.cvvs[len(l.cvvs)-fromEnd]
}

// verify returns the verdict that a presented CVV must get.
func (l *expectedCard) verify(t settings, presented cvvgen.CVV) engine.Verdict {
	if ahead := l.withoutAhead(t.now); !slices.Equal(ahead, l.failedAt) {
		l.failedAt = ahead
		l.failedAt = l.dailyTries(t.now)
	}
	switch {
	case !l.locked.IsZero():
		return engine.VerdictLocked
	case len(l.dailyTries(t.now)) >= t.daily:
		return engine.VerdictThrottled
	}
	if presented.Equal(l.current()) {
		if l.tries > 0 {
			l.failedAt = l.dailyTries(t.now)
		}
		l.tries = 0
		return engine.VerdictCurrent
	}
	verdict := engine.VerdictWrong
	if presented.Equal(l.previous()) {
		if t.now.Before(l.previousUntil) {
			return engine.VerdictPrevious
		}
		verdict = engine.VerdictExpired
	}
	if l.tries++; l.tries >= t.maxTries {
		l.locked = t.now
	}
	l.failedAt = append(l.dailyTries(t.now), t.now)
	return verdict
}

// dailyTries returns the failed attempts that count: those less than a day old.
func (l *expectedCard) dailyTries(now time.Time) (tries []time.Time) {
	for _, at := range l.failedAt {
		if at.Add(day).After(now) {
			tries = append(tries, at)
		}
	}
	return tries
}

// withoutAhead returns the failed attempts, with those from a clock that was more than a
// day ahead made now.
func (l *expectedCard) withoutAhead(now time.Time) []time.Time {
	tries := slices.Clone(l.failedAt)
	for i, at := range tries {
		if at.After(now.Add(day)) {
			tries[i] = now
		}
	}
	return tries
}

// ahead reports whether the next slot is further ahead than one interval, and
// where along its phase it belongs.
func (l *expectedCard) ahead(now time.Time) (first time.Time, ahead bool) {
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

// answer returns what a call at that time must return when it led to the outcome.
// The service code is random and comes from got.
func (l *expectedCard) answer(at time.Time, o outcome, got engine.Rotation) engine.Rotation {
	return engine.Rotation{
		Card: l.ref.Card, At: at, Rotated: o.Rotate, Rescheduled: o.Reschedule, Rule: o.rule, Reason: o.rule.Reason(),
		Scenario: o.Scenario, Missed: o.Missed, Version: l.version, Next: l.state.Next.Time, ServiceCode: got.ServiceCode,
	}
}

// shown returns what Show must return with a daily limit of failed attempts.
func (l *expectedCard) shown(now time.Time, slots, limit int) (s engine.Schedule, err error) {
	fork := l.rules
	forced, err := fork.Step(model.Event{Kind: model.Forced, At: now})
	if err != nil {
		return s, rotation.ErrInstant
	}
	s = engine.Schedule{
		Card: l.ref.Card, Account: l.ref.Account, At: now, Interval: l.state.Interval, Next: l.state.Next.Time,
		Version: l.version, ServiceCode: l.code, Rotated: l.rotated, Locked: l.locked, Tries: l.tries, Failures: l.failures,
	}
	seen := expectedCard{failedAt: l.withoutAhead(now)} // reading moves nothing
	daily := seen.dailyTries(now)
	s.DailyTries = len(daily)
	if n := len(daily) - limit; n >= 0 {
		slices.SortFunc(daily, time.Time.Compare)
		s.ThrottledUntil = daily[n].Add(day)
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

// sentAgain reports whether the request is the one that was accepted last.
func (l *expectedCard) sentAgain(req engine.IntervalRequest) bool {
	return req.Interval != 0 && req == l.accepted
}

// interval applies a request to set the interval. With keep the schedule must not
// change.
func (l *expectedCard) interval(t settings, req engine.IntervalRequest, keep bool) (outcome, []event.Changed, error) {
	e := model.Event{Kind: model.SetInterval, Interval: req.Interval}
	switch {
	case l.sentAgain(req): // the interval in force
	case req.Spread && req.Interval > 0:
		e.First = model.At(spreadSlot(l.ref.Card, req.Interval, t.now))
	case !req.First.IsZero():
		e.First = model.At(req.First)
	}
	if !keep {
		o, events, err := l.apply(t, e, false, false)
		if err == nil && !l.sentAgain(req) {
			l.accepted, l.forced = req, false
		}
		return o, events, err
	}
	would := *l
	o, _, err := would.apply(t, e, false, false)
	if err == nil && o.rule != rotation.R9 {
		err = engine.ErrScheduleKept
	}
	return o, nil, err
}

// spreadSlot returns the first instant after now on the card's phase: that of the
// instants whose nanoseconds since 1970 leave, divided by the interval, the same rest as
// a hash of the card's id.
func spreadSlot(card string, interval time.Duration, now time.Time) time.Time {
	h := fnv.New64a()
	h.Write([]byte(card))
	x := splitmix.Mix(h.Sum64())
	rest := time.Duration(x % uint64(interval))
	slot := now.Add(-time.Duration(now.UnixNano()) % interval).Add(rest)
	if !slot.After(now) {
		slot = slot.Add(interval)
	}
	return slot
}
