package enginecheck

import (
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
)

// place is a situation that a campaign must have met.
type place uint8

const (
	placeRule    place = iota // one for each rule, from R1
	placeVerdict       = placeRule + place(rotation.R14)
	placeFault         = placeVerdict + place(engine.Locked)
)

const (
	placeClaimFault place = iota + placeFault + place(faultKill)
	placeClaimLost
	placeRace
	placeRaceDuplicate
	placeRaceSuperseded
	placeRaceInFlight
	placeRaceOff
	placeRetried
	placeReplayed
	placeKeyReused
	placePruned
	placeFailed
	placeFailedInBatch
	placeRepaired
	placeJumpedBack
	placeTriesKept
	placeRedelivered
	placeGraceOver
	placeResealed
	placeResealFailed

	numPlaces
)

var placeSentences = map[place]string{
	placeClaimFault:     "a claim failed before its commit",
	placeClaimLost:      "the reply to a claim was lost",
	placeRace:           "another replica came between finding cards and locking them",
	placeRaceDuplicate:  "a claim lost a race for the slot: a duplicate (R12)",
	placeRaceSuperseded: "a claim lost a race against a schedule set anew (R13)",
	placeRaceInFlight:   "a claim lost a race against a forced call: S2 (R14)",
	placeRaceOff:        "a claim lost a race against turning rotation off (R4)",
	placeRetried:        "a keyed call was made again that had not been answered",
	placeReplayed:       "a key came again, and got its answer again",
	placeKeyReused:      "a key came again with another request",
	placePruned:         "an answer expired and was deleted",
	placeFailed:         "an automatic rotation failed",
	placeFailedInBatch:  "an automatic rotation failed in a claim of several cards",
	placeRepaired:       "a slot that a wrong clock had set was repaired",
	placeJumpedBack:     "the store's clock jumped years ahead, and back",
	placeTriesKept:      "a wrong CVV was presented, after another and a rotation in between",
	placeRedelivered:    "an event was delivered again",
	placeGraceOver:      "the CVV before was presented at the instant at which its grace ended",
	placeResealed:       "a card was sealed anew with another key",
	placeResealFailed:   "a card could not be sealed anew, and the others were",
}

func (p place) sentence() string {
	switch {
	case p < placeVerdict:
		return fmt.Sprintf("an event decided by %v", rotation.R1+rotation.Rule(p))
	case p < placeFault:
		return fmt.Sprintf("a CVV judged as %v", engine.Current+engine.Verdict(p-placeVerdict))
	case p < placeClaimFault:
		return "a call " + faultNames[faultBefore+faultKind(p-placeFault)]
	}
	return placeSentences[p]
}

// places counts how often each situation was met.
type places [numPlaces]uint64

func (m *places) decided(o *outcome) {
	if o != nil && o.rule != 0 {
		m[placeRule+place(o.rule-rotation.R1)]++
	}
}

func (m *places) fault(p *plan) {
	if p.kind == noFault {
		return
	}
	m[placeFault+place(p.kind-faultBefore)]++
	if p.call == memory.CallClaim {
		switch p.kind {
		case faultBefore:
			m[placeClaimFault]++
		case faultAfter:
			m[placeClaimLost]++
		}
	}
}

func (m *places) lostRace(rule rotation.Rule) {
	switch rule {
	case rotation.R12:
		m[placeRaceDuplicate]++
	case rotation.R13:
		m[placeRaceSuperseded]++
	case rotation.R14:
		m[placeRaceInFlight]++
	case rotation.R4:
		m[placeRaceOff]++
	}
}

func (m *places) verified(v engine.Verdict, l *ledger, now time.Time) {
	if v == engine.Expired && now.Equal(l.previousUntil) {
		m[placeGraceOver]++
	}
	m[placeVerdict+place(v-engine.Current)]++
	if v == engine.Wrong && l.tries > 1 && l.triedAt != l.version {
		m[placeTriesKept]++
	}
	if v == engine.Wrong {
		l.triedAt = l.version
	}
}
