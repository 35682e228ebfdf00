package check

import (
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/internal/splitmix"
)

// decide lets a node decide an event, with the faults drawn for it. If the event
// has to be retried, the entry again goes back into the queue.
func (h *host) decide(card, n int, call caller, again entry) {
	c := &h.cards[card]
	h.disturbClock(n)
	if c.poison {
		h.note(card, "the store fails")
		h.coverage[goalPoison]++
		if h.bug == hostStallsOnFailure && again.what == entryTimer && !h.stalled {
			h.stalled = true
			h.noteAll("the host waits for a card whose event failed, and delivers no other timer")
		}
		if again.what == entryTimer && again.gen == c.gen && !h.calm {
			again.at = h.now + 30*day
			h.queue.put(again)
		}
		return
	}
	d := h.dice(c)
	if d.happens(h.o.weights[faultUnstored]) {
		h.coverage[goalUnstored]++
		h.crash(n, h.pause(c), "crashes before it stores")
		h.retry(c, call, again)
		return
	}
	e := call.event
	e.At += h.nodes[n].clock(h.now)
	if call.relative {
		e.First += e.At
	}
	stored := c.stored
	caching := h.bug == hostCachedState || h.bug == hostPersistsAutoOnly
	if caching && c.cached[n] != nil {
		stored = c.cached[n]
	}
	if h.polls && e.Kind == rotation.KindAuto {
		e = Event{Kind: rotation.KindAuto, At: e.At, Pollers: 1}
		if d.happens(h.o.weights[faultTwice]) {
			e.Pollers = 2
		}
	}
	out, wrong := c.oracle.step(stored, &e)
	h.events++
	c.trace = append(c.trace, traced{e, out})
	h.fold(card, e, out)
	h.coverage.count(&c.oracle.last, out)
	h.countHost(card, n, e, out)
	if h.journal != nil {
		clock := ""
		if e.At != h.now {
			clock = fmt.Sprintf(" by its clock %v", instant(e.At))
		}
		h.note(card, "node %d decides%s: %v => %v", n+1, clock, e, out)
	}
	if wrong != 0 {
		h.failure = &runFailure{card, c.oracle.verdict(out, wrong)}
		return
	}
	if h.calm && out.Rotated && e.Kind == rotation.KindAuto {
		c.automatic++
	}

	if h.bug == hostReplyBeforePersist && d.happens(h.o.weights[faultUnanswered]) {
		h.crash(n, h.pause(c), "answers, and crashes before it stores")
		return
	}
	if h.bug != hostPersistsAutoOnly || e.Kind == rotation.KindAuto {
		c.stored = append(c.stored[:0], c.oracle.stored...)
	}
	if caching {
		c.cached[n] = append(c.cached[n][:0], c.oracle.stored...)
	}
	if h.bug != hostReplyBeforePersist && d.happens(h.o.weights[faultUnanswered]) {
		h.crash(n, h.pause(c), "crashes after it stored, before it answers")
		h.retry(c, call, again)
		return
	}
	if h.bug == hostDropsEarly && out.Reason == rotation.ReasonNotDue {
		c.pending, c.armed = true, out.Next
		h.note(card, "the host drops the timer as done")
		return
	}
	if again.what != entryWake { // else the callback returns the state
		h.arm(card, n, out.Next, false)
	}
	if d.happens(h.o.weights[faultRestart]) {
		h.coverage[goalRestart]++
		h.crash(n, h.pause(c), "is restarted")
	}
	if d.happens(h.o.weights[faultOutage]) {
		h.coverage[goalOutage]++
		pause := pick(&c.faults, []int64{int64(time.Minute), int64(12 * time.Hour), 14 * day, c.oracle.view.Interval * 5 / 2})
		for i := range h.nodes {
			h.crash(i, pause, "is down, like all nodes")
		}
	}
}

// retry has an event that was not answered come again.
func (h *host) retry(c *hostCard, call caller, again entry) {
	if again.what == entryWake {
		return // the node arms the card when it is up again
	}
	h.retries = append(h.retries, call)
	again.at, again.call = h.now+pick(&c.faults, []int64{1, int64(time.Second), max(0, h.guard-1), h.guard}), len(h.retries)
	h.queue.put(again)
}

func (h *host) pause(c *hostCard) int64 {
	return pick(&c.faults, []int64{1, int64(time.Second), h.guard, c.oracle.view.Interval/2 + 1})
}

// countHost counts the situations that are the host's.
func (h *host) countHost(card, n int, e Event, out Outcome) {
	c := &h.cards[card]
	if c.crashed {
		h.coverage[goalAfterCrash]++
		if out.Rule == rotation.R12 {
			h.coverage[goalServedAfterCrash]++
		}
		c.crashed = false
	}
	if len(c.trace) > 1 && c.decidedBy != n && h.nodes[c.decidedBy].clock(h.now) != h.nodes[n].clock(h.now) {
		h.coverage[goalClocksDiffer]++
	}
	if c.wasAhead && out.Rescheduled && h.nodes[n].jumped == 0 {
		h.coverage[goalHealed]++
	}
	c.wasAhead = h.nodes[n].jumped != 0
	c.decidedBy = n
	if k := len(c.trace); k > 1 && c.trace[k-2].outcome.Reason == rotation.ReasonGuard {
		switch gap := e.At - c.trace[k-2].event.At; {
		case out.Reason == rotation.ReasonGuard:
			h.coverage[goalChain]++
		case out.Rotated && out.Rescheduled && 0 <= gap && gap < h.guard:
			h.coverage[goalFromScheduling]++
		}
	}
}

// fold adds a decided event to the trace hash.
func (h *host) fold(card int, e Event, out Outcome) {
	bits := uint64(card)<<32 | uint64(e.Kind)<<24 | uint64(out.Rule)<<16 | uint64(out.Refused)<<8 | uint64(out.Scenario)<<4
	if out.Rotated {
		bits |= 1
	}
	if out.Rescheduled {
		bits |= 2
	}
	h.hash = splitmix.Mix(h.hash ^ bits)
	h.hash = splitmix.Mix(h.hash ^ uint64(e.At))
	h.hash = splitmix.Mix(h.hash ^ uint64(e.Slot) ^ uint64(e.First)<<1)
	h.hash = splitmix.Mix(h.hash ^ uint64(out.Next) ^ uint64(out.Missed)<<1)
}
