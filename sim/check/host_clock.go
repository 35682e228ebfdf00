package check

import (
	"time"
)

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
		step := pick(s, []int64{1, h.guard - 1, h.guard, h.guard + 1, int64(time.Hour), s.Below(3 * h.guard)})
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
