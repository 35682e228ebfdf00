package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
)

// Paragraph explains the failure in a few sentences.
func (f *Failure) Paragraph() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Invariant %v (%s): %s ", f.Invariant, f.Invariant.Rule(), f.Invariant.Sentence())
	switch {
	case len(f.Events) == 0:
		b.WriteString("No event of the card was ever decided. ")
	case f.Invariant == persisted && strings.HasPrefix(f.Outcome.Err, restoreFailed):
		fmt.Fprintf(&b, "%s. ", f.Outcome.Err)
	case f.Invariant == durable || f.Invariant == persisted && f.left != f.last.before:
		last := f.Events[len(f.Events)-1]
		fmt.Fprintf(&b, "The last event but one left the card with %v. The last event, %v at %v, started from %v. Restore must write all that View reads.",
			f.left, last, instant(last.At), f.last.before)
	case f.NeedsHost:
		if v, _ := openLoop(f.system, f.Events); v.broken == 0 {
			b.WriteString("Each decision by itself is right. ")
		}
		b.WriteString("What the host did between them, or failed to do, is wrong. ")
		if len(f.Journal) > 0 {
			fmt.Fprintf(&b, "At the end: %s.", f.Journal[len(f.Journal)-1])
		}
	default:
		b.WriteString(f.story() + " " + f.contradiction())
	}
	if f.Once {
		b.WriteString(" It failed once: the same events on a new card break nothing. " +
			"Does Restore write all that AppendStored and the poller's query read? Is the service a function of its events?")
	}
	return strings.TrimSpace(b.String())
}

// story describes the last event and the state that it met.
func (f *Failure) story() string {
	e, v := f.Events[len(f.Events)-1], f.last.before
	var b strings.Builder
	switch e.Kind {
	case rotation.KindForced:
		b.WriteString("A forced call came")
	case rotation.KindAuto:
		b.WriteString("An automatic event came")
	case rotation.KindSetInterval:
		fmt.Fprintf(&b, "The interval was set to %s", span(e.Interval))
		if e.HasFirst {
			fmt.Fprintf(&b, ", the first slot to %v,", instant(e.First))
		}
	case rotation.KindDisable:
		b.WriteString("Rotation was turned off")
	default:
		b.WriteString("An event of an unknown kind came")
	}
	fmt.Fprintf(&b, " at %v", instant(e.At))
	request := "scheduling request"
	if f.last.fromScheduling {
		request = "scheduling"
	}
	if v.GuardKind == 0 {
		fmt.Fprintf(&b, ", the first %s of the card", request)
	} else {
		fmt.Fprintf(&b, ", %s the previous %s (%v at %v)", gapWords(f.last.gap), request, v.GuardKind, instant(v.GuardStart))
		if f.last.on && (e.Kind == rotation.KindForced || e.Kind == rotation.KindAuto) {
			fmt.Fprintf(&b, ": the guard of %s %s", span(f.last.guard), heldWords(f.last))
		}
	}
	b.WriteString(". ")
	if v.Interval == 0 {
		b.WriteString("Rotation was off.")
	} else {
		fmt.Fprintf(&b, "The interval was %s and the next slot %v.", span(v.Interval), instant(v.Next))
	}
	switch {
	case e.Pollers > 1:
		fmt.Fprintf(&b, " %d of the service's pollers looked for the card before one of them locked it.", e.Pollers)
	case e.Pollers != 0:
		b.WriteString(" The service's poller looked for the card.")
	case e.HasSlot:
		b.WriteString(" The event named " + slotWords(f.last) + ".")
	}
	b.WriteString(f.earlierRotation())
	return b.String()
}

// earlierRotation names the rotation that S1, S2 or S3 refers to if it is not the
// previous request.
func (f *Failure) earlierRotation() string {
	last := len(f.Events) - 1
	kind := map[Invariant]rotation.Kind{s1: rotation.KindAuto, s2: rotation.KindForced, s3: rotation.KindForced}[f.Invariant]
	if kind == 0 || kind == f.last.before.GuardKind {
		return ""
	}
	for _, e := range slices.Backward(f.Events[:last]) {
		if e.Kind == kind {
			return fmt.Sprintf(" The earlier rotation (%v) that %v refers to was at %v, %s before.",
				kind, f.Invariant.Rule(), instant(e.At), span(f.Events[last].At-e.At))
		}
	}
	return ""
}

func gapWords(gap int64) string {
	switch {
	case gap == 0:
		return "at the same instant as"
	case gap < 0:
		return span(-gap) + " before"
	}
	return span(gap) + " after"
}

func heldWords(s occurrence) string {
	switch {
	case s.held && s.gap < 0:
		return "holds it (the clock stepped back by less than the guard)"
	case s.held:
		return "holds it"
	case s.gap == s.guard || s.gap == -s.guard:
		return "has just ended and does not hold it"
	case s.gap < 0:
		return "does not hold it (the clock stepped back by more than the guard)"
	}
	return "has ended and does not hold it"
}

func slotWords(s occurrence) string {
	words := fmt.Sprintf("the slot %v", instant(s.e.Slot))
	if !s.other {
		words += ", which was the next slot"
	} else if s.dup {
		words += ", which was already served"
	} else {
		words += ", which was no longer next and not served"
	}
	switch late := s.e.At - s.e.Slot; {
	case late < 0:
		return words + ", " + span(-late) + " early"
	case late > 0:
		return words + ", " + span(late) + " late"
	}
	return words + ", exactly on time"
}

// contradiction lists where the answer differs from the reference model's.
func (f *Failure) contradiction() string {
	answer := "The system answered: " + f.Outcome.String() + "."
	switch e := f.last.e; {
	case e.Pollers > 1 && f.Invariant == neverTwice:
		return answer + " Then another poller rotated the card again. Apply what State.Due returns for the state under the lock: an event without a slot rotates each time."
	case e.Pollers != 0 && slices.Contains([]rotation.Rule{rotation.R12, rotation.R13, rotation.R14}, f.Outcome.Rule):
		answer += " The poller named a slot that is not the next one, as a column rounds it. Apply what State.Due returns."
	case e.Pollers != 0 && f.last.due && !f.Outcome.Rotated:
		answer += " The poller overlooked a card that was due."
	}
	guardHint := ""
	if e := f.last.e; e.Kind == rotation.KindSetInterval && (f.Outcome.Refused == RefusedInterval || e.Interval == f.last.guard) {
		guardHint = fmt.Sprintf(" An interval must be longer than the guard: is the service's guard the %s of Rules?", span(f.last.guard))
	}
	var bad *model.Error
	if errors.As(f.refErr, &bad) {
		if f.Outcome.Refused != 0 && modelRefusals[f.Outcome.Refused] == bad.Category {
			return answer + " Refusing the event was right, but the card changed."
		}
		return answer + " By the rules, the event is refused for its " + refusalNames[slices.Index(modelRefusals[:], bad.Category)] + "." + guardHint
	}
	var differences []string
	differ := func(what string, is, must any) {
		if is != must {
			differences = append(differences, fmt.Sprintf("%s is %v and must be %v", what, is, must))
		}
	}
	must := ViewOfModel(f.state)
	if f.Outcome.Refused == 0 && f.Outcome.Err == "" {
		differ("rotated", f.Outcome.Rotated, f.want.Rotate)
		differ("rescheduled", f.Outcome.Rescheduled, f.want.Reschedule)
		differ("the reason", nameOf(f.Outcome.Reason), f.want.Reason)
		differ("the scenario", f.Outcome.Scenario, f.want.Scenario)
		differ("missed", f.Outcome.Missed, f.want.Missed)
		if f.Outcome.Next != f.after.Next {
			differ("the next slot in the answer", orNone(f.Outcome.Next), orNone(must.Next))
		}
		differ("the rule", nameOf(f.Outcome.Rule), f.want.Rule)
	} else {
		differences = append(differences, "the event must be accepted")
	}
	differ("the interval", span(f.after.Interval), span(must.Interval))
	differ("the next slot", orNone(f.after.Next), orNone(must.Next))
	differ("the guard's start", guardWords(f.after), guardWords(must))
	differ("the newest slot served", servedWords(f.after), servedWords(must))
	if len(differences) == 0 {
		if e := f.last.e; e.Armed != 0 {
			return answer + fmt.Sprintf(" That is right for an event that names no slot. But the timer was armed for %v, and so was that of an earlier rotation.", instant(e.Armed))
		}
		return answer + " By the rules, that is right for this event by itself."
	}
	return answer + " By the rules: " + strings.Join(differences, "; ") + "." + guardHint
}

// nameOf returns the name of a rule or reason, none for the zero value.
func nameOf[T interface {
	comparable
	String() string
}](v T) string {
	if zero := *new(T); v == zero {
		return "none"
	}
	return v.String()
}

func orNone(at int64) string {
	if at == 0 {
		return "none"
	}
	return instant(at).String()
}

func guardWords(v View) string {
	if v.GuardKind == 0 {
		return "none"
	}
	return fmt.Sprintf("%v at %v", v.GuardKind, instant(v.GuardStart))
}

func servedWords(v View) string {
	if !v.HasServed {
		return "none"
	}
	return instant(v.Served).String()
}
