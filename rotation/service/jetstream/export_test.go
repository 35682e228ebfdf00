package jetstream

import (
	"testing"
	"time"
)

func init() { reconnectWait = 50 * time.Millisecond }

// Impatient makes connections of the test notice silence soon.
func Impatient(t testing.TB) {
	ping, write := pingInterval, writeTimeout
	t.Cleanup(func() { pingInterval, writeTimeout = ping, write })
	pingInterval, writeTimeout = 100*time.Millisecond, 100*time.Millisecond
}
