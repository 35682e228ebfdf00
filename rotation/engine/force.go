package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// KeyLifetime is how long an idempotency key is remembered.
const KeyLifetime = 24 * time.Hour

// MaxKey is the length of an idempotency key, in bytes.
const MaxKey = 255

// ForceRequest is a forced call. Its zero value rotates to a random service
// code, without an idempotency key.
type ForceRequest struct {
	ServiceCode servicecode.Code // zero: a new random one
	Compromised bool             // the CVV before is good no longer, whatever the grace
	Key         string           // idempotency key of this card, printable ASCII; "": none
}

// Rotation is what a call that rotates is answered. It holds no CVV.
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
	Replayed    bool // the answer is that of an earlier call with the same key
}

// Force rotates the card's CVV at once. The same key within KeyLifetime gives the
// same answer and rotates once.
//
// The error matches store.ErrNotFound, ErrForbidden, ErrInvalid or ErrKeyReused.
func (e *Engine) Force(ctx context.Context, ref Ref, req ForceRequest) (Rotation, error) {
	if err := checkKey(req.Key); err != nil {
		return Rotation{}, err
	}
	request := sha256.Sum256(fmt.Appendf(nil, "force %s %t", req.ServiceCode, req.Compromised))
	var result Rotation
	var seen Observation
	var card store.Card
	err := e.update(ctx, ref, req.Key, func(tx *store.Change) error {
		if tx.Prior != nil {
			return replay(tx.Prior, request, &result)
		}
		decision, err := e.apply(ctx, tx, change{
			event: rotation.Forced(tx.Now), code: req.ServiceCode, compromised: req.Compromised,
		})
		if err != nil {
			return err
		}
		result = answer(tx, decision)
		seen, card = Observation{Kind: rotation.KindForced, Decision: decision}, tx.Card
		if req.Key == "" {
			return nil
		}
		body, err := json.Marshal(result)
		if err != nil {
			return err
		}
		tx.Answer = &store.Answer{Request: request, Body: body, Expires: tx.Now.Add(KeyLifetime)}
		return nil
	})
	if err != nil {
		return Rotation{}, err
	}
	if !result.Replayed {
		e.done(seen, &card, true)
	}
	return result, nil
}

// Deliver is an automatic rotation by a timer of the host's own that was armed
// for the slot, for services that do not use Run, or not only. It may come late,
// twice, or after the schedule has moved: R11 to R14 tell. The zero slot is a
// timer that does not say what it was armed for (R4 to R7): the host then has to
// make sure that it comes once.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Deliver(ctx context.Context, ref Ref, slot time.Time) (Rotation, error) {
	var result Rotation
	var seen Observation
	var card store.Card
	var wrote bool
	err := e.update(ctx, ref, "", func(tx *store.Change) error {
		due := slot
		ev := rotation.AutoSlot(tx.Now, slot)
		if slot.IsZero() {
			due, ev = tx.Now, rotation.AutoUnslotted(tx.Now)
		}
		decision, err := e.apply(ctx, tx, change{event: ev})
		if err != nil {
			return err
		}
		result = answer(tx, decision)
		seen = Observation{Kind: rotation.KindAuto, Decision: decision, Lateness: tx.Now.Sub(due)}
		card, wrote = tx.Card, tx.Event != nil
		return nil
	})
	if err != nil {
		return Rotation{}, err
	}
	e.done(seen, &card, wrote)
	return result, nil
}

func answer(tx *store.Change, d rotation.Decision) Rotation {
	return Rotation{
		Card: tx.Card.ID, At: tx.Now,
		Rotated: d.Rotate(), Rescheduled: d.Reschedule(),
		Rule: d.Rule, Reason: d.Reason(), Scenario: d.Scenario, Missed: d.Missed,
		Version: tx.Card.Version, Next: tx.Card.Next, ServiceCode: tx.Card.ServiceCode,
	}
}

// replay answers from what was answered before.
func replay(prior *store.Answer, request [32]byte, result *Rotation) error {
	if prior.Request != request {
		return ErrKeyReused
	}
	*result = Rotation{}
	if err := json.Unmarshal(prior.Body, result); err != nil {
		return fmt.Errorf("an answer kept under an idempotency key: %w", err)
	}
	result.Replayed = true
	return nil
}

func checkKey(key string) error {
	if len(key) > MaxKey {
		return &FieldError{"idempotency_key", fmt.Sprintf("must have at most %d characters", MaxKey)}
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return &FieldError{"idempotency_key", "must consist of printable ASCII characters"}
		}
	}
	return nil
}
