package check

// fault is something that goes wrong in a run, or that its callers do.
type fault uint8

const (
	faultLate       fault = iota // a timer comes late
	faultTwice                   // a timer comes twice
	faultLost                    // a timer never comes; the host arms it again later
	faultInFlight                // a timer comes although the schedule has moved
	faultEarly                   // a timer comes before its slot
	faultUnstored                // a node crashes before it has stored an event
	faultUnanswered              // a node crashes after that, before it answers
	faultRestart                 // a node is restarted in order
	faultOutage                  // all nodes are down for long
	faultOffset                  // a node's clock is off
	faultDrift                   // a node's clock drifts
	faultStep                    // a node's clock steps, back or ahead
	faultJump                    // a node's clock jumps years ahead, and back
	faultPoison                  // one card always fails
	faultBurst                   // forced calls in a burst around the guard's edges
	faultInterval                // the interval is changed or set again
	faultDisable                 // rotation is turned off, and on again
	faultOwnTimer                // automatic events that name no slot
	faultStale                   // automatic events that name a slot of long ago
	faultWrong                   // requests that R22 refuses

	numFaults
)

var faultNames = [numFaults]string{
	"late", "twice", "lost", "in-flight", "early", "unstored", "unanswered", "restart", "outage",
	"offset", "drift", "step", "jump", "poison", "burst", "interval", "disable", "own-timer", "stale", "wrong",
}

// dice draws what happens to an event of a card: nothing once the faults have
// ended.
func (h *host) dice(c *hostCard) dice {
	if h.calm {
		return ^dice(0) // above every weight
	}
	return c.faults.dice()
}
