package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// Verdict is what a [Verifier] makes of a recorded decision.
type Verdict uint8

const (
	// VerdictSilent: the entry records nothing of its decision.
	VerdictSilent Verdict = iota
	// VerdictAgrees: the rules decide what is recorded.
	VerdictAgrees
	// VerdictDiffers: the rules decide something else, in every state that the
	// card can be in.
	VerdictDiffers
	// VerdictUnknown: it depends on what the card's state was before the log began.
	VerdictUnknown
	// VerdictRepeated: the card's event of this number was judged already. The
	// entry is dropped.
	VerdictRepeated
)

// Finding is a verdict with its reasons.
type Finding struct {
	Verdict Verdict
	// Step is what the rules decide in the card's state; where that is not known, in
	// the possible state that comes closest to the record. It has no Entry if
	// Verdict is VerdictRepeated.
	Step Step

	// What differs; zero otherwise. Rule is what decides in the card's state, or in
	// the possible state that comes closest to the record.
	Rule        rotation.Rule
	Differences []timeline.Difference
	Explanation string // a sentence; if the card's state is only partly known, also what is known of it
	Mistake     Mistake

	// Inferred is the card's interval if this entry was the first to determine it
	// without recording it; 0 otherwise. Next is then the next slot after the entry.
	Inferred time.Duration
	Next     time.Time
	// Missing is how many events of the card are missing before this one, by their
	// numbers. The card's state was not known any more.
	Missing int64
	// LostPrecision is how far the slot that the entry names, or the next slot that
	// it records, is from the right one, where that is less than a second: a
	// column, a client or a message has rounded it. 0 otherwise, and for another
	// Mistake. It comes with any verdict: a poller that delivers such slots is
	// superseded each time, and the rules agree that nothing happens.
	LostPrecision time.Duration
}

// VerifierOptions say what a log is. The zero value is a timeline that begins with
// its cards.
type VerifierOptions struct {
	// Partial assumes no state of a card that is met for the first time: the log
	// began in the middle.
	Partial bool
	// Recorded says that a system wrote the log, rather than a person who expects
	// something. A first record that contradicts a card without a history then means
	// that the log began in the middle, even if it records few fields.
	Recorded bool
	// IntervalUnit is what the intervals of the log's cards are whole multiples of.
	// An interval that is inferred and is not one differs: it is a drift. Defaults
	// to a minute; a negative one accepts every interval.
	IntervalUnit time.Duration
}

// Verifier compares recorded decisions with the rules, card by card. It is not
// safe for concurrent use; make one with [NewVerifier].
//
// A card begins without a history, as in a replay. Where its first record can't
// be that of such a card, but is one that the rules make in another state, the log
// began in the middle: the state is then inferred from the records, as far as they
// determine it. A later record can also show that the log began in the middle, such as
// the second delivery of a slot from before the log; the records before it remain
// judged. A record that every possible state explains otherwise differs; one that some
// explain and others don't is [VerdictUnknown]. One thing is assumed: no clock had been
// ahead of the log before it began.
//
// After a difference the card continues from what was recorded, so that one fault
// is one difference. An interval that was inferred, and not recorded, is inferred
// again.
type Verifier struct {
	rules   rotation.Rules
	options VerifierOptions
	cards   map[string]*card
	latest  time.Time // the latest instant of an entry
}

// card is what is known of a card.
type card struct {
	knowledge
	// rules is what is known if the previous record, which differed, was wrong about
	// the card rather than the card about its schedule; nil: it did not differ.
	rules  *knowledge
	number int64      // of its last event; 0: its events have none
	at     time.Time  // of its last entry
	older  *knowledge // if the log began in the middle after all; nil: that is ruled out
}

// NewVerifier returns a Verifier under the rules.
func NewVerifier(rules rotation.Rules, o VerifierOptions) *Verifier {
	o.IntervalUnit = cmp.Or(o.IntervalUnit, time.Minute)
	return &Verifier{rules: rules, options: o, cards: make(map[string]*card)}
}

// Apply judges one entry and continues from it. An event that the rules refuse is
// a [*rotation.EventError] and changes nothing.
func (v *Verifier) Apply(e timeline.Entry) (Finding, error) {
	if _, _, err := v.rules.Decide(rotation.State{}, e.Event); err != nil {
		return Finding{}, err
	}
	at := e.Event.At()
	if at.After(v.latest) {
		v.latest = at
	}
	c, met := v.cards[e.Card]
	if !met {
		c = &card{knowledge: middle(v.latest)}
		v.cards[e.Card] = c
		if !v.options.Partial && e.Number <= 1 && !v.fromMiddle(e) {
			if v.maybeMiddle(e) {
				middle := c.knowledge
				c.older = &middle
			}
			c.knowledge = beginning
		}
	}
	var missing int64
	if e.Number > 0 {
		switch expected := c.number + 1; {
		case met && e.Number == c.number && !e.Event.At().Equal(c.at):
			after, d, _ := v.rules.Decide(c.whole, e.Event)
			return Finding{Verdict: VerdictDiffers, Mistake: MistakeOther, Step: Step{Entry: e, Before: c.whole, After: after, Decision: d}, Explanation: fmt.Sprintf(
				"event number %d is that of another event, at %s: two writers give out the same numbers", e.Number, c.at.Format(time.RFC3339Nano))}, nil
		case met && e.Number < expected:
			return Finding{Verdict: VerdictRepeated}, nil
		case met && e.Number > expected:
			missing = e.Number - expected
			c.knowledge, c.rules, c.older = middle(v.latest), nil, nil
		}
		c.number = e.Number
	}
	if c.latest = v.latest; c.rules != nil {
		c.rules.latest = v.latest
	}
	if c.older != nil {
		c.older.latest = v.latest
	}
	lost := c.lostPrecision(v.rules, e)
	f := v.judge(c, e)
	if f.Missing = missing; f.Mistake == 0 || f.Mistake == MistakeLostPrecision {
		f.LostPrecision = lost
	}
	c.at = at
	return f, nil
}

// fromMiddle reports whether the first entry of a card shows that the log began in
// the middle.
func (v *Verifier) fromMiddle(e timeline.Entry) bool {
	return v.maybeMiddle(e) && len(v.explanations(beginning, e)) == 0 && len(v.explanations(middle(v.latest), e)) > 0
}

// maybeMiddle reports whether the log of a card that begins with e may begin in the
// middle: a system wrote it, and e is not numbered as the card's first event.
func (v *Verifier) maybeMiddle(e timeline.Entry) bool {
	return (v.options.Recorded || e.Expect.Fields&timeline.FieldAll == timeline.FieldAll) && e.Number != 1
}

// lookBack returns what was known before the entry if the log began in the middle,
// and the outcomes by which that explains the entry; none if nothing does.
//
// It is followed from entry to entry until it is known but for the served slots.
// From then on it is what is known of the card, without the slots served before the
// log.
func (v *Verifier) lookBack(c *card, e timeline.Entry) (older knowledge, possible []outcome) {
	older = *c.older
	if older.isWhole {
		served, since := older.served, older.since
		c.refresh()
		older = c.knowledge
		older.knows, older.since = older.knows&^partServed, since
		if older.served.IsZero() {
			older.served = served
		}
		return older, v.explanations(older, e)
	}
	possible = v.explanations(older, e)
	if c.at.IsZero() && e.Expect.Fields&timeline.FieldNext != 0 {
		// By R9 the next slot would be an interval ahead by chance.
		set := slices.DeleteFunc(slices.Clone(possible), func(o outcome) bool { return o.decision.Rule == rotation.R9 })
		if len(set) > 0 {
			possible = set
		}
	}
	if len(possible) == 0 {
		c.older = nil
		return older, nil
	}
	*c.older = older.after(possible, e)
	switch known := c.older.knows; {
	case known == allParts:
		c.older = nil // it is what is known of the card
	case known|partServed == allParts:
		c.older.isWhole = true // nothing else is asked of it
	}
	return older, possible
}

// judge judges an entry and moves on what is known of the card.
func (v *Verifier) judge(c *card, e timeline.Entry) Finding {
	var older knowledge
	var explained []outcome
	if c.older != nil && !c.older.isWhole {
		older, explained = v.lookBack(c, e)
	}
	if c.rules == nil && c.isWhole && c.knows == allParts { // the usual case, and the fast one
		after, d, err := v.rules.Decide(c.whole, e.Event)
		if err == nil && len(e.Expect.Differences(timeline.Expected(d, after))) == 0 {
			step := Step{Entry: e, Before: c.whole, After: after, Decision: d}
			c.whole = after
			if e.Event.Kind() == rotation.KindSetInterval || after.Interval() == 0 || e.Expect.Fields&timeline.FieldInterval != 0 {
				c.inferred = false
			}
			if e.Expect.Fields == 0 {
				return Finding{Verdict: VerdictSilent, Step: step}
			}
			return Finding{Verdict: VerdictAgrees, Step: step}
		}
	}
	c.refresh()
	possible := v.explanations(c.knowledge, e)
	complete := c.complete(e)
	if c.rules != nil {
		byRules := v.explanations(*c.rules, e)
		complete = complete || len(byRules) > 0 && c.rules.complete(e)
		switch {
		case len(byRules) == 0:
			c.rules = nil
		case len(possible) == 0:
			possible, c.knowledge, c.rules = byRules, *c.rules, nil
		default:
			*c.rules = c.rules.after(byRules, e)
		}
	}
	if len(possible) == 0 {
		if explained == nil && c.older != nil {
			older, explained = v.lookBack(c, e)
		}
		if len(explained) > 0 {
			possible, c.knowledge, c.rules, c.older = explained, older, nil, nil
			complete = c.complete(e)
		}
	}
	if len(possible) == 0 {
		return v.differ(c, e)
	}
	before := c.knowledge
	c.knowledge = before.after(possible, e)
	f := Finding{Step: possible[0].step(e)}
	switch {
	case e.Expect.Fields == 0:
		f.Verdict = VerdictSilent
	case complete:
		f.Verdict = VerdictAgrees
	default:
		f.Verdict = VerdictUnknown
	}
	if c.inferred && !before.inferred {
		f.Inferred, f.Next = c.interval, c.next
		if unit := v.options.IntervalUnit; unit > 0 && c.interval%unit != 0 {
			f.Verdict, f.Mistake, f.Rule = VerdictDiffers, MistakeDrift, possible[0].decision.Rule
			f.Explanation = "an interval of " + rotation.FormatDuration(c.interval) + " explains this record, but intervals are whole multiples of " +
				rotation.FormatDuration(unit) + ": the schedule drifts, or --any-interval is needed"
			c.interval, c.isWhole = max(unit, c.interval.Round(unit)), false
		}
	}
	return f
}

// differ returns the finding for an entry that no possible state explains, and
// continues from what it records.
func (v *Verifier) differ(c *card, e timeline.Entry) Finding {
	f := Finding{Verdict: VerdictDiffers}
	var closest outcome
	for o := range v.outcomes(c.knowledge, e) {
		if d := e.Expect.Differences(timeline.Expected(o.decision, o.after)); f.Differences == nil || len(d) < len(f.Differences) {
			f.Differences, closest = d, o
		}
	}
	f.Rule, f.Step = closest.decision.Rule, closest.step(e)
	f.Explanation = v.explain(closest, e)
	if !c.complete(e) {
		f.Explanation += "; the closest of the states that are possible: " + c.String()
		v.namePossible(c.knowledge, e, f.Differences)
	}
	f.Mistake = mistakeOf(v.rules, c.at, closest, e)
	byRules := c.after([]outcome{closest}, e)
	x := e.Expect
	rescheduled, rotated := closest.decision.Reschedule(), closest.decision.Rotate()
	if x.Fields&timeline.FieldRotate != 0 {
		rotated = x.Rotate
		rescheduled = rescheduled && (rotated || !closest.decision.Rotate()) // what should have rotated did nothing
	}
	if x.Fields&timeline.FieldReschedule != 0 {
		rescheduled = x.Reschedule
	}
	c.adopt(closest, e, v.restarts(rescheduled, rotated))
	c.rules = &byRules
	return f
}

// namePossible has the differences name what the rules can decide in all possible
// states that come as close to the record, since one of them would be arbitrary.
func (v *Verifier) namePossible(k knowledge, e timeline.Entry, differences []timeline.Difference) {
	const most = 3
	got := make([][]string, len(differences))
	anyNext := false
	for o := range v.outcomes(k, e) {
		others := e.Expect.Differences(timeline.Expected(o.decision, o.after))
		same := slices.EqualFunc(differences, others, func(a, b timeline.Difference) bool { return a.Field == b.Field })
		for i := 0; same && i < len(others); i++ {
			if !slices.Contains(got[i], others[i].Got) {
				got[i] = append(got[i], others[i].Got)
			}
		}
		anyNext = anyNext || same && o.anyNext()
	}
	for i := range differences {
		d := &differences[i]
		switch depends := anyNext && slices.Contains([]string{"next", "missed", "interval"}, d.Field); {
		case len(got[i]) > most, depends:
			d.Got = "another value, which depends on what came before the log"
		case len(got[i]) > 1:
			d.Got = strings.Join(got[i][:len(got[i])-1], ", ") + " or " + got[i][len(got[i])-1]
		}
	}
}

// outcome is what the rules decide in a possible state of a card.
type outcome struct {
	before   rotation.State
	decision rotation.Decision
	after    rotation.State
	any      parts // which parts of after are arbitrary: others explain the entry as well
}

// anyNext reports whether the next slot after the event is one of many that explain
// the entry.
func (o outcome) anyNext() bool {
	before, _ := o.before.Next()
	after, on := o.after.Next()
	switch rule := o.decision.Rule; {
	case !on || rule == rotation.R8:
		return false
	case rule == rotation.R3 || rule == rotation.R7:
		return o.any&partInterval != 0
	case after.Equal(before):
		return o.any&partNext != 0
	}
	return o.any&(partInterval|partNext) != 0
}

// explain explains the outcome, without values that are one of many.
func (v *Verifier) explain(o outcome, e timeline.Entry) string {
	if _, named := e.Event.Slot(); e.Event.Kind() == rotation.KindAuto && !named && o.any&partNext != 0 {
		return o.decision.String() // how late it came is not known
	}
	words := o.decision.Rule.String() + ": " + v.rules.Explain(o.before, e.Event)
	if next, on := o.after.Next(); on && o.anyNext() && !next.Equal(e.Expect.Next) {
		words = strings.ReplaceAll(words, next.UTC().Format(time.RFC3339Nano), "unknown")
	}
	return words
}

func (o outcome) step(e timeline.Entry) Step {
	return Step{Entry: e, Before: o.before, After: o.after, Decision: o.decision}
}

// outcomes returns what the rules decide on e in the states that k allows. Where a
// part is not known, they are enough to explain all that the rules can make.
func (v *Verifier) outcomes(k knowledge, e timeline.Entry) func(yield func(outcome) bool) {
	return func(yield func(outcome) bool) {
		for c := range k.candidates(v.rules, e) {
			after, d, err := v.rules.Decide(c.state, e.Event)
			if v.restarts(d.Reschedule(), d.Rotate()) {
				c.any &^= partGuard
			}
			if err == nil && !yield(outcome{c.state, d, after, c.any}) {
				return
			}
		}
	}
}

// restarts reports whether an event restarts the guard (R16).
func (v *Verifier) restarts(rescheduled, rotated bool) bool {
	return rescheduled || rotated && v.rules.GuardFrom() == rotation.GuardFromRequest
}

// explanations returns the outcomes that match everything that the entry records.
func (v *Verifier) explanations(k knowledge, e timeline.Entry) []outcome {
	var found []outcome
	for o := range v.outcomes(k, e) {
		if len(e.Expect.Differences(timeline.Expected(o.decision, o.after))) == 0 {
			found = append(found, o)
		}
	}
	return found
}

// lostPrecision returns the gap between the slot that e names and the next slot
// before it, or else between the next slot that e records and that after it, where
// it is less than a second.
func (k knowledge) lostPrecision(rules rotation.Rules, e timeline.Entry) time.Duration {
	gap := func(at, next time.Time, interval time.Duration) time.Duration {
		if d := at.Sub(next); !at.IsZero() && !next.IsZero() && d.Abs() < min(time.Second, interval/2) {
			return d
		}
		return 0
	}
	slot, _ := e.Event.Slot()
	k.refresh()
	if !k.isWhole {
		next := k.next
		if says := e.Expect.Fields; says&timeline.FieldNext != 0 && says&timeline.FieldRotate != 0 && !e.Expect.Rotate {
			next = e.Expect.Next
		}
		return gap(slot, next, rotation.MaxInterval)
	}
	after, _, _ := rules.Decide(k.whole, e.Event)
	next, _ := after.Next()
	return cmp.Or(gap(slot, k.next, k.interval), gap(e.Expect.Next, next, after.Interval()))
}

// String lists what is known, for people.
func (k knowledge) String() string {
	words := []string{"interval unknown", "next unknown", "guard unknown"}
	if k.knows&partInterval != 0 {
		words[0] = "interval " + rotation.FormatDuration(k.interval)
		if k.interval == 0 {
			words[0] = "rotation off"
		}
	}
	if k.knows&partNext != 0 {
		words[1] = "next " + k.next.UTC().Format(time.RFC3339Nano)
		if k.next.IsZero() {
			words[1] = "no next slot"
		}
	}
	if k.knows&partGuard != 0 {
		words[2] = "no guard"
		if k.guardBy != 0 {
			words[2] = "guard since the " + k.guardBy.String() + " at " + k.guardStart.UTC().Format(time.RFC3339Nano)
		}
	}
	return strings.Join(slices.Compact(words), ", ")
}
