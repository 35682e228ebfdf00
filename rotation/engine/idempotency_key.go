package engine

import (
	"encoding/json"
	"fmt"
	"time"

	"cvvrotation/rotation/engine/store"
)

// KeyLifetime is how long the engine remembers an idempotency key.
const KeyLifetime = 24 * time.Hour

// MaxKey is the maximum length of an idempotency key, in bytes.
const MaxKey = 255

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
