package fleet

import (
	"cvvrotation/rotation"
)

// card is what the rules remember of a card whose automatic rotation is on;
// the newest slot served is not needed, because slots come in order. Instants
// are ns since the start.
type card struct {
	next       int64
	guardStart int64
	guardKind  rotation.Kind
}

// worker decides events and counts what came of them.
type worker struct {
	*plan
	tally
	automatic series
	forced    series
	combs     []comb // of automatic rotations, one for each group; ModeClosed only
	waiting   series // changes of the backlog, by the second; empty when nothing ever waits
	records   []record
}

// record is an event of the timeline.
type record struct {
	at, slot int64 // slot is 0 when the event is a forced call
	card     int32
}

func (p *plan) newWorker() *worker {
	w := &worker{plan: p, automatic: p.Detail.newSeries(p.end), forced: p.Detail.newSeries(p.end)}
	if p.Mode == ModeClosed && p.Detail != DetailTotals {
		for _, g := range p.groups {
			w.combs = append(w.combs, p.Detail.newComb(p.end, g.interval))
		}
	}
	if p.Capacity > 0 || p.outageUntil > p.outageFrom {
		w.waiting = DetailSeconds.newSeries(p.end)
	}
	return w
}

// rotate decides an automatic rotation at the instant at, which is not before
// the card's next slot: R5, or R6 when held.
func (w *worker) rotate(id int64, c *card, interval, at int64) {
	if w.automatic != nil {
		w.automatic[w.Detail.binOf(at)]++
	}
	if w.Record {
		w.records = append(w.records, record{at, c.next, int32(id)})
	}
	held := at-c.guardStart < w.guard
	if held {
		w.autoHeld++
		w.scenario[scenario(c.guardKind, rotation.KindAuto)]++
	} else {
		w.autoScheduled++
	}
	w.leaveOut(c.next, interval, 1)
	if at != c.next {
		w.wait(c.next, at)
		w.delayed++
		w.longest = max(w.longest, at-c.next)
		w.late.count(at - c.next)
		if at-c.next > w.within {
			w.late.beyond++
		}
		missed := (at - c.next) / interval // R17
		w.missed += missed
		c.next += missed * interval
	}
	c.next += interval
	if !held || w.fromRequest { // R16
		c.guardStart, c.guardKind = at, rotation.KindAuto
	}
}

// force decides a forced call at the instant at: R3, or R2 when held.
func (w *worker) force(id int64, c *card, interval, at int64) {
	if w.forced != nil {
		w.forced[w.Detail.binOf(at)]++
	}
	if w.Record {
		w.records = append(w.records, record{at, 0, int32(id)})
	}
	held := at-c.guardStart < w.guard
	if held {
		w.forcedHeld++
		w.scenario[scenario(c.guardKind, rotation.KindForced)]++
	} else {
		w.forcedScheduled++
		if c.next < at {
			w.wait(c.next, at)
		}
		c.next = at + interval
	}
	if !held || w.fromRequest { // R16
		c.guardStart, c.guardKind = at, rotation.KindForced
	}
}

// wait counts a card that is overdue from one instant to another.
func (w *worker) wait(from, until int64) {
	w.waiting[from/second]++
	if until <= w.end {
		w.waiting[until/second]--
	}
}

// endOverdue counts a card that is overdue at the end, since its slot.
func (w *worker) endOverdue(slot int64) {
	w.wait(slot, never)
	w.late.overdue++
	w.late.count(w.end - slot)
	if slot <= w.judged {
		w.late.beyond++
	} else {
		w.late.unjudged++
	}
}

// leaveOut counts those of n served slots, the first and then one an interval, that are
// too near to the end to be judged: whether such a slot is served in time is known of the
// served ones alone.
func (w *worker) leaveOut(first, interval, n int64) {
	switch {
	case first > w.judged:
		w.late.unjudged += n
	case first+(n-1)*interval > w.judged:
		w.late.unjudged += n - (w.judged-first)/interval - 1
	}
}

// simulateEvents simulates a card event by event. Nothing depends on other cards.
func (w *worker) simulateEvents(g *group, id int64) {
	c := card{next: w.firstSlot(g, id), guardKind: rotation.KindSetInterval}
	calls := w.callsOf(id)
	for {
		limit := min(calls.next, w.end)
		at := w.servedAt(c.next)
		for at <= limit {
			w.rotate(id, &c, g.interval, at)
			if !w.Record {
				w.rotateOnTime(&c, g.interval, limit)
			}
			at = w.servedAt(c.next)
		}
		if calls.next == never {
			break
		}
		w.force(id, &c, g.interval, calls.next)
		w.advance(&calls)
	}
	if c.next <= w.end {
		w.endOverdue(c.next)
	}
}

// rotateOnTime is rotate for the usual case, repeated in registers: as long as
// slots up to the instant limit are served on time and not held.
func (w *worker) rotateOnTime(c *card, interval, limit int64) {
	if c.next < w.outageUntil {
		limit = min(limit, w.outageFrom-1)
	}
	next, guardStart, guard := c.next, c.guardStart, w.guard
	detail, bins := w.Detail, w.automatic
	for next <= limit && next-guardStart >= guard {
		if bin := uint64(detail.binOf(next)); bin < uint64(len(bins)) {
			bins[bin]++
		}
		w.autoScheduled++
		guardStart = next
		next += interval
	}
	if next > c.next {
		w.leaveOut(c.next, interval, (next-c.next)/interval)
		c.next, c.guardStart, c.guardKind = next, guardStart, rotation.KindAuto
	}
}

// servedAt returns when a slot is served: at once, or when the outage is over.
func (w *worker) servedAt(slot int64) int64 {
	if slot >= w.outageFrom && slot < w.outageUntil {
		return w.outageUntil
	}
	return slot
}

// simulateCalls simulates a card from forced call to forced call, by arithmetic. The automatic
// rotations in between are on time and an interval apart, so that only the
// first of them can be held.
func (w *worker) simulateCalls(group int, id int64) {
	g := &w.groups[group]
	c := card{next: w.firstSlot(g, id), guardKind: rotation.KindSetInterval}
	calls := w.callsOf(id)
	for {
		if limit := min(calls.next, w.end); c.next <= limit {
			n := int64(uint64(limit-c.next)/uint64(g.interval)) + 1
			if w.combs != nil {
				w.combs[group].add(w.Detail, c.next, n)
			}
			held := c.next-c.guardStart < w.guard
			w.leaveOut(c.next, g.interval, n)
			w.autoScheduled += n
			if held {
				w.autoScheduled--
				w.autoHeld++
				w.scenario[scenario(c.guardKind, rotation.KindAuto)]++
			}
			c.next += n * g.interval
			if !held || n > 1 || w.fromRequest {
				c.guardStart, c.guardKind = c.next-g.interval, rotation.KindAuto
			}
		}
		if calls.next == never {
			return
		}
		w.force(id, &c, g.interval, calls.next)
		w.advance(&calls)
	}
}
