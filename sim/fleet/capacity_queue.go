package fleet

import (
	"cmp"
	"context"
	"slices"

	"cvvrotation/rotation"
)

// queue is the one queue that a capacity puts all cards through, ordered by slot. Forced
// calls don't queue, and affect their own card alone: those before a card's slot are
// decided when it enters, the rest when its turn comes.
//
// A card that is served has its next slot an interval after this one. So cards of
// one interval enter in the order in which they leave: each group has a ring, and
// nothing is sorted. Only a card whose schedule was moved, by a forced call or by
// missed slots, enters elsewhere: a bucket for the second of its slot, which is
// sorted when that second has come.
type queue struct {
	*worker
	rings   []ring
	strays  []stray  // cards in buckets, and free places
	free    int32    // the first free place
	buckets []int32  // by second: the first of the cards whose next slot is in it
	turns   []queued // the cards of this second's bucket, sorted
	calls   []kept   // by card; nil without forced calls
	busy    series   // forced calls by second: they come first
	now     int64    // the second in which the next card may be served
	served  int64    // automatic rotations in it so far
}

// none is no card.
const none = -1

// queued is a card in the queue.
type queued struct {
	next, guardStart int64
	call             int64 // the next forced call, or never
	id               int32
	group            uint8
	guardKind        rotation.Kind
}

// before reports whether q is served before o.
func (q *queued) before(o *queued) bool { return q.next < o.next || q.next == o.next && q.id < o.id }

// stray is a queued card in a bucket.
type stray struct {
	queued
	after int32 // the next one in the bucket, or the next free place
}

// ring holds the cards of one interval in the order of their slots.
type ring struct {
	cards       []queued
	first, held int
	interval    int64
}

// push appends a card, which may be the one that pop has just removed.
func (r *ring) push(q *queued) {
	i := r.first + r.held
	if i >= len(r.cards) {
		i -= len(r.cards)
	}
	if place := &r.cards[i]; place != q {
		*place = *q
	}
	r.held++
}

func (r *ring) pop() {
	r.held--
	if r.first++; r.first == len(r.cards) {
		r.first = 0
	}
}

// queue runs all cards through the queue, and returns the sums.
func (p *plan) queue(ctx context.Context) (*worker, error) {
	busy, err := p.forcedBySecond(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{worker: p.newWorker(), busy: busy, buckets: make([]int32, len(busy)), free: none}
	for i := range q.buckets {
		q.buckets[i] = none
	}
	if p.forcedEvery > 0 || p.burstQuota > 0 {
		q.calls = make([]kept, p.Cards)
	}
	for i := range p.groups {
		if err := q.enroll(ctx, i); err != nil {
			return nil, err
		}
	}
	for sec := range q.buckets {
		if err := q.second(ctx, int64(sec)); err != nil {
			return nil, err
		}
		if p.Progress != nil && sec%3600 == 0 {
			p.Progress(int64(sec), int64(len(q.buckets)))
		}
	}
	return q.worker, nil
}

// forcedBySecond counts the forced calls.
func (p *plan) forcedBySecond(ctx context.Context) (series, error) {
	if p.forcedEvery == 0 && p.burstQuota == 0 {
		return DetailSeconds.newSeries(p.end), nil
	}
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

// enroll puts the cards of a group into its ring, in the order of their first slots.
func (q *queue) enroll(ctx context.Context, group int) error {
	g := &q.groups[group]
	r := ring{cards: make([]queued, g.cards), interval: g.interval}
	q.rings = append(q.rings, r)
	all := make([]queued, 0, g.cards)
	for id := g.first; id < g.first+g.cards; id++ {
		if id%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c := queued{next: q.firstSlot(g, id), call: never, id: int32(id), group: uint8(group), guardKind: rotation.KindSetInterval}
		if q.calls != nil {
			calls := q.callsOf(id)
			c.call, q.calls[id] = calls.next, calls.keep()
		}
		all = append(all, c)
	}
	if g.spread > 0 {
		slices.SortFunc(all, func(a, b queued) int { return cmp.Or(cmp.Compare(a.next, b.next), cmp.Compare(a.id, b.id)) })
	}
	for i := range all {
		q.put(&all[i], all[i].next)
	}
	return nil
}

// second serves the cards whose slots are in a second, oldest slot first and then
// by card number.
func (q *queue) second(ctx context.Context, sec int64) error {
	if q.collect(sec); len(q.rings) == 1 && len(q.turns) == 0 {
		r := &q.rings[0] // as below, without a choice
		for end := (sec + 1) * second; r.held > 0 && r.cards[r.first].next < end; {
			c := &r.cards[r.first]
			r.pop()
			q.serve(c)
			if r.first%(1<<16) == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	}
	limit := queued{next: (sec + 1) * second}
	for turn, n := 0, 1; ; n++ {
		first, from := &limit, (*ring)(nil)
		for i := range q.rings {
			if r := &q.rings[i]; r.held > 0 && r.cards[r.first].before(first) {
				first, from = &r.cards[r.first], r
			}
		}
		if turn < len(q.turns) && q.turns[turn].before(first) {
			first, from = &q.turns[turn], nil
			turn++
		}
		if first == &limit {
			return nil
		}
		if from != nil {
			from.pop()
		}
		q.serve(first)
		if n%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// collect takes the cards out of the bucket of a second, and sorts them.
func (q *queue) collect(sec int64) {
	q.turns = q.turns[:0]
	for i := q.buckets[sec]; i != none; {
		s := &q.strays[i]
		q.turns = append(q.turns, s.queued)
		next := s.after
		s.after, q.free, i = q.free, i, next
	}
	if len(q.turns) > 1 {
		slices.SortFunc(q.turns, func(a, b queued) int { return cmp.Or(cmp.Compare(a.next, b.next), cmp.Compare(a.id, b.id)) })
	}
}

// serve rotates the card whose slot is the oldest, unless it has to wait and a
// forced call comes in between and moves its schedule.
func (q *queue) serve(c *queued) {
	slot, interval := c.next, q.rings[c.group].interval
	at := q.earliest(slot)
	for c.call < at {
		q.forceNext(c, interval)
		if c.next != slot {
			q.put(c, never)
			return
		}
	}
	if at == never {
		q.endOverdue(slot)
		return
	}
	q.served++
	if at == slot && at-c.guardStart >= q.guard && !q.Record { // as rotate does, in the usual case
		if q.automatic != nil {
			q.automatic[q.Detail.binOf(at)]++
		}
		q.autoScheduled++
		if slot > q.judged {
			q.late.unjudged++
		}
		c.next, c.guardStart, c.guardKind = at+interval, at, rotation.KindAuto
	} else {
		card := card{slot, c.guardStart, c.guardKind}
		q.rotate(int64(c.id), &card, interval, at)
		c.next, c.guardStart, c.guardKind = card.next, card.guardStart, card.guardKind
	}
	q.put(c, slot+interval)
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

// put lets a card wait for its next slot, unless that is after the end: in its ring
// if the slot is the regular one, else in the bucket of the slot's second. That is
// a later second than that of the slot before: the calls that come between the
// two may move the slot, and are decided first.
func (q *queue) put(c *queued, regular int64) {
	if c.call < c.next {
		interval := q.rings[c.group].interval
		for c.call < c.next {
			q.forceNext(c, interval)
		}
	}
	switch {
	case c.next > q.end:
	case c.next == regular:
		q.rings[c.group].push(c)
	default:
		if q.free == none {
			q.free = int32(len(q.strays))
			q.strays = append(q.strays, stray{after: none})
		}
		place := q.free
		q.free = q.strays[place].after
		bucket := &q.buckets[c.next/second]
		q.strays[place] = stray{*c, *bucket}
		*bucket = place
	}
}

// forceNext decides the card's next forced call.
func (q *queue) forceNext(c *queued, interval int64) {
	card := card{c.next, c.guardStart, c.guardKind}
	q.force(int64(c.id), &card, interval, c.call)
	c.next, c.guardStart, c.guardKind = card.next, card.guardStart, card.guardKind
	calls := q.resume(int64(c.id), q.calls[c.id])
	q.advance(&calls)
	c.call, q.calls[c.id] = calls.next, calls.keep()
}
