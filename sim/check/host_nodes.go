package check

import (
	"math"
)

// node is a process with a clock.
type node struct {
	down      bool
	upAt      int64 // while down
	offset    int64 // of its clock from the true time
	drift     int64 // in parts per million, from driftFrom on
	driftFrom int64
	jumped    int64 // what to take back of a jump
	draws     stream
}

// anyNode returns the node that takes a delivery, the preferred one if it is
// up, and when: now, or as soon as one is up again.
func (h *host) anyNode(preferred int) (node int, at int64) {
	at = math.MaxInt64
	for i := range h.nodes {
		n := (preferred + i) % len(h.nodes)
		if !h.nodes[n].down {
			return n, h.now
		}
		if h.nodes[n].upAt < at {
			node, at = n, h.nodes[n].upAt
		}
	}
	return node, at
}

// crash stops a node for a while. Its timers are gone with it.
func (h *host) crash(n int, pause int64, how string) {
	if h.nodes[n].down {
		return
	}
	h.nodes[n].down, h.nodes[n].upAt = true, h.now+pause
	h.queue.put(entry{at: h.now + pause, what: entryNodeUp, node: n})
	h.noteAll("node %d %s", n+1, how)
	for i := range h.cards {
		c := &h.cards[i]
		c.cached[n] = nil
		if c.owner == n {
			h.supersede(i)
			c.crashed = true
		}
	}
}

// up starts a node again: it arms timers from the stored states.
func (h *host) up(n int) {
	h.nodes[n].down = false
	h.noteAll("node %d is up", n+1)
	if h.bug == hostForgetsLost {
		return
	}
	for i := range h.cards {
		// All cards, not the node's own alone: an event that it stored and
		// never answered may have moved a schedule whose timer another keeps.
		h.arm(i, n, h.cards[i].oracle.view.Next, true)
	}
}
