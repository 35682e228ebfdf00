// Package backoff says how long to wait before a retry.
package backoff

import (
	"math/rand/v2"
	"time"
)

// first is the wait after the first failure.
const first = time.Second

// After returns how long to wait after so many failures in a row: 1 second after
// the first one, doubled with each further one, up to the limit.
func After(failures int, limit time.Duration) time.Duration {
	return min(first<<min(failures-1, 20), limit)
}

// Jitter shortens a wait by up to a half at random, so that replicas, cards or events
// that failed together are not retried together. It returns 0 for 0.
func Jitter(wait time.Duration) time.Duration {
	return wait - rand.N(wait/2+1)
}
