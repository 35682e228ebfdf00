package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const maxCached = 10_000 // tokens, about 200 bytes each

// tokenCache keeps the callers of accepted tokens, because services send the same
// token many times and verifying a signature takes 50 to 100 µs. It is keyed by the
// token's hash. A new key set invalidates all entries.
type tokenCache struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]cachedToken
}

type cachedToken struct {
	caller Caller
	until  time.Time // exclusive
	keys   int64     // generation of the key set read before verifying the token
}

func (c *tokenCache) get(hash [sha256.Size]byte, keys int64, now time.Time) (Caller, bool) {
	c.mu.RLock()
	e, ok := c.entries[hash]
	c.mu.RUnlock()
	return e.caller, ok && e.keys == keys && now.Before(e.until)
}

// put adds a token. It empties a full cache first.
func (c *tokenCache) put(hash [sha256.Size]byte, e cachedToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxCached {
		c.entries = make(map[[sha256.Size]byte]cachedToken)
	}
	c.entries[hash] = e
}
