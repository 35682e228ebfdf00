package api

import (
	"net/netip"
	"sync"
	"time"
)

// Limits of the audit records of refused authentications, which anybody can cause:
// for one address, and for all together.
var (
	refusalsPerAddress = Rate{PerSecond: 1.0 / 60, Burst: 10}
	refusalsInTotal    = Rate{PerSecond: 1, Burst: 100}
)

// refusals limits the audit records of refused authentications, and counts those
// that get none.
type refusals struct {
	perAddress, total *limiter

	mu         sync.Mutex
	suppressed int
}

func newRefusals() *refusals {
	return &refusals{perAddress: newLimiter(refusalsPerAddress), total: newLimiter(refusalsInTotal)}
}

// admit reports whether a refused authentication gets a record. If so, it returns
// how many got none since the previous one that did.
func (l *refusals) admit(from netip.Addr, now time.Time) (suppressed int, ok bool) {
	ok = l.perAddress.take(network(from), now) == 0 && l.total.take("", now) == 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}

// network returns the address, or the /64 network of an IPv6 address, since a host
// can use any address of its network.
func network(a netip.Addr) string {
	if a.Is6() {
		p, _ := a.Prefix(64) // without the zone; 64 bits are in range
		return p.String()
	}
	return text(a)
}
