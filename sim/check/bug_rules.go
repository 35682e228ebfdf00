package check

import (
	"slices"
	"time"

	"cvvrotation/rotation"
)

// table implements the rules' table (docs/rules.md) again, with one optional
// mistake. With the deviation right it agrees with package rotation on every event,
// as the tests prove. With another one it is the shipped bug of that name.
type table struct {
	terms
	wrong deviation
}

func (t table) Rules() rotation.Rules        { return t.rules() }
func (t table) With(r rotation.Rules) System { return table{termsOf(r), t.wrong} }
func (t table) NewCard() Card                { return &tableCard{table: t} }

// deviation is one mistake in the rules.
type deviation uint8

const (
	right deviation = iota
	guardInclusive
	guardShort
	guardForwardOnly
	guardBackForever
	guardFromScheduling
	guardFromIgnored
	guardZeroDefault
	guardInSeconds
	intervalUnguarded
	guardUnsetByOff
	guardUnsetByInterval
	guardRestartedByUnchanged
	guardRestartedByIdle
	forcedOffRefused
	forcedHeldRefused
	forcedHeldMoves
	forcedAfterAutoMoves
	forcedNeverMoves
	forcedKeepsPhase
	autoOffRotates
	drift
	catchUpFlood
	nextNotAfter
	dueExclusive
	heldAutoSchedules
	heldAutoStays
	heldAutoSkips
	hundredMissed
	ownTimerIgnored
	ownTimerKeepsPhase
	firstIgnored
	firstAtNow
	firstAtEndRefused
	intervalOfGuard
	intervalRetroactive
	unchangedReschedules
	unchangedDropsDue
	disableKeepsInterval
	disableForgetsServed
	earlyRotates
	onTimeIsEarly
	duplicateRotates
	duplicateExclusive
	supersededRotates
	inFlightDropped
	orderDuplicateEarly
	orderSupersededDuplicate
	orderInFlightDuplicate
	missedOffByOne
	missedLostByGuard
	servedOwnSlotOnly
	servedLastWins
	servedForgotten
	scenarioSwapped
	scenarioOfInterval
	year1969
	answerFromNow
	storedWithoutGuard
	storedWithoutServed
	storedInSeconds
)

// slotOrder is the order in which R11 to R14 are checked, and which of them are.
func (t table) slotOrder() [4]rotation.Rule {
	switch t.wrong {
	case earlyRotates:
		return [4]rotation.Rule{rotation.R12, rotation.R13, rotation.R14}
	case duplicateRotates:
		return [4]rotation.Rule{rotation.R11, rotation.R13, rotation.R14}
	case supersededRotates:
		return [4]rotation.Rule{rotation.R11, rotation.R12, rotation.R14}
	case orderDuplicateEarly:
		return [4]rotation.Rule{rotation.R12, rotation.R11, rotation.R13, rotation.R14}
	case orderSupersededDuplicate:
		return [4]rotation.Rule{rotation.R11, rotation.R13, rotation.R12, rotation.R14}
	case orderInFlightDuplicate:
		return [4]rotation.Rule{rotation.R11, rotation.R14, rotation.R12, rotation.R13}
	}
	return [4]rotation.Rule{rotation.R11, rotation.R12, rotation.R13, rotation.R14}
}

// tableCard is a card under the table.
type tableCard struct {
	table
	v View
}

func (c *tableCard) View() View { return c.v }

func (c *tableCard) Apply(e Event) Outcome {
	if refused := c.refusal(e); refused != 0 {
		return Outcome{Refused: refused, Next: c.v.Next}
	}
	before, held := c.v, c.held(e.At)
	out := Outcome{Rule: c.rule(e, held)}
	c.move(e, &out)
	out.Reason = out.Rule.Reason()
	out.Rotated = out.Rule.Rotates()
	out.Rescheduled = out.Rule.Reschedules()
	out.Next = c.v.Next
	if out.Reason == rotation.ReasonGuard {
		out.Scenario = c.scenario(before.GuardKind, e.Kind)
	}
	if c.startsGuard(out) {
		c.v.GuardStart, c.v.GuardKind = e.At, e.Kind
	}

	switch {
	case c.wrong == forcedHeldRefused && out.Rule == rotation.R2,
		c.wrong == forcedOffRefused && out.Rule == rotation.R1:
		c.v, out.Rotated = before, false
	case c.wrong == autoOffRotates && out.Rule == rotation.R4:
		out.Rotated = true
	case c.wrong == forcedHeldMoves && out.Rule == rotation.R2,
		c.wrong == forcedAfterAutoMoves && out.Scenario == 1,
		c.wrong == heldAutoSchedules && out.Rule == rotation.R6:
		c.v.Next, out.Rescheduled = e.At+c.v.Interval, true
		out.Next = c.v.Next
	case c.wrong == forcedNeverMoves && out.Rule == rotation.R3:
		out.Rescheduled = false
	case c.wrong == hundredMissed && out.Missed > 100:
		c.v, out = before, Outcome{Rule: rotation.R13, Reason: rotation.ReasonSuperseded, Next: before.Next}
	case c.wrong == answerFromNow && out.Reason == rotation.ReasonGuard:
		out.Next = e.At + c.v.Interval
	}
	return out
}

// held is the guard, R20 included.
func (c *tableCard) held(at int64) bool {
	if c.v.GuardKind == 0 {
		return false
	}
	gap, guard := at-c.v.GuardStart, c.guardTaken()
	switch c.wrong {
	case guardInclusive:
		guard++
	case guardShort:
		guard--
	}
	if gap < 0 {
		return c.wrong == guardBackForever || c.wrong != guardForwardOnly && -gap < guard
	}
	return gap < guard
}

// guardTaken is the guard that the card goes by.
func (c *tableCard) guardTaken() int64 {
	switch {
	case c.wrong == guardZeroDefault && c.guard == 0:
		return int64(rotation.DefaultGuard)
	case c.wrong == guardInSeconds:
		return c.guard - c.guard%int64(time.Second)
	}
	return c.guard
}

// rule returns the row of the table.
func (c *tableCard) rule(e Event, held bool) rotation.Rule {
	off := c.v.Interval == 0
	switch e.Kind {
	case rotation.KindForced:
		switch {
		case off:
			return rotation.R1
		case held:
			return rotation.R2
		}
		return rotation.R3
	case rotation.KindSetInterval:
		unchanged := e.Interval == c.v.Interval && (!e.HasFirst || e.First == c.v.Next)
		if unchanged && c.wrong != unchangedReschedules {
			return rotation.R9
		}
		return rotation.R8
	case rotation.KindDisable:
		return rotation.R10
	}
	if off {
		return rotation.R4
	}
	if e.HasSlot {
		for _, r := range c.slotOrder() {
			if c.slotSays(r, e, held) {
				return r
			}
		}
	}
	due := c.v.Next <= e.At
	if c.wrong == dueExclusive {
		due = c.v.Next < e.At
	}
	switch {
	case held:
		return rotation.R6
	case due:
		return rotation.R5
	}
	return rotation.R7
}

// slotSays reports whether the row r, of R11 to R14, applies to the slot.
func (c *tableCard) slotSays(r rotation.Rule, e Event, held bool) bool {
	other := e.Slot != c.v.Next
	switch r {
	case rotation.R11:
		return e.At < e.Slot || c.wrong == onTimeIsEarly && e.At == e.Slot
	case rotation.R12:
		served := e.Slot <= c.v.Served
		if c.wrong == duplicateExclusive {
			served = e.Slot < c.v.Served
		}
		return other && c.v.HasServed && served
	case rotation.R13:
		return other && (!held || c.wrong == inFlightDropped)
	case rotation.R14:
		return other && held
	}
	return false
}

// move changes the schedule and the newest slot served as the rule says.
func (c *tableCard) move(e Event, out *Outcome) {
	interval := c.v.Interval
	switch out.Rule {
	case rotation.R3:
		switch c.wrong {
		case forcedNeverMoves:
		case forcedKeepsPhase:
			c.v.Next += interval
		default:
			c.v.Next = e.At + interval
		}
	case rotation.R5, rotation.R6, rotation.R14:
		c.moveAuto(e, out)
	case rotation.R7:
		switch c.wrong {
		case ownTimerIgnored:
			out.Rule = rotation.R11
			return
		case ownTimerKeepsPhase:
			c.v.Next += interval
		default:
			c.v.Next = e.At + interval
		}
		if e.HasSlot {
			c.serve(e.Slot)
		}
	case rotation.R8:
		last := c.v.Next - interval
		wasOn := interval != 0
		c.v.Interval, c.v.Next = e.Interval, e.At+e.Interval
		switch {
		case c.wrong == intervalRetroactive && wasOn && !e.HasFirst:
			c.v.Next = last + e.Interval
		case e.HasFirst && c.wrong != firstIgnored:
			c.v.Next = e.First
		}
	case rotation.R9:
		if c.wrong == unchangedDropsDue && c.v.Next <= e.At {
			c.v.Next += (e.At-c.v.Next)/interval*interval + interval
		}
	case rotation.R10:
		c.v.Next = 0
		if c.wrong != disableKeepsInterval {
			c.v.Interval = 0
		}
		if c.wrong == disableForgetsServed {
			c.v.Served, c.v.HasServed = 0, false
		}
	}
}

// moveAuto moves next along its phase past the event, and counts what it skips.
func (c *tableCard) moveAuto(e Event, out *Outcome) {
	interval, next := c.v.Interval, c.v.Next
	if e.HasSlot {
		c.serve(e.Slot)
	}
	switch {
	case next > e.At:
		if c.wrong == heldAutoSkips && out.Rule == rotation.R6 {
			c.v.Next += interval
		}
		return
	case c.wrong == heldAutoStays && out.Rule != rotation.R5:
		return
	}
	skipped := (e.At - next) / interval
	last := next + skipped*interval // the last slot ≤ t
	if c.wrong != servedOwnSlotOnly {
		c.serve(last)
	}
	out.Missed = skipped
	c.v.Next = last + interval
	switch {
	case c.wrong == missedOffByOne && skipped > 0:
		out.Missed++
	case c.wrong == missedLostByGuard && out.Rule != rotation.R5:
		out.Missed = 0
	case c.wrong == drift && out.Rule == rotation.R5:
		c.v.Next = e.At + interval
	case c.wrong == catchUpFlood:
		c.v.Next = next + interval
	case c.wrong == nextNotAfter && last == e.At && skipped > 0:
		c.v.Next = last
	}
}

// serve is R19.
func (c *tableCard) serve(slot int64) {
	if c.wrong == servedForgotten {
		return
	}
	if !c.v.HasServed || slot > c.v.Served || c.wrong == servedLastWins {
		c.v.Served, c.v.HasServed = slot, true
	}
}

// startsGuard is R16.
func (c *tableCard) startsGuard(out Outcome) bool {
	scheduling := c.fromScheduling && c.wrong != guardFromIgnored || c.wrong == guardFromScheduling
	switch {
	case scheduling && c.wrong == intervalUnguarded:
		return out.Rescheduled && out.Rule != rotation.R8
	case scheduling && (c.wrong != guardUnsetByInterval || out.Rule != rotation.R8):
		return out.Rescheduled || c.wrong == guardRestartedByUnchanged && out.Rule == rotation.R9 ||
			c.wrong == guardRestartedByIdle && (out.Rule == rotation.R12 || out.Rule == rotation.R13)
	}
	switch c.wrong {
	case guardUnsetByOff:
		return out.Rotated && out.Rule != rotation.R1 || out.Rule == rotation.R8
	case guardUnsetByInterval:
		return out.Rotated
	case guardRestartedByUnchanged:
		return out.Rotated || out.Rule == rotation.R8 || out.Rule == rotation.R9
	case guardRestartedByIdle:
		return out.Rotated || out.Rule == rotation.R8 || out.Rule == rotation.R12 || out.Rule == rotation.R13
	}
	return out.Rotated || out.Rule == rotation.R8
}

// scenario is R21.
func (c *tableCard) scenario(before, now rotation.Kind) int {
	if c.wrong == scenarioOfInterval && before == rotation.KindSetInterval {
		before = rotation.KindForced
	}
	if c.wrong == scenarioSwapped && before != now {
		before, now = now, before
	}
	switch {
	case before == rotation.KindAuto && now == rotation.KindForced:
		return 1
	case before == rotation.KindForced && now == rotation.KindAuto:
		return 2
	case before == rotation.KindForced && now == rotation.KindForced:
		return 3
	}
	return 0
}

// refusal is R22.
func (c *tableCard) refusal(e Event) Refusal {
	valid := func(at int64) bool {
		if c.wrong == year1969 {
			return at >= -int64(24*time.Hour) && at < endOfInstants
		}
		return validInstant(at)
	}
	switch {
	case !slices.Contains(kinds, e.Kind):
		return RefusedKind
	case !valid(e.At), e.HasSlot && !valid(e.Slot):
		return RefusedInstant
	case e.Kind != rotation.KindSetInterval:
		return 0
	case e.Interval < c.guardTaken(), e.Interval == c.guardTaken() && c.wrong != intervalOfGuard, e.Interval > int64(rotation.MaxInterval):
		return RefusedInterval
	case e.HasFirst && !valid(e.First):
		return RefusedInstant
	case !e.HasFirst:
		return 0
	}
	earliest, latest := e.At+1, e.At+e.Interval
	switch c.wrong {
	case firstAtNow:
		earliest--
	case firstAtEndRefused:
		latest--
	}
	if e.First < earliest || e.First > latest {
		return RefusedFirst
	}
	return 0
}

var kinds = []rotation.Kind{rotation.KindForced, rotation.KindAuto, rotation.KindSetInterval, rotation.KindDisable}

// endOfInstants is 2201-01-01T00:00:00Z: the first instant that R22 refuses
// again.
const endOfInstants = 7_289_654_400 * int64(time.Second)

func validInstant(at int64) bool { return 0 <= at && at < endOfInstants }

func (c *tableCard) AppendStored(b []byte) []byte {
	v := c.v
	switch c.wrong {
	case storedWithoutGuard:
		v.GuardStart, v.GuardKind = 0, 0
	case storedWithoutServed:
		v.Served, v.HasServed = 0, false
	case storedInSeconds:
		v.Next -= v.Next % int64(time.Second)
		v.GuardStart -= v.GuardStart % int64(time.Second)
		v.Served -= v.Served % int64(time.Second)
	}
	return appendStored(b, v)
}

func (c *tableCard) Restore(stored []byte) error {
	v, err := parseStored(stored)
	if err == nil {
		c.v = v
	}
	return err
}
