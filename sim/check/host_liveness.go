package check

import (
	"time"
)

// calmDown ends the faults: clocks are right, nodes come up, timers come on
// time, and nobody calls any more. What the host has lost stays lost.
func (h *host) calmDown() {
	h.calm = true
	for i := range h.nodes {
		h.nodes[i].offset, h.nodes[i].drift, h.nodes[i].jumped = 0, 0, 0
	}
	h.noteAll("the faults end")
	for _, e := range h.queue.all() {
		switch e.what {
		case entryTimer:
			e.at = max(h.now, e.slot)
			h.queue.put(e)
		case entryNodeUp:
			e.at, h.nodes[e.node].upAt = h.now, h.now
			h.queue.put(e)
		case entryRearm:
			e.at = h.now
			h.queue.put(e)
		}
	}
	restarts := h.nodes[0].draws.Below(2) == 0
	for i := range h.cards {
		c := &h.cards[i]
		interval := c.oracle.view.Interval
		if interval == 0 || c.poison {
			c.done = !c.poison
			continue
		}
		from := h.now
		if c.oracle.view.Next > h.now+interval {
			h.queue.put(entry{at: h.now + 2*h.guard, what: entryHeal, card: i})
			h.queue.put(entry{at: h.now + 3*h.guard, what: entryHeal, card: i})
			from = h.now + 3*h.guard
		}
		h.queue.put(entry{at: from + interval + slack, what: entryDeadline, card: i, due: 1})
		if restarts {
			h.queue.put(entry{at: from + interval*2/5, what: entryRestart, card: i})
		}
	}
}

// slack is what orderly restarts may cost.
const slack = int64(time.Minute)

// deadline checks that a card is alive.
func (h *host) deadline(e entry) {
	c := &h.cards[e.card]
	if c.automatic < e.due {
		h.note(e.card, "since the faults ended, %d automatic rotations are due, and %d took place", e.due, c.automatic)
		h.failure = &runFailure{card: e.card, broken: []Invariant{alive}}
		return
	}
	if e.due == 3 {
		c.done = true
		return
	}
	e.due++
	e.at += c.oracle.view.Interval
	h.queue.put(e)
}
