package enginecheck

import (
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/sim/check/campaign"
)

// goal is a coverage goal: something that a campaign must meet.
type goal uint8

const (
	goalRule    goal = iota // one for each rule, from R1
	goalVerdict      = goalRule + goal(rotation.R14)
	goalFault        = goalVerdict + goal(engine.VerdictThrottled)
)

const (
	goalClaimFault goal = iota + goalFault + goal(faultKill)
	goalClaimLost
	goalRace
	goalRaceDuplicate
	goalRaceSuperseded
	goalRaceInFlight
	goalRaceOff
	goalRetried
	goalReplayed
	goalKeyReused
	goalPruned
	goalFailed
	goalFailedInBatch
	goalRepaired
	goalJumpedBack
	goalTriesKept
	goalRedelivered
	goalGraceOver
	goalResealed
	goalResealFailed
	goalSpentRefused
	goalTwin
	goalWholeIntervals
	goalThirtyFiveFailures
	goalSentAgainForced
	goalSentAgainPassed
	goalThrottleEnded

	numGoals
)

var goalSentences = map[goal]string{
	goalClaimFault:     "a claim failed before its commit",
	goalClaimLost:      "the reply to a claim was lost",
	goalRace:           "another replica changed a card between finding and locking it",
	goalRaceDuplicate:  "a claim lost a race for the slot: a duplicate (R12)",
	goalRaceSuperseded: "a claim lost a race against a new scheduling (R13)",
	goalRaceInFlight:   "a claim lost a race against a forced call: S2 (R14)",
	goalRaceOff:        "a claim lost a race against disabling rotation (R4)",
	goalRetried:        "an unanswered call was retried with its idempotency key",
	goalReplayed:       "an idempotency key was repeated and got the same answer",
	goalKeyReused:      "an idempotency key was repeated with another request",
	goalPruned:         "an answer expired and was deleted",
	goalFailed:         "an automatic rotation failed",
	goalFailedInBatch:  "an automatic rotation failed in a claim of several cards",
	goalRepaired:       "a slot set by a wrong clock was repaired",
	goalJumpedBack:     "the store's clock stepped years ahead and back",
	goalTriesKept:      "wrong CVVs were presented before and after a rotation",
	goalRedelivered:    "an event was delivered twice",
	goalGraceOver:      "the previous CVV was presented exactly when its grace period ended",
	goalResealed:       "a card was re-encrypted with another key",
	goalResealFailed:   "re-encryption failed for one card and succeeded for others",

	goalTwin:         "a card was registered with the PAN and expiry of another one",
	goalSpentRefused: "a service code of a compromised CVV was requested",

	goalWholeIntervals:     "the clock stepped to whole intervals before a slot",
	goalThirtyFiveFailures: "a card's rotation failed 35 times in a row",
	goalSentAgainForced:    "settings with a first slot were sent again after a forced call",
	goalThrottleEnded:      "a CVV was compared again after the daily limit",
	goalSentAgainPassed:    "settings were sent again whose first slot had passed",
}

// sentence describes the goal.
func (g goal) sentence() string {
	switch {
	case g < goalVerdict:
		return fmt.Sprintf("an event decided by %v", rotation.R1+rotation.Rule(g))
	case g < goalFault:
		return fmt.Sprintf("a CVV judged as %v", engine.VerdictCurrent+engine.Verdict(g-goalVerdict))
	case g < goalClaimFault:
		return "a call " + faultNames[faultBefore+faultKind(g-goalFault)]
	}
	return goalSentences[g]
}

// Goals returns the coverage goals of a campaign, a sentence each.
func Goals() []string { return campaign.Goals(numGoals, goal.sentence) }

// coverage counts how often each goal was met.
type coverage [numGoals]uint64

func (c *coverage) decided(o *outcome) {
	if o != nil && o.rule != 0 {
		c[goalRule+goal(o.rule-rotation.R1)]++
	}
}

func (c *coverage) fault(p *plan) {
	if p.kind == noFault {
		return
	}
	c[goalFault+goal(p.kind-faultBefore)]++
	if p.call == memory.CallClaim {
		switch p.kind {
		case faultBefore:
			c[goalClaimFault]++
		case faultAfter:
			c[goalClaimLost]++
		}
	}
}

func (c *coverage) lostRace(rule rotation.Rule) {
	switch rule {
	case rotation.R12:
		c[goalRaceDuplicate]++
	case rotation.R13:
		c[goalRaceSuperseded]++
	case rotation.R14:
		c[goalRaceInFlight]++
	case rotation.R4:
		c[goalRaceOff]++
	}
}

func (c *coverage) sentAgain(l *expectedCard, now time.Time) {
	first := l.accepted.First
	if l.forced && (l.accepted.Spread || !first.IsZero()) {
		c[goalSentAgainForced]++
	}
	if !first.IsZero() && !first.After(now) {
		c[goalSentAgainPassed]++
	}
}

func (c *coverage) verified(v engine.Verdict, l *expectedCard, now time.Time) {
	if v == engine.VerdictExpired && now.Equal(l.previousUntil) {
		c[goalGraceOver]++
	}
	c[goalVerdict+goal(v-engine.VerdictCurrent)]++
	if v == engine.VerdictThrottled {
		l.throttled = true
	} else if v != engine.VerdictLocked && l.throttled {
		l.throttled = false
		c[goalThrottleEnded]++
	}
	if v == engine.VerdictWrong && l.tries > 1 && l.triedAt != l.version {
		c[goalTriesKept]++
	}
	if v == engine.VerdictWrong {
		l.triedAt = l.version
	}
}
