package check

import (
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// goal is a coverage goal: something that a campaign must meet, because what
// never happened was never tested.
type goal uint8

const (
	// One for each rule, from R1.
	goalRule goal = iota
	// One for each pair of kinds of a rotation and the next, at each edge of
	// the guard.
	goalPair    = goalRule + goal(rotation.R14)
	goalRefused = goalPair + numPairs*numEdges
)

const (
	numPairs = 4 // before and now, each automatic or forced
	numEdges = 4
)

const (
	goalBackInGuard goal = iota + goalRefused + goal(RefusedFirst)
	goalBackOneGuard
	goalBackFar
	goalIntervalEdge
	goalIntervalOver
	goalIntervalZeroGap
	goalOnTime
	goalBarelyEarly
	goalBarelyLate
	goalLateOneInterval
	goalMissed
	goalMissedHundred
	goalMissedHeld
	goalHeldAhead
	goalFirstEarliest
	goalFirstLatest
	goalFirstIsNext
	goalUnchangedDue
	goalUnchangedHeld
	goalOffAgain
	goalZeroTimer
	goalZeroForced
	goalDuplicateHeld
	goalSupersededForced
	goalChain
	goalGuardNone
	goalGuardNanosecond
	goalGuardHours
	goalFromScheduling

	goalAfterCrash
	goalServedAfterCrash
	goalUnstored
	goalLost
	goalTwice
	goalInFlight
	goalOrder
	goalRetried
	goalOutage
	goalClocksDiffer
	goalJump
	goalHealed
	goalPoison
	goalRestart

	numGoals
)

var edgeNames = [numEdges]string{
	"at the same instant", "in the guard's last nanosecond", "exactly at the end of the guard", "one nanosecond after the guard",
}

var refusalNames = [...]string{RefusedKind: "kind", RefusedInstant: "instant", RefusedInterval: "interval", RefusedFirst: "first slot"}

var goalSentences = map[goal]string{
	goalBackInGuard:      "a clock stepped back by one nanosecond less than the guard, and a forced call was held",
	goalBackOneGuard:     "a clock stepped back by exactly the guard, and a forced call was not held",
	goalBackFar:          "a clock stepped back by more than a year",
	goalIntervalEdge:     "forced in the last nanosecond of the guard of a new interval",
	goalIntervalOver:     "forced exactly when the guard of a new interval had ended",
	goalIntervalZeroGap:  "forced at the instant of a new interval",
	goalOnTime:           "automatic exactly at its slot",
	goalBarelyEarly:      "automatic a nanosecond before its slot",
	goalBarelyLate:       "automatic a nanosecond after its slot",
	goalLateOneInterval:  "automatic exactly one interval late",
	goalMissed:           "slots were missed",
	goalMissedHundred:    "more than 100 slots were missed",
	goalMissedHeld:       "slots were missed, within the guard",
	goalHeldAhead:        "automatic within the guard while its slot was ahead",
	goalFirstEarliest:    "the earliest first slot that is allowed",
	goalFirstLatest:      "the latest first slot that is allowed",
	goalFirstIsNext:      "the interval in force set again with the next slot as first slot",
	goalUnchangedDue:     "the interval in force set again while a slot was overdue",
	goalUnchangedHeld:    "the interval in force set again within the guard",
	goalOffAgain:         "rotation turned off twice",
	goalZeroTimer:        "a timer for a new card",
	goalZeroForced:       "a forced call on a new card",
	goalDuplicateHeld:    "a slot delivered twice within the guard",
	goalSupersededForced: "a timer in flight after a forced call, when the guard had just ended",
	goalChain:            "two held events in a row, less than the guard apart",
	goalGuardNone:        "a rotation of a card with a schedule under a guard of 0",
	goalGuardNanosecond:  "a rotation held by a guard of a nanosecond",
	goalGuardHours:       "a rotation held by a guard of hours",
	goalFromScheduling:   "a new scheduling less than the guard after a held rotation, with guard_from scheduling",
	goalAfterCrash:       "an event on a card right after its node crashed",
	goalServedAfterCrash: "a slot delivered again after a crash between storing and answering",
	goalUnstored:         "a crash before an event was stored",
	goalLost:             "a lost timer armed again",
	goalTwice:            "a timer delivered twice",
	goalInFlight:         "a timer delivered after the schedule had moved",
	goalOrder:            "two timers of a card delivered out of order",
	goalRetried:          "a call retried after its node crashed",
	goalOutage:           "an outage of all nodes",
	goalClocksDiffer:     "two nodes with different clocks decided consecutive events of a card",
	goalJump:             "a node's clock stepped years ahead",
	goalHealed:           "a card recovered from a clock that was far ahead",
	goalPoison:           "a card that always fails, beside others",
	goalRestart:          "an orderly restart of a node",
}

// sentence describes the goal.
func (g goal) sentence() string {
	switch {
	case g < goalPair:
		return fmt.Sprintf("an event decided by %v", rotation.R1+rotation.Rule(g-goalRule))
	case g < goalRefused:
		pair, edge := (g-goalPair)/numEdges, (g-goalPair)%numEdges
		kinds := [2]string{"automatic", "forced"}
		return fmt.Sprintf("%s after %s, %s", kinds[pair%2], kinds[pair/2], edgeNames[edge])
	case g < goalBackInGuard:
		return fmt.Sprintf("a request refused for its %s", refusalNames[RefusedKind+Refusal(g-goalRefused)])
	}
	return goalSentences[g]
}

// coverage counts how often each goal was met.
type coverage [numGoals]uint64

// count counts the goals that one event meets.
func (c *coverage) count(o *occurrence, out Outcome) {
	if out.Refused != 0 {
		c[goalRefused+goal(out.Refused-RefusedKind)]++
		return
	}
	if out.Rule == 0 || int(out.Rule) >= len(modelRules) {
		return // no answer of the rules
	}
	c[goalRule+goal(out.Rule-rotation.R1)]++
	switch o.e.Kind {
	case rotation.KindForced:
		c.countForced(o)
	case rotation.KindAuto:
		c.countAuto(o, out)
	case rotation.KindSetInterval:
		c.countInterval(o, out)
	case rotation.KindDisable:
		if !o.on && o.before.HasServed {
			c[goalOffAgain]++
		}
	}
	if o.on && out.Rotated {
		if o.gap >= 0 {
			c.countPair(o)
		}
		c.countGuard(o)
	}
}

// countGuard counts the guards that campaigns draw.
func (c *coverage) countGuard(o *occurrence) {
	switch {
	case o.guard == 0:
		c[goalGuardNone]++
	case o.held && o.guard == 1:
		c[goalGuardNanosecond]++
	case o.held && o.guard >= int64(time.Hour):
		c[goalGuardHours]++
	}
}

func (c *coverage) countPair(o *occurrence) {
	guard := o.guard
	pair := 0
	switch o.before.GuardKind {
	case rotation.KindForced:
		pair = 2
	case rotation.KindAuto:
	default:
		return
	}
	if o.e.Kind == rotation.KindForced {
		pair++
	}
	for edge, gap := range [numEdges]int64{0, guard - 1, guard, guard + 1} {
		if o.gap == gap {
			c[goalPair+goal(pair*numEdges+edge)]++
		}
	}
}

func (c *coverage) countForced(o *occurrence) {
	guard := o.guard
	if o.before == (View{}) {
		c[goalZeroForced]++
	}
	if !o.on {
		return
	}
	switch {
	case o.gap < 0 && o.gap == 1-guard:
		c[goalBackInGuard]++
	case o.gap < 0 && o.gap == -guard:
		c[goalBackOneGuard]++
	case o.gap < -365*24*int64(3600e9):
		c[goalBackFar]++
	}
	if o.before.GuardKind == rotation.KindSetInterval {
		switch o.gap {
		case 0:
			c[goalIntervalZeroGap]++
		case guard - 1:
			c[goalIntervalEdge]++
		case guard:
			c[goalIntervalOver]++
		}
	}
}

func (c *coverage) countAuto(o *occurrence, out Outcome) {
	at, before := o.e.At, &o.before
	if *before == (View{}) {
		c[goalZeroTimer]++
	}
	if !o.on {
		return
	}
	if o.e.HasSlot && !o.other {
		switch late := at - o.e.Slot; {
		case late == 0:
			c[goalOnTime]++
		case late == -1:
			c[goalBarelyEarly]++
		case late == 1:
			c[goalBarelyLate]++
		case late == before.Interval:
			c[goalLateOneInterval]++
		}
	}
	if out.Missed > 0 {
		c[goalMissed]++
		if out.Missed > 100 {
			c[goalMissedHundred]++
		}
		if o.held {
			c[goalMissedHeld]++
		}
	}
	if out.Rule == rotation.R6 && !o.due {
		c[goalHeldAhead]++
	}
	if o.held && out.Rule == rotation.R12 {
		c[goalDuplicateHeld]++
	}
	if out.Rule == rotation.R13 && before.GuardKind == rotation.KindForced && o.gap == o.guard {
		c[goalSupersededForced]++
	}
}

func (c *coverage) countInterval(o *occurrence, out Outcome) {
	e := &o.e
	switch {
	case !o.same:
	case e.HasFirst:
		c[goalFirstIsNext]++
	case o.due:
		c[goalUnchangedDue]++
	}
	if o.same && o.held {
		c[goalUnchangedHeld]++
	}
	if out.Rescheduled && e.HasFirst {
		switch e.First {
		case e.At + 1:
			c[goalFirstEarliest]++
		case e.At + e.Interval:
			c[goalFirstLatest]++
		}
	}
}

// Goals returns the coverage goals of a campaign, a sentence each.
func Goals() []string { return campaign.Goals(numGoals, goal.sentence) }
