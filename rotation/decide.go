package rotation

import (
	"fmt"
	"time"
)

// Decide applies one event to the state of a card. It returns the card's new
// state and what to do: the whole of rules R1 to R22 (docs/rules.md).
//
// It is pure and total: equal arguments give equal results, and every argument
// gives a result or an error. An error is an [*EventError]; the state that
// comes back with it is s. Decide does not allocate unless it fails.
func (r Rules) Decide(s State, e Event) (State, Decision, error) {
	if !validInstant(e.at) {
		return s, Decision{}, r.refusal(e) // R22, here and below
	}
	var d Decision
	before := s.guardKind()
	held := before != 0 && max(e.at-s.guardStart, s.guardStart-e.at) < int64(r.Guard()) // R20: in either direction
	interval := s.interval()

	switch e.form {
	case formForced:
		switch {
		case interval == 0:
			d.Rule = R1
		case held:
			d.Rule = R2
		default:
			d.Rule = R3
			s.next = e.at + interval
		}

	case formAuto, formAutoSlot:
		if e.form == formAutoSlot && !validInstant(e.extra) {
			return s, Decision{}, r.refusal(e)
		}
		if d.Rule = s.decideAuto(e, held); !d.Rule.Rotates() {
			break
		}
		if e.form == formAutoSlot {
			s.serve(e.extra)
		}
		switch {
		case d.Rule == R7:
			s.next = e.at + interval
		case s.next <= e.at: // R17: along the phase, computed, past the event
			if late := e.at - s.next; late >= interval { // sparing the usual case a division
				d.Missed = late / interval
			}
			last := s.next + d.Missed*interval
			s.serve(last)
			s.next = last + interval
		}

	case formSetInterval, formSetIntervalFirst:
		if !r.acceptsInterval(e) {
			return s, Decision{}, r.refusal(e)
		}
		next := e.at + e.interval
		if e.form == formSetIntervalFirst {
			next = e.extra
		}
		if e.interval == interval && (e.form == formSetInterval || next == s.next) {
			d.Rule = R9
			break
		}
		d.Rule = R8
		s.setInterval(e.interval)
		s.next = next

	case formDisable:
		d.Rule = R10
		s.setInterval(0)
		s.next = 0

	default:
		return s, Decision{}, r.refusal(e)
	}

	if d.Rule.Reason() == ReasonGuard {
		d.Scenario = scenario(before, e.Kind())
	}
	if d.Rule.Reschedules() || d.Rule.Rotates() && r.guardFrom == GuardFromRequest { // R16
		s.startGuard(e.at, e.Kind())
	}
	return s, d, nil
}

// decideAuto returns the rule for an automatic event: R4, then what its slot
// says, then the rest.
func (s *State) decideAuto(e Event, held bool) Rule {
	if s.interval() == 0 {
		return R4
	}
	if slot := e.extra; e.form == formAutoSlot {
		switch {
		case e.at < slot:
			return R11
		case slot == s.next:
		case s.hasServed() && slot <= s.served:
			return R12
		case held:
			return R14
		default:
			return R13
		}
	}
	switch {
	case held:
		return R6
	case s.next <= e.at:
		return R5
	default:
		return R7
	}
}

// PreviewForced returns what a forced call at the instant at would do to a
// card in state s, without doing it. Its error is that of [Rules.Decide].
func (r Rules) PreviewForced(s State, at time.Time) (Decision, error) {
	_, d, err := r.Decide(s, Forced(at))
	return d, err
}

// scenario numbers the pair of kinds at the guard's start and now (R21).
func scenario(before, now Kind) int {
	switch {
	case before == KindAuto && now == KindForced:
		return 1
	case before == KindForced && now == KindAuto:
		return 2
	case before == KindForced && now == KindForced:
		return 3
	}
	return 0
}

// acceptsInterval reports whether R22 allows the interval, and the first slot if
// there is one, of a set_interval event.
func (r Rules) acceptsInterval(e Event) bool {
	if e.interval <= int64(r.Guard()) || e.interval > int64(MaxInterval) {
		return false
	}
	return e.form == formSetInterval ||
		validInstant(e.extra) && e.at < e.extra && e.extra-e.at <= e.interval
}

// refusal says what is wrong with an event that R22 refuses.
func (r Rules) refusal(e Event) error {
	fail := func(err error, field, format string, args ...any) error {
		return &EventError{Kind: e.Kind(), Field: field, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	switch interval := time.Duration(e.interval); {
	case e.Kind() == 0:
		return fail(ErrKind, "event", "")
	case !validInstant(e.at):
		return fail(ErrInstant, "at", "")
	case e.form == formAutoSlot:
		return fail(ErrInstant, "slot", "")
	case interval <= r.Guard():
		return fail(ErrInterval, "interval", "%s is not longer than the guard of %s", FormatDuration(interval), FormatDuration(r.Guard()))
	case interval > MaxInterval:
		return fail(ErrInterval, "interval", "%s is longer than ten years (%s)", FormatDuration(interval), FormatDuration(MaxInterval))
	case !validInstant(e.extra):
		return fail(ErrInstant, "first", "")
	default:
		return fail(ErrFirst, "first", "%s is not after %s and at most %s later", stamp(e.extra), stamp(e.at), FormatDuration(interval))
	}
}
