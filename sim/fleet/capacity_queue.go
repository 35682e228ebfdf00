package fleet

import (
	"cmp"
	"context"
	"slices"

	"cvvrotation/rotation"
)

// queue is the one queue that a capacity puts all cards through, ordered by
// slot. Forced calls don't queue and are no other card's business: those before
// a card's slot are decided when it enters, the rest when its turn comes.
type queue struct {
	*worker
	cards   []queued
	buckets []int32 // by second: the first of the cards whose next slot is in it
	busy    series  // forced calls by second: they come first
	now     int64   // the second in which the next card may be served
	served  int64   // automatic rotations in it so far
}

// none is no card.
const none = -1

// queued is a card in the queue, packed into 32 bytes.
type queued struct {
	next, guardStart int64
	regular          int64  // as in calls
	packed           uint32 // calls.drawn << 3 | whether the burst is over << 2 | guardKind
	after            int32  // the next card in the bucket
}

// queue runs all cards through the queue, and returns the sums.
func (p *plan) queue(ctx context.Context) (*worker, error) {
	busy, err := p.forcedBySecond(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{worker: p.newWorker(), busy: busy, cards: make([]queued, p.Cards), buckets: make([]int32, len(busy))}
	for i := range q.buckets {
		q.buckets[i] = none
	}
	for _, g := range p.groups {
		for id := g.first; id < g.first+g.cards; id++ {
			if id%(1<<16) == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			q.put(id, g.interval, card{next: p.firstSlot(&g, id), guardKind: rotation.KindSetInterval}, p.callsOf(id))
		}
	}
	type turn struct {
		slot int64
		id   int32
	}
	var turns []turn
	for sec := range q.buckets {
		turns = turns[:0]
		for id := q.buckets[sec]; id != none; id = q.cards[id].after {
			turns = append(turns, turn{q.cards[id].next, id})
		}
		slices.SortFunc(turns, func(a, b turn) int {
			return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.id, b.id))
		})
		for i, t := range turns {
			if i%(1<<16) == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			q.serve(int64(t.id))
		}
		if p.Progress != nil && sec%3600 == 0 {
			p.Progress(int64(sec), int64(len(q.buckets)))
		}
	}
	return q.worker, nil
}

// forcedBySecond counts the forced calls.
func (p *plan) forcedBySecond(ctx context.Context) (series, error) {
	counting := *p
	counting.Detail, counting.Progress = DetailSeconds, nil
	workers, err := counting.share(ctx, func(w *worker, k chunk) {
		for id := k.first; id < k.last; id++ {
			for calls := p.callsOf(id); calls.next != never; p.advance(&calls) {
				w.forced[calls.next/second]++
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, w := range workers[1:] {
		workers[0].forced.add(w.forced)
	}
	return workers[0].forced, nil
}

// serve rotates the card whose slot is the oldest, unless it has to wait and a
// forced call comes in between and moves its schedule.
func (q *queue) serve(id int64) {
	interval := q.groupOf(id).interval
	c, calls := q.take(id)
	at := q.earliest(c.next)
	for slot := c.next; calls.next < at; {
		q.force(id, &c, interval, calls.next)
		q.advance(&calls)
		if c.next != slot {
			q.put(id, interval, c, calls)
			return
		}
	}
	if at == never {
		q.wait(c.next, never)
		return
	}
	q.served++
	q.rotate(id, &c, interval, at)
	q.put(id, interval, c, calls)
}

// earliest returns the first instant at which a slot can be served, never when
// that is after the end. Slots must not go back.
func (q *queue) earliest(slot int64) int64 {
	if sec := slot / second; sec > q.now {
		q.now, q.served = sec, 0
	}
	for {
		at := q.servedAt(max(slot, q.now*second))
		if at > q.end {
			return never
		}
		if sec := at / second; sec > q.now {
			q.now, q.served = sec, 0
			continue
		}
		if int64(q.busy[q.now])+q.served < q.Capacity {
			return at
		}
		q.now, q.served = q.now+1, 0
	}
}

// put puts a card into the bucket of its next slot, unless that is after the
// end. The bucket is a later one than that of the slot before: the calls that
// come between the two may move the slot, and are decided first.
func (q *queue) put(id, interval int64, c card, calls calls) {
	for calls.next < c.next {
		q.force(id, &c, interval, calls.next)
		q.advance(&calls)
	}
	if c.next > q.end {
		return
	}
	packed := uint32(calls.drawn)<<3 | uint32(c.guardKind)
	if calls.burst == never {
		packed |= 1 << 2
	}
	bucket := &q.buckets[c.next/second]
	q.cards[id] = queued{c.next, c.guardStart, calls.regular, packed, *bucket}
	*bucket = int32(id)
}

// take returns what put was given.
func (q *queue) take(id int64) (card, calls) {
	from := &q.cards[id]
	calls := q.callsOf(id)
	calls.regular, calls.drawn = from.regular, uint64(from.packed>>3)
	if from.packed&(1<<2) != 0 {
		calls.burst = never
	}
	calls.next = min(calls.regular, calls.burst)
	return card{from.next, from.guardStart, rotation.Kind(from.packed & 3)}, calls
}

// groupOf returns the group of a card.
func (p *plan) groupOf(id int64) *group {
	for i := range p.groups {
		if g := &p.groups[i]; id < g.first+g.cards {
			return g
		}
	}
	panic("fleet: no such card")
}
