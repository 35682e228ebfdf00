package check

import (
	"math"
	"time"

	"cvvrotation/rotation/timers"
)

// node is a process with a clock.
type node struct {
	down      bool
	upAt      int64 // while down
	offset    int64 // of its clock from the true time
	drift     int64 // in parts per million, from driftFrom on
	driftFrom int64
	jumped    int64 // by how much the clock stepped years ahead; 0: it did not
	draws     stream
	timers    *timers.Timers // OnTimers
}

// anyNode returns the node that handles a delivery, the preferred one if it is up,
// and when: now, or as soon as a node is up again.
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

// crash stops a node for the pause. Its timers are lost.
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
	if h.onTimers {
		h.startTimers(n)
	}
	h.noteAll("node %d is up", n+1)
	if h.bug == hostForgetsLost {
		return
	}
	for i := range h.cards {
		// For all cards, not only those whose timer it kept: it may have stored an
		// event without answering, and so moved a schedule that another node times.
		h.arm(i, n, h.cards[i].oracle.view.Next, true)
	}
}

func (n *node) clock(now int64) int64 {
	return now + n.offset + (now-n.driftFrom)/1_000_000*n.drift
}

// disturbClock draws whether a node's clock steps, by seconds to days or by years.
func (h *host) disturbClock(n int) {
	if h.calm {
		return
	}
	node := &h.nodes[n]
	s := &node.draws
	d := s.dice()
	if d.happens(h.o.weights[faultStep] / 4) {
		step := pick(s, []int64{1, h.guard - 1, h.guard, h.guard + 1, int64(time.Hour), s.Below(3 * h.reach)})
		if s.Below(2) == 0 {
			step = -step
		}
		node.offset += step
		node.offset = max(-30*day, min(node.offset, 30*day+node.jumped))
		h.noteAll("the clock of node %d steps by %v", n+1, time.Duration(step))
	}
	if d.happens(h.o.weights[faultJump] / 8) {
		if node.jumped != 0 {
			h.noteAll("the clock of node %d steps back by %v", n+1, time.Duration(node.jumped))
			node.offset -= node.jumped
			node.jumped = 0
			return
		}
		node.jumped = year + s.Below(19*year)
		node.offset += node.jumped
		h.coverage[goalJump]++
		h.noteAll("the clock of node %d steps ahead by %v", n+1, time.Duration(node.jumped))
	}
}
