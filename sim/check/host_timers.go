package check

import "cvvrotation/rotation"

// timer delivers a timer to a node that is up.
func (h *host) timer(e entry) {
	c := &h.cards[e.card]
	if c.done {
		return
	}
	if e.gen != c.gen {
		if h.calm {
			return
		}
		h.coverage[goalInFlight]++
	}
	if h.stalled && !c.poison {
		e.at = h.now + day
		h.queue.put(e)
		return
	}
	node, upAt := h.anyNode(e.node)
	if upAt > h.now {
		e.at = upAt
		h.queue.put(e)
		return
	}
	if e.gen == c.gen {
		c.pending = false
	}
	if e.slot < c.last {
		h.coverage[goalOrder]++
	}
	c.last = e.slot
	event := Event{Kind: rotation.KindAuto, HasSlot: true, Slot: e.slot}
	if h.bug == hostUnnamedTimers {
		event = Event{Kind: rotation.KindAuto, Armed: e.slot}
	}
	h.decide(e.card, node, caller{event: event}, e)
}

// arm starts a timer for the slot on a node, and supersedes the card's previous
// timer. If slot is 0, it only does the latter.
func (h *host) arm(card, on int, slot int64, restarted bool) {
	c := &h.cards[card]
	if h.onTimers {
		h.armTimers(card, on)
		return
	}
	if slot != 0 && c.pending && c.armed == slot {
		return
	}
	h.supersede(card)
	c.pending, c.armed, c.owner = slot != 0, slot, on
	if slot == 0 {
		return
	}
	c.slots[c.gen%len(c.slots)] = slot
	delay := max(0, slot-h.nodes[on].clock(h.now))
	if h.polls && delay == 0 {
		delay = pollSlack // a poll that found nothing is repeated
	}
	if restarted {
		switch {
		case h.bug == hostRestartResetsTimer:
			delay = c.oracle.view.Interval
		case h.bug == hostSkipsOverdue && delay == 0:
			h.note(card, "the host arms no timer for the overdue slot %v", instant(slot))
			return
		}
	}
	t := entry{at: h.now + delay, what: entryTimer, card: card, node: on, gen: c.gen, slot: slot}
	if !h.calm {
		s := &c.timers
		d := s.dice()
		if d.happens(h.o.weights[faultLate]) {
			t.at += pick(s, []int64{1, s.Below(h.reach), s.Below(h.reach * 4), c.oracle.view.Interval, s.Below(3*c.oracle.view.Interval + 1)})
		}
		if d.happens(h.o.weights[faultEarly]) {
			t.at = max(h.now, t.at-pick(s, []int64{1, 1, s.Below(h.reach)}))
		}
		if d.happens(h.o.weights[faultLost]) {
			h.note(card, "the timer for %v is lost", instant(slot))
			t.what, t.at = entryRearm, t.at+s.Below(c.oracle.view.Interval+1)
			h.queue.put(t)
			return
		}
		if d.happens(h.o.weights[faultTwice]) {
			h.coverage[goalTwice]++
			again := t
			again.at += pick(s, []int64{0, 1, s.Below(h.reach), h.guard, s.Below(c.oracle.view.Interval + 1)})
			h.queue.put(again)
		}
	}
	h.queue.set(ownTimer(card), t)
}

// supersede cancels a card's timer, unless it is already in flight.
func (h *host) supersede(card int) {
	if h.onTimers {
		return
	}
	c, old := &h.cards[card], &h.queue.own[ownTimer(card)]
	if old.at != never && !h.calm && c.timers.happens(h.o.weights[faultInFlight]) {
		h.queue.put(*old)
	}
	old.at = never
	c.gen++
	c.pending = false
}
