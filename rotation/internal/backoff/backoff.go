// Package backoff says how long to wait before a retry.
package backoff

import "time"

// first is the wait after the first failure.
const first = time.Second

// After returns how long to wait after so many failures in a row: 1 second after
// the first one, doubled with each further one, up to the limit.
func After(failures int, limit time.Duration) time.Duration {
	return min(first<<min(failures-1, 20), limit)
}
