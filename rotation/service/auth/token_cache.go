package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const maxCached = 10_000 // tokens, of about 200 bytes each

// cache remembers who sent a token that was accepted, since services send the
// same one again and again, and a signature takes 50 to 100 µs to verify. It
// knows tokens by their hash, and forgets when the key set changes.
type cache struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]entry
}

type entry struct {
	caller Caller
	until  time.Time // exclusive
	keys   int64     // the generation of the key set that it was verified with, or one before
}

func (c *cache) get(hash [sha256.Size]byte, keys int64, now time.Time) (Caller, bool) {
	c.mu.RLock()
	e, ok := c.entries[hash]
	c.mu.RUnlock()
	return e.caller, ok && e.keys == keys && now.Before(e.until)
}

func (c *cache) put(hash [sha256.Size]byte, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxCached {
		c.entries = make(map[[sha256.Size]byte]entry) // the next calls verify once more
	}
	c.entries[hash] = e
}
