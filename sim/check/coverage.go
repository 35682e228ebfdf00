package check

import (
	"fmt"

	"cvvrotation/rotation"
)

// place is a situation that a campaign must have met: one that it never met
// was never tested.
type place uint8

const (
	// One for each rule, from R1.
	placeRule place = iota
	// One for each pair of kinds of a rotation and the next, at each edge of
	// the guard.
	placePair    = placeRule + place(rotation.R14)
	placeRefused = placePair + numPairs*numEdges
)

const (
	numPairs = 4 // before and now, each automatic or forced
	numEdges = 4
)

const (
	placeBackInGuard place = iota + placeRefused + place(RefusedFirst)
	placeBackOneGuard
	placeBackFar
	placeIntervalEdge
	placeIntervalOver
	placeIntervalZeroGap
	placeOnTime
	placeBarelyEarly
	placeBarelyLate
	placeLateOneInterval
	placeMissed
	placeMissedHundred
	placeMissedHeld
	placeHeldAhead
	placeFirstEarliest
	placeFirstLatest
	placeFirstIsNext
	placeUnchangedDue
	placeUnchangedHeld
	placeOffAgain
	placeZeroTimer
	placeZeroForced
	placeDuplicateHeld
	placeSupersededForced
	placeChain

	placeAfterCrash
	placeServedAfterCrash
	placeUnstored
	placeLost
	placeTwice
	placeInFlight
	placeOrder
	placeRetried
	placeOutage
	placeClocksDiffer
	placeJump
	placeHealed
	placePoison
	placeRestart

	numPlaces
)

var edgeNames = [numEdges]string{
	"at the same instant", "in the guard's last nanosecond", "exactly when the guard has ended", "a nanosecond after the guard has ended",
}

var refusalNames = [...]string{RefusedKind: "kind", RefusedInstant: "instant", RefusedInterval: "interval", RefusedFirst: "first slot"}

var placeSentences = map[place]string{
	placeBackInGuard:      "a clock stepped back by the guard less a nanosecond, and a forced call was held",
	placeBackOneGuard:     "a clock stepped back by exactly the guard, and a forced call was not held",
	placeBackFar:          "a clock stepped back by more than a year",
	placeIntervalEdge:     "forced in the last nanosecond of the guard of a new interval",
	placeIntervalOver:     "forced exactly when the guard of a new interval had ended",
	placeIntervalZeroGap:  "forced at the instant of a new interval",
	placeOnTime:           "automatic exactly at its slot",
	placeBarelyEarly:      "automatic a nanosecond before its slot",
	placeBarelyLate:       "automatic a nanosecond after its slot",
	placeLateOneInterval:  "automatic exactly one interval late",
	placeMissed:           "slots were missed",
	placeMissedHundred:    "more than 100 slots were missed",
	placeMissedHeld:       "slots were missed while the guard held",
	placeHeldAhead:        "automatic within the guard while its slot was ahead",
	placeFirstEarliest:    "the first slot chosen as early as allowed",
	placeFirstLatest:      "the first slot chosen as late as allowed",
	placeFirstIsNext:      "the interval in force set again with the next slot as the first",
	placeUnchangedDue:     "the interval in force set again while a slot was overdue",
	placeUnchangedHeld:    "the interval in force set again within the guard",
	placeOffAgain:         "rotation turned off twice",
	placeZeroTimer:        "a timer for a card that nothing had happened to",
	placeZeroForced:       "a forced call on a card that nothing had happened to",
	placeDuplicateHeld:    "a slot delivered twice within the guard",
	placeSupersededForced: "a timer in flight after a forced call, when the guard had just ended",
	placeChain:            "a chain: held, and less than the guard later held again",
	placeAfterCrash:       "an event on a card right after its node had crashed",
	placeServedAfterCrash: "a slot delivered again after a crash between storing and answering",
	placeUnstored:         "a crash before an event was stored",
	placeLost:             "a lost timer armed again",
	placeTwice:            "a timer delivered twice",
	placeInFlight:         "a timer delivered after the schedule had moved",
	placeOrder:            "two timers of a card out of order",
	placeRetried:          "a call tried again after its node had crashed",
	placeOutage:           "an outage of all nodes",
	placeClocksDiffer:     "two nodes whose clocks differ decided one card's events one after the other",
	placeJump:             "a node's clock jumped years ahead",
	placeHealed:           "a card whose clock had been far ahead healed",
	placePoison:           "a card that always fails, beside others",
	placeRestart:          "a node restarted in order",
}

// sentence says what the situation is.
func (p place) sentence() string {
	switch {
	case p < placePair:
		return fmt.Sprintf("an event decided by %v", rotation.R1+rotation.Rule(p-placeRule))
	case p < placeRefused:
		pair, edge := (p-placePair)/numEdges, (p-placePair)%numEdges
		kinds := [2]string{"automatic", "forced"}
		return fmt.Sprintf("%s after %s, %s", kinds[pair%2], kinds[pair/2], edgeNames[edge])
	case p < placeBackInGuard:
		return fmt.Sprintf("a request refused for its %s", refusalNames[RefusedKind+Refusal(p-placeRefused)])
	}
	return placeSentences[p]
}

// places counts how often each situation was met.
type places [numPlaces]uint64

// meet counts the situations that one event is.
func (m *places) meet(s *situation, out Outcome) {
	if out.Refused != 0 {
		m[placeRefused+place(out.Refused-RefusedKind)]++
		return
	}
	m[placeRule+place(out.Rule-rotation.R1)]++
	switch s.e.Kind {
	case rotation.KindForced:
		m.meetForced(s)
	case rotation.KindAuto:
		m.meetAuto(s, out)
	case rotation.KindSetInterval:
		m.meetInterval(s, out)
	case rotation.KindDisable:
		if !s.on && s.before.HasServed {
			m[placeOffAgain]++
		}
	}
	if s.on && out.Rotated && s.gap >= 0 {
		m.meetPair(s)
	}
}

func (m *places) meetPair(s *situation) {
	guard := s.guard
	pair := 0
	switch s.before.GuardKind {
	case rotation.KindForced:
		pair = 2
	case rotation.KindAuto:
	default:
		return
	}
	if s.e.Kind == rotation.KindForced {
		pair++
	}
	for edge, gap := range [numEdges]int64{0, guard - 1, guard, guard + 1} {
		if s.gap == gap {
			m[placePair+place(pair*numEdges+edge)]++
		}
	}
}

func (m *places) meetForced(s *situation) {
	guard := s.guard
	if s.before == (View{}) {
		m[placeZeroForced]++
	}
	if !s.on {
		return
	}
	switch {
	case s.gap == 1-guard:
		m[placeBackInGuard]++
	case s.gap == -guard:
		m[placeBackOneGuard]++
	case s.gap < -365*24*int64(3600e9):
		m[placeBackFar]++
	}
	if s.before.GuardKind == rotation.KindSetInterval {
		switch s.gap {
		case 0:
			m[placeIntervalZeroGap]++
		case guard - 1:
			m[placeIntervalEdge]++
		case guard:
			m[placeIntervalOver]++
		}
	}
}

func (m *places) meetAuto(s *situation, out Outcome) {
	at, before := s.e.At, &s.before
	if *before == (View{}) {
		m[placeZeroTimer]++
	}
	if !s.on {
		return
	}
	if s.e.HasSlot && !s.other {
		switch late := at - s.e.Slot; {
		case late == 0:
			m[placeOnTime]++
		case late == -1:
			m[placeBarelyEarly]++
		case late == 1:
			m[placeBarelyLate]++
		case late == before.Interval:
			m[placeLateOneInterval]++
		}
	}
	if out.Missed > 0 {
		m[placeMissed]++
		if out.Missed > 100 {
			m[placeMissedHundred]++
		}
		if s.held {
			m[placeMissedHeld]++
		}
	}
	if out.Rule == rotation.R6 && !s.due {
		m[placeHeldAhead]++
	}
	if s.held && out.Rule == rotation.R12 {
		m[placeDuplicateHeld]++
	}
	if out.Rule == rotation.R13 && before.GuardKind == rotation.KindForced && s.gap == s.guard {
		m[placeSupersededForced]++
	}
}

func (m *places) meetInterval(s *situation, out Outcome) {
	e := &s.e
	switch {
	case !s.same:
	case e.HasFirst:
		m[placeFirstIsNext]++
	case s.due:
		m[placeUnchangedDue]++
	}
	if s.same && s.held {
		m[placeUnchangedHeld]++
	}
	if out.Rescheduled && e.HasFirst {
		switch e.First {
		case e.At + 1:
			m[placeFirstEarliest]++
		case e.At + e.Interval:
			m[placeFirstLatest]++
		}
	}
}

// Situations returns what a campaign must have met, a sentence each.
func Situations() []string {
	all := make([]string, numPlaces)
	for p := range all {
		all[p] = place(p).sentence()
	}
	return all
}
