package timers

import (
	"hash/maphash"
	"math"
	"math/bits"
)

// queue has the cards in the order in which they are due: by instant, and cards of
// one instant by id. It is a timing wheel above a heap (docs/decisions/engine.md):
// the heap has the cards up to the end of the current second, in order, and the
// wheel has the others in lists, by second or coarser. A card moves from list to
// list, and at last to the heap, as its instant comes near. So a card that is armed
// or moved costs the same however many there are. One that is moved to a later instant
// stays in its list until then.
type queue struct {
	index    index
	cards    []card          // by place
	failures map[int32]uint8 // by place: in a row, of the cards that have any
	free     int32           // a link to the first place without a card
	n        int             // cards, those under way included
	out      int             // cards under way

	earliest int64   // the instant of the first card; never: there is none
	base     int64   // the heap has the cards up to the end of base's second
	heap     []entry // 4-ary
	first    [levels][size]int32
	used     [levels][size / 64]uint64 // the lists that are not empty
}

const (
	never = math.MaxInt64

	// A list of the lowest level has the cards of 2^30 ns, about a second; one of
	// the next level those of 1024 such seconds, and so on. The years 1970 to 2200
	// fit in 4 levels.
	secondBits = 30
	levelBits  = 10
	size       = 1 << levelBits
	levels     = 4
)

// entry is a card in the heap.
type entry struct {
	at    int64
	place int32
}

// card is a card in its place: 32 bytes, so that it is in one cache line. A link is
// 1 + a place; 0: none.
type card struct {
	id       string
	at       int64 // under way: the earliest instant armed since then, or never
	next     int32 // in a list: a link; else one of the constants below
	previous int32 // in a list: a link, or the complement of the list; in the heap: the position; without a card: a link
}

const (
	inHeap = -1 - iota
	underWay
	nowhere // the place has no card
)

func newQueue() *queue {
	return &queue{index: index{seed: maphash.MakeSeed()}, failures: map[int32]uint8{}, earliest: never}
}

// arm sets a card's instant; never removes the card. A card under way keeps the
// earliest one.
func (q *queue) arm(id string, at int64) {
	hash := q.index.hash(id)
	place, _ := q.index.find(hash, id, q.cards)
	if place < 0 {
		if at == never {
			return
		}
		if place = q.free - 1; place < 0 {
			place = int32(len(q.cards))
			q.cards = append(q.cards, card{})
		}
		c := &q.cards[place]
		q.free = c.previous
		*c = card{id: id, next: nowhere}
		q.index.add(hash, place)
		q.n++
		q.insert(place, at)
		return
	}
	c := &q.cards[place]
	if c.next == underWay {
		c.at = min(c.at, at)
		return
	}
	delete(q.failures, place)
	switch before := c.at; {
	case at == before:
	case c.next >= 0 && before < at && at < never: // it stays in its list, until advance moves it on
		c.at = at
		q.gone(before)
	default:
		q.remove(place)
		q.put(place, at)
	}
}

// gone finds the first card again if it was the card that has left an instant.
func (q *queue) gone(at int64) {
	if at == q.earliest {
		q.earliest = never
		if q.advance(); len(q.heap) > 0 {
			q.earliest = q.heap[0].at
		}
	}
}

// take removes the first card from the order if it is due, and marks it as under
// way until put is called.
func (q *queue) take(now int64) (place int32, ok bool) {
	if q.earliest > now {
		return 0, false
	}
	q.advance()
	place = q.heap[0].place
	q.remove(place)
	c := &q.cards[place]
	c.at, c.next = never, underWay
	q.out++
	return place, true
}

// put gives a card that is in no order an instant; never removes the card.
func (q *queue) put(place int32, at int64) {
	c := &q.cards[place]
	if c.next == underWay {
		q.out--
	}
	if at != never {
		q.insert(place, at)
		return
	}
	hash := q.index.hash(c.id)
	_, i := q.index.find(hash, c.id, q.cards)
	q.index.remove(hash, i)
	delete(q.failures, place)
	*c = card{next: nowhere, previous: q.free}
	q.free = place + 1
	q.n--
	if q.out == 0 && len(q.cards) >= 2*size && 4*q.n < len(q.cards) {
		q.compact()
	}
}

// compact gives the memory of places without a card back. No card is under way.
func (q *queue) compact() {
	old, failures, base, n := q.cards, q.failures, q.base, q.n
	*q = *newQueue()
	q.base, q.n = base, n
	for i, c := range old {
		if c.next != nowhere {
			place := int32(len(q.cards))
			q.cards = append(q.cards, c)
			if n := failures[int32(i)]; n > 0 {
				q.failures[place] = n
			}
			q.index.add(q.index.hash(c.id), place)
			q.insert(place, c.at)
		}
	}
}

// insert puts a card into the heap or a list.
func (q *queue) insert(place int32, at int64) {
	q.earliest = min(q.earliest, at)
	c := &q.cards[place]
	c.at = at
	if at>>secondBits <= q.base>>secondBits {
		c.next = inHeap
		q.heap = append(q.heap, entry{})
		q.up(len(q.heap)-1, entry{at, place})
		return
	}
	level, shift := 0, secondBits
	for at>>shift-q.base>>shift >= size {
		level, shift = level+1, shift+levelBits
	}
	list := at >> shift & (size - 1)
	first := &q.first[level][list]
	c.next, c.previous = *first, ^(int32(level)<<levelBits | int32(list))
	if *first != 0 {
		q.cards[*first-1].previous = place + 1
	}
	*first = place + 1
	q.used[level][list/64] |= 1 << (list % 64)
}

// remove takes a card out of the heap or its list.
func (q *queue) remove(place int32) {
	c := &q.cards[place]
	if c.next == inHeap {
		last := len(q.heap) - 1
		e, i := q.heap[last], int(c.previous)
		q.heap = q.heap[:last]
		if i < last {
			if q.before(e, entry{c.at, place}) {
				q.up(i, e)
			} else {
				q.down(i, e)
			}
		}
		if last >= size && 4*last < cap(q.heap) {
			q.heap = append(make([]entry, 0, 2*last), q.heap...)
		}
	} else {
		if c.next != 0 {
			q.cards[c.next-1].previous = c.previous
		}
		if c.previous > 0 {
			q.cards[c.previous-1].next = c.next
		} else {
			list := ^c.previous
			q.first[list>>levelBits][list&(size-1)] = c.next
			if c.next == 0 {
				q.used[list>>levelBits][list&(size-1)/64] &^= 1 << (list % 64)
			}
		}
	}
	c.next = nowhere
	q.gone(c.at)
}

// advance fills the heap if it is empty: it moves the base to the start of the first
// list that is not empty, and the cards of the lists that start there to where they
// belong from there, until one is in the heap.
func (q *queue) advance() {
	for len(q.heap) == 0 {
		start := int64(never)
		for level := range levels {
			start = min(start, q.firstStart(level))
		}
		if start == never {
			return
		}
		q.base = start
		for level := range levels {
			shift := secondBits + level*levelBits
			if start&(1<<shift-1) != 0 {
				continue
			}
			list := start >> shift & (size - 1)
			link := q.first[level][list]
			q.first[level][list] = 0
			q.used[level][list/64] &^= 1 << (list % 64)
			for link != 0 {
				c, place := &q.cards[link-1], link-1
				link = c.next
				q.insert(place, c.at)
			}
		}
	}
}

// firstStart returns the start of a level's first list that is not empty.
func (q *queue) firstStart(level int) int64 {
	shift := secondBits + level*levelBits
	i := q.base>>shift + 1 // lists are numbered without end; their places repeat
	for end := i + size; i < end; i = i | 63 + 1 {
		if word := q.used[level][i&(size-1)/64] >> (i & 63); word != 0 {
			return (i + int64(bits.TrailingZeros64(word))) << shift
		}
	}
	return never
}

func (q *queue) before(a, b entry) bool {
	return a.at < b.at || a.at == b.at && q.cards[a.place].id < q.cards[b.place].id
}

func (q *queue) set(i int, e entry) {
	q.heap[i] = e
	q.cards[e.place].previous = int32(i)
}

// up puts e at position i of the heap, or as far up as it belongs.
func (q *queue) up(i int, e entry) {
	for i > 0 {
		parent := (i - 1) / 4
		if !q.before(e, q.heap[parent]) {
			break
		}
		q.set(i, q.heap[parent])
		i = parent
	}
	q.set(i, e)
}

// down puts e at position i of the heap, or as far down as it belongs.
func (q *queue) down(i int, e entry) {
	for {
		child := 4*i + 1
		if child >= len(q.heap) {
			break
		}
		for k := child + 1; k < min(4*i+5, len(q.heap)); k++ {
			if q.before(q.heap[k], q.heap[child]) {
				child = k
			}
		}
		if !q.before(q.heap[child], e) {
			break
		}
		q.set(i, q.heap[child])
		i = child
	}
	q.set(i, e)
}
