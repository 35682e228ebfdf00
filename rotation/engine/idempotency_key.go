package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cvvrotation/rotation/engine/store"
)

// KeyLifetime is how long the engine remembers an idempotency key.
const KeyLifetime = 24 * time.Hour

// MaxKey is the maximum length of an idempotency key, in bytes.
const MaxKey = 255

// once changes a card and keeps the result under the key, or returns the result
// that an earlier call has kept there. The empty key keeps nothing. The store gets the
// key hashed.
func (e *Engine) once(ctx context.Context, ref Ref, key string, request [32]byte, fn func(*store.Change) (outcome, error)) (Rotation, error) {
	if err := checkKey(key); err != nil {
		return Rotation{}, err
	}
	stored := ""
	if key != "" {
		stored = store.HashKey(ref.Card, key)
	}
	var result Rotation
	var out outcome
	effect, err := e.update(ctx, ref, stored, func(change *store.Change) (err error) {
		if change.Prior != nil {
			result, err = replay(change.Prior, request)
			return err
		}
		if out, err = fn(change); err != nil {
			return err
		}
		result = rotationOf(change, out.Decision)
		if key != "" {
			change.Answer, err = keep(result, request, change.Now)
		}
		return err
	})
	if err != nil {
		return Rotation{}, err
	}
	result.Effect = effect
	if !result.Replayed {
		e.committed(out)
	}
	return result, nil
}

func checkKey(key string) error {
	if len(key) > MaxKey {
		return &FieldError{"idempotency_key", fmt.Sprintf("must have up to %d characters", MaxKey)}
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return &FieldError{"idempotency_key", "must consist of printable ASCII characters"}
		}
	}
	return nil
}

// replay returns the answer to an earlier call with the same key. The request
// must be the same.
func replay(prior *store.Answer, request [32]byte) (Rotation, error) {
	var result Rotation
	if prior.Request != request {
		return result, ErrKeyReused
	}
	if err := json.Unmarshal(prior.Body, &result); err != nil {
		return Rotation{}, fmt.Errorf("an answer kept under an idempotency key: %w", err)
	}
	result.Replayed = true
	return result, nil
}

// keep returns the answer as it is stored under the key.
func keep(result Rotation, request [32]byte, now time.Time) (*store.Answer, error) {
	body, err := json.Marshal(result)
	return &store.Answer{Request: request, Body: body, Expires: now.Add(KeyLifetime)}, err
}
