package check

import (
	"time"

	"cvvrotation/rotation"
)

// call makes a call, and draws the time of the card's next call.
func (h *host) call(e entry) {
	if h.calm {
		return
	}
	c := &h.cards[e.card]
	node, upAt := h.anyNode(int(c.calls.Below(int64(len(h.nodes)))))
	if upAt > h.now {
		e.at = upAt + pick(&c.calls, []int64{0, int64(time.Minute), day})
		h.queue.put(e)
		return
	}
	var call caller
	if e.call != 0 {
		h.coverage[goalRetried]++
		call = h.retries[e.call-1]
	} else {
		call = h.drawCall(c)
		if e.card == 0 && len(h.cards) > 1 && len(c.trace) > 10 && c.calls.happens(h.o.weights[faultPoison]) {
			c.poison = true
		}
	}
	h.decide(e.card, node, call, entry{what: entryCall, card: e.card})
	if e.call == 0 && !c.poison {
		h.queue.set(ownCall(e.card), entry{at: h.aim(c, node), what: entryCall, card: e.card})
	}
}

// drawCall draws what a call asks for.
func (h *host) drawCall(c *hostCard) caller {
	s, w, v := &c.calls, &h.o.weights, c.oracle.view
	switch {
	case s.happens(w[faultWrong] / 2):
		return h.drawWrong(s, v)
	case s.happens(w[faultOwnTimer]):
		return caller{event: Event{Kind: rotation.KindAuto}}
	case s.happens(w[faultStale]):
		return h.drawStale(c)
	case v.Interval == 0 && s.Below(3) > 0:
		return h.drawInterval(s)
	case v.Interval == 0 && s.Below(2) == 0:
		return pick(s, []caller{
			{event: Event{Kind: rotation.KindDisable}},
			{event: Event{Kind: rotation.KindAuto}},
			{event: Event{Kind: rotation.KindAuto, HasSlot: true, Slot: h.now}},
		})
	case v.Interval != 0 && s.happens(w[faultInterval]):
		if s.Below(2) == 0 {
			return caller{event: Event{Kind: rotation.KindSetInterval, Interval: v.Interval}}
		}
		if s.Below(4) == 0 {
			return caller{event: Event{Kind: rotation.KindSetInterval, Interval: v.Interval, HasFirst: true, First: v.Next}}
		}
		return h.drawInterval(s)
	case v.Interval != 0 && s.happens(w[faultDisable]/2):
		return caller{event: Event{Kind: rotation.KindDisable}}
	}
	return caller{event: Event{Kind: rotation.KindForced}}
}

func (h *host) drawInterval(s *stream) caller {
	interval := pick(s, h.o.intervals)
	call := caller{event: Event{Kind: rotation.KindSetInterval, Interval: interval}}
	if s.Below(3) == 0 {
		call.relative, call.event.HasFirst = true, true
		call.event.First = pick(s, []int64{1, 1 + s.Below(interval), interval})
	}
	return call
}

// drawStale draws a timer for an old slot, as a queue may deliver it long after.
func (h *host) drawStale(c *hostCard) caller {
	v := c.oracle.view
	slot := pick(&c.calls, []int64{c.slots[0], c.slots[1], c.slots[2], c.slots[3], v.Served, v.Served + 1, v.Next - 1, v.Next, v.Next - v.Interval})
	return caller{event: Event{Kind: rotation.KindAuto, HasSlot: true, Slot: max(slot, 0)}}
}

// drawWrong draws a request that R22 refuses or just accepts.
func (h *host) drawWrong(s *stream, v View) caller {
	e := Event{Kind: rotation.KindSetInterval, Interval: int64(time.Hour)}
	switch s.Below(7) {
	case 0:
		e.Kind = 0
	case 1:
		e = Event{Kind: rotation.KindForced, At: -h.now - 30*day - s.Below(int64(time.Hour))}
		e.At -= 20 * year // whatever the clock says, before 1970
	case 2:
		e = Event{Kind: rotation.KindAuto, HasSlot: true, Slot: pick(s, []int64{-1, endOfInstants})}
	case 3:
		e.Interval = h.guard
	case 4:
		e.Interval = int64(rotation.MaxInterval) + 1
	case 5:
		e.HasFirst, e.First = true, pick(s, []int64{-1, 0, e.Interval + 1})
		return caller{event: e, relative: true}
	case 6:
		e.HasFirst, e.First = true, pick(s, []int64{0, endOfInstants, v.Next - 1})
	}
	return caller{event: e}
}

// aim returns the true time of a card's next call: somewhere in the interval,
// or where the card's rules have an edge by the clock of the node.
func (h *host) aim(c *hostCard, n int) int64 {
	s, v := &c.calls, c.oracle.view
	interval := v.Interval
	if interval == 0 {
		interval = int64(time.Hour)
	}
	clock := h.nodes[n].clock(h.now)
	var target int64
	switch {
	case v.GuardKind != 0 && s.happens(h.o.weights[faultBurst]):
		target = v.GuardStart + pick(s, []int64{0, 1, h.guard - 1, h.guard - 1, h.guard, h.guard, h.guard + 1, s.Below(max(1, h.guard))})
	case v.Interval != 0 && s.Below(4) == 0:
		target = v.Next + pick(s, []int64{-1, 0, 1, -h.guard, 1 - h.guard, -h.guard / 2, h.guard / 2, interval, 2 * interval})
	default:
		target = clock + s.Below(interval*3/2)
	}
	if at := h.now + target - clock; at >= h.now && at < endOfRuns {
		return at
	}
	return h.now + s.Below(2*h.reach)
}

// caller is the request of a call; a retry repeats it.
type caller struct {
	event    Event // its instant is that of the node that gets it
	relative bool  // the first slot it gives is a distance from that
}
