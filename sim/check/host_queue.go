package check

import (
	"math"
	"time"
)

// entry is a future event in a host.
type entry struct {
	at   int64 // true time
	seq  int64 // of two at one time the one that was put first comes first
	slot int64 // timer
	call int   // call: 1 + the place in host.retries of what is called; 0 when that is still to be drawn
	card int
	node int
	gen  int // timer: the card's generation when it was armed
	due  int // deadline: the automatic rotations that must have been by now
	what what
}

// what is the kind of an entry.
type what uint8

const (
	entryTimer what = iota
	entryCall
	entryNodeUp
	entryRearm    // the host finds that a card has no timer
	entryDeadline // of the liveness phase
	entryHeal     // of the liveness phase: the event after which a card recovers from a clock that was ahead
	entryRestart  // of the liveness phase: in order, as deployments are
	entryWake     // OnTimers: node n's timers wake; it is in the place of card n's timer
)

// queue holds entries in the order in which they happen. Each card's timer and
// next call, of which there is one, have places of their own; the rest is a
// binary heap.
type queue struct {
	own     [2 * maxCards]entry // at is never when there is none
	entries []entry
	seq     int64
}

const never = math.MaxInt64

// The places of a card's own entries.
func ownTimer(card int) int { return 2 * card }
func ownCall(card int) int  { return 2*card + 1 }

// reset empties the queue.
func (q *queue) reset() {
	q.entries, q.seq = q.entries[:0], 0
	for i := range q.own {
		q.own[i].at = never
	}
}

// set puts e in a card's own place and replaces the entry there.
func (q *queue) set(place int, e entry) {
	q.seq++
	e.seq = q.seq
	q.own[place] = e
}

// all removes and returns all entries, in no particular order.
func (q *queue) all() (all []entry) {
	for _, e := range q.own {
		if e.at != never {
			all = append(all, e)
		}
	}
	all = append(all, q.entries...)
	seq := q.seq
	q.reset()
	q.seq = seq
	return all
}

// earlier reports whether a happens before b.
func earlier(a, b *entry) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// put adds e to the heap.
func (q *queue) put(e entry) {
	q.seq++
	e.seq = q.seq
	q.entries = append(q.entries, e)
	i := len(q.entries) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !earlier(&e, &q.entries[parent]) {
			break
		}
		q.entries[i] = q.entries[parent]
		i = parent
	}
	q.entries[i] = e
}

// take removes and returns the earliest entry; false when there is none.
func (q *queue) take() (first entry, ok bool) {
	place := 0
	for i := range q.own {
		if earlier(&q.own[i], &q.own[place]) {
			place = i
		}
	}
	own := &q.own[place]
	if len(q.entries) > 0 && (own.at == never || earlier(&q.entries[0], own)) {
		return q.pop(), true
	}
	first = *own
	own.at = never
	return first, first.at != never
}

// pop removes and returns the earliest entry of the heap.
func (q *queue) pop() (first entry) {
	first = q.entries[0]
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries = q.entries[:last]
	if last == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && earlier(&q.entries[child+1], &q.entries[child]) {
			child++
		}
		if !earlier(&q.entries[child], &e) {
			break
		}
		q.entries[i] = q.entries[child]
		i = child
	}
	q.entries[i] = e
	return first
}

// calmDown ends the faults: clocks are right, nodes come up, timers come on
// time, and there are no further calls. What the host has lost stays lost.
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
			// The guard may hold one of two events that are two guards apart, not both.
			from = h.now + 4*h.guard
			h.queue.put(entry{at: h.now + 2*h.guard, what: entryHeal, card: i})
			h.queue.put(entry{at: from, what: entryHeal, card: i})
		}
		h.queue.put(entry{at: from + interval + slack, what: entryDeadline, card: i, due: 1})
		if restarts {
			h.queue.put(entry{at: from + interval*2/5, what: entryRestart, card: i})
		}
	}
	if h.onTimers {
		h.wakeNodes()
	}
}

// slack is what orderly restarts may cost.
const slack = int64(time.Minute)

// deadline checks that a card is alive.
func (h *host) deadline(e entry) {
	c := &h.cards[e.card]
	if c.automatic < e.due {
		h.note(e.card, "since the faults ended, %d automatic rotations are due, and %d took place", e.due, c.automatic)
		h.failure = &runFailure{card: e.card, verdict: verdict{broken: 1 << alive}}
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
