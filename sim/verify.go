package sim

import (
	"cmp"
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
	// VerdictDiffers: the rules decide something else, or no rule decides so.
	VerdictDiffers
	// VerdictUnknown: it depends on what the card's state was before the log began.
	VerdictUnknown
)

// Finding is a verdict with its reasons.
type Finding struct {
	Verdict     Verdict
	Differences []timeline.Difference // when it differs; empty if no rule gives the record in any state
	Explanation string                // when it differs: the rule and a sentence

	// LostPrecision is how far the slot that the entry names, or the next slot that
	// it records, is from the right one, where that is less than a second: a
	// column, a client or a message has rounded it. 0 otherwise. It comes with any
	// verdict: a poller that delivers such slots is superseded each time, and the
	// rules agree that nothing happens.
	LostPrecision time.Duration
}

// Verifier compares recorded decisions with the rules, card by card. It is not
// safe for concurrent use; make one with [NewVerifier].
//
// A card begins without a history, as in a replay. Where its first record can't
// be that of such a card, but is one that some rule makes, the log began in the
// middle: the card's state is unknown until a record determines it. What can't
// be judged until then is [VerdictUnknown], never guessed, with one assumption: no clock
// had been ahead of the log before it began.
type Verifier struct {
	rules   rotation.Rules
	partial bool
	cards   map[string]*recorded
}

// recorded is a card's state as far as its records determine it.
type recorded struct {
	state   rotation.State
	known   bool // state is the card's
	learned bool // from its records, not from its beginning
	// oldSlots: slots may have been served that the state does not know of. It
	// matters to a delivery of a slot that is not the next one (R12).
	oldSlots bool
	next     time.Time // while not known: the next slot by the previous record
}

// NewVerifier returns a Verifier under the rules. With partial set, nothing is
// assumed of any card that is met for the first time.
func NewVerifier(rules rotation.Rules, partial bool) *Verifier {
	return &Verifier{rules: rules, partial: partial, cards: make(map[string]*recorded)}
}

// Apply judges one entry and continues from it. An event that the rules refuse is
// a [*rotation.EventError] and changes nothing.
func (v *Verifier) Apply(e timeline.Entry) (Finding, error) {
	c, met := v.cards[e.Card]
	if !met {
		c = &recorded{known: !v.partial}
	}
	after, d, err := v.rules.Decide(c.state, e.Event)
	if err != nil {
		return Finding{}, err
	}
	if !met {
		v.cards[e.Card] = c
		if e.Expect.Fields&timeline.FieldAll == timeline.FieldAll && len(e.Expect.Differences(timeline.Expected(d, after))) > 0 && possible(e) {
			c.known = false // the log began in the middle
		}
	}
	lost := c.lostPrecision(after, e)
	f := v.judge(c, e, after, d)
	f.LostPrecision = lost
	return f, nil
}

// judge judges an entry and moves the card's state on.
func (v *Verifier) judge(c *recorded, e timeline.Entry, after rotation.State, d rotation.Decision) Finding {
	switch {
	case !c.known:
		return v.learn(c, e)
	case c.oldSlots && (d.Rule == rotation.R13 || d.Rule == rotation.R14):
		return v.judgeOldSlot(c, e, after, d)
	}
	f := v.compare(c, e, after, d)
	c.state = after
	c.oldSlots = c.oldSlots && d.Rule != rotation.R5 // by R19, the newest is known now
	if f.Verdict == VerdictDiffers && c.learned {
		*c = recorded{} // what was learned is in doubt
	}
	return f
}

// compare judges an entry of a card whose state is known.
func (v *Verifier) compare(c *recorded, e timeline.Entry, after rotation.State, d rotation.Decision) Finding {
	if e.Expect.Fields == 0 {
		return Finding{Verdict: VerdictSilent}
	}
	differences := e.Expect.Differences(timeline.Expected(d, after))
	if len(differences) == 0 {
		return Finding{Verdict: VerdictAgrees}
	}
	return Finding{Verdict: VerdictDiffers, Differences: differences, Explanation: d.Rule.String() + ": " + v.rules.Explain(c.state, e.Event)}
}

// lostPrecision returns the gap between the slot that e names and the next slot
// before it, or else between the next slot that e records and that after it. Of a
// card whose state is not known, the next slot is that of the previous record, or
// of e itself if nothing rotated.
func (c *recorded) lostPrecision(after rotation.State, e timeline.Entry) time.Duration {
	gap := func(at, next time.Time, interval time.Duration) time.Duration {
		if d := at.Sub(next); !at.IsZero() && !next.IsZero() && d.Abs() < min(time.Second, interval/2) {
			return d
		}
		return 0
	}
	slot, _ := e.Event.Slot()
	if !c.known {
		next := c.next
		if says := e.Expect.Fields; says&timeline.FieldNext != 0 && says&timeline.FieldRotate != 0 && !e.Expect.Rotate {
			next = e.Expect.Next
		}
		return gap(slot, next, rotation.MaxInterval)
	}
	before, _ := c.state.Next()
	next, _ := after.Next()
	return cmp.Or(gap(slot, before, c.state.Interval()), gap(e.Expect.Next, next, after.Interval()))
}

// judgeOldSlot judges the delivery of a slot that the schedule has left and that
// may have been served before the log began: then it is a duplicate (R12), and
// otherwise what the rules say of the state as known.
func (v *Verifier) judgeOldSlot(c *recorded, e timeline.Entry, after rotation.State, d rotation.Decision) Finding {
	next, _ := c.state.Next()
	duplicate := timeline.Expect{Fields: timeline.FieldAll, Reason: rotation.ReasonDuplicate, Next: next, Interval: c.state.Interval()}
	f := v.compare(c, e, after, d)
	switch asDuplicate := len(e.Expect.Differences(duplicate)) == 0; {
	case f.Verdict == VerdictSilent || f.Verdict == VerdictAgrees && asDuplicate:
		if after != c.state {
			*c = recorded{} // which of the two it was is not said
		}
	case asDuplicate:
		f = Finding{Verdict: VerdictUnknown}
	default:
		c.state = after
		if f.Verdict == VerdictAgrees {
			f.Verdict = VerdictUnknown
		}
	}
	return f
}

// learn looks for a state in which the rules decide just what is recorded. The
// entry itself can't be judged, unless no rule decides so in any state.
func (v *Verifier) learn(c *recorded, e timeline.Entry) Finding {
	if !possible(e) {
		c.next = time.Time{}
		return Finding{Verdict: VerdictDiffers, Explanation: "no rule gives this decision in any state"}
	}
	for _, before := range v.candidates(c, e) {
		after, d, err := v.rules.Decide(before, e.Event)
		if err == nil && len(e.Expect.Differences(timeline.Expected(d, after))) == 0 {
			*c = recorded{state: after, known: true, learned: true, oldSlots: d.Rule != rotation.R5}
			return Finding{Verdict: VerdictUnknown}
		}
	}
	c.next = e.Expect.Next
	if e.Expect.Fields == 0 {
		return Finding{Verdict: VerdictSilent}
	}
	return Finding{Verdict: VerdictUnknown}
}

// candidates returns states before e that determine the state after it if they
// lead to what is recorded: the interval follows from the record by
// R3, R5, R7 and R8, and there is none by R1, R4 and R10.
//
// A record that does not say the next slot, and whether it is a new one,
// determines nothing.
func (v *Verifier) candidates(c *recorded, e timeline.Entry) []rotation.State {
	at, x := e.Event.At(), e.Expect
	if x.Fields&timeline.FieldNext == 0 || x.Fields&(timeline.FieldReschedule|timeline.FieldReason) == 0 {
		return nil
	}
	candidates := []rotation.State{{}}
	next := x.Next
	if next.IsZero() {
		return candidates
	}
	add := func(set rotation.Event) {
		if s, _, err := v.rules.Decide(rotation.State{}, set); err == nil {
			candidates = append(candidates, s)
		}
	}
	slot, named := e.Event.Slot()
	if !named {
		slot = c.next
	}
	switch auto := e.Event.Kind() == rotation.KindAuto; {
	case !auto, !named && slot.After(at): // R3, R7: next = t + I
		add(rotation.SetInterval(at.Add(-v.rules.Guard()), next.Sub(at)))
	case slot.IsZero() || x.Missed < 0:
	case x.Fields&timeline.FieldMissed != 0 || at.Sub(slot) < next.Sub(slot)/2: // so late, none was missed
		interval := next.Sub(slot) / time.Duration(x.Missed+1) // R5: next = slot + (missed + 1) · I
		add(rotation.SetIntervalFirst(slot.Add(-interval), interval, slot))
	}
	return candidates
}

// possible reports whether some rule makes what the entry records, in some
// state.
func possible(e timeline.Entry) bool {
	x := e.Expect
	says := func(f timeline.Field) bool { return x.Fields&f != 0 }
	for _, row := range table {
		held := row.rule.Reason() == rotation.ReasonGuard
		if row.kind == e.Event.Kind() &&
			(!says(timeline.FieldRotate) || x.Rotate == row.rule.Rotates()) &&
			(!says(timeline.FieldReschedule) || x.Reschedule == row.rule.Reschedules()) &&
			(!says(timeline.FieldReason) || x.Reason == row.rule.Reason()) &&
			(!says(timeline.FieldScenario) || x.Scenario == 0 || held && scenarioOf(row.kind, x.Scenario)) &&
			(!says(timeline.FieldMissed) || x.Missed == 0 || x.Missed > 0 && row.mayMiss) &&
			(!says(timeline.FieldNext) || x.Next.IsZero() == row.off) &&
			(!says(timeline.FieldInterval) || (x.Interval == 0) == row.off) {
			return true
		}
	}
	return false
}

// table is what the rules' table says of each rule beside rotation.Rule's
// methods: its kind of event, whether it leaves rotation off, whether it can
// skip slots.
var table = []struct {
	rule    rotation.Rule
	kind    rotation.Kind
	off     bool
	mayMiss bool
}{
	{rotation.R1, rotation.KindForced, true, false},
	{rotation.R2, rotation.KindForced, false, false},
	{rotation.R3, rotation.KindForced, false, false},
	{rotation.R4, rotation.KindAuto, true, false},
	{rotation.R5, rotation.KindAuto, false, true},
	{rotation.R6, rotation.KindAuto, false, true}, // and R14
	{rotation.R7, rotation.KindAuto, false, false},
	{rotation.R8, rotation.KindSetInterval, false, false},
	{rotation.R9, rotation.KindSetInterval, false, false},
	{rotation.R10, rotation.KindDisable, true, false},
	{rotation.R11, rotation.KindAuto, false, false},
	{rotation.R12, rotation.KindAuto, false, false},
	{rotation.R13, rotation.KindAuto, false, false},
}

// scenarioOf reports whether the scenario ends with an event of that kind.
func scenarioOf(kind rotation.Kind, scenario int64) bool {
	if kind == rotation.KindAuto {
		return scenario == 2
	}
	return scenario == 1 || scenario == 3
}
