package engine

import "time"

// The back-off of a card whose automatic rotation fails, and of Run while the
// store fails, doubles from minBackoff to a maximum.
const (
	minBackoff      = time.Second
	maxCardBackoff  = time.Hour
	maxStoreBackoff = 30 * time.Second
)

// backoff returns how long to wait after so many failures in a row.
func backoff(failures int, limit time.Duration) time.Duration {
	return min(minBackoff<<min(failures-1, 20), limit)
}
