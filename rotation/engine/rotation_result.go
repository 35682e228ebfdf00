package engine

import (
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Rotation is the result of a forced call, or of a timer. It holds no CVV.
type Rotation struct {
	Card        string
	At          time.Time // when it was decided
	Rotated     bool
	Rescheduled bool
	Rule        rotation.Rule
	Reason      rotation.Reason
	Scenario    int // 1, 2 or 3 where the guard held the schedule (R21), else 0
	Missed      int64
	Version     int64     // of the CVV that is now current
	Next        time.Time // the next automatic rotation; zero: none
	ServiceCode servicecode.Code
	Replayed    bool   // the answer is that of an earlier call with the same key
	Effect      Effect `json:"-"` // of this call; not kept under the key
}

// rotationOf returns the result of a decision, from the card as it now is.
func rotationOf(change *store.Change, d rotation.Decision) Rotation {
	return Rotation{
		Card: change.Card.ID, At: change.Now,
		Rotated: d.Rotate(), Rescheduled: d.Reschedule(),
		Rule: d.Rule, Reason: d.Reason(), Scenario: d.Scenario, Missed: d.Missed,
		Version: change.Card.Version, Next: change.Card.Next, ServiceCode: change.Card.ServiceCode,
	}
}
