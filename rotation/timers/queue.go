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
// or moved costs the same however many there are.
type queue struct {
	index index
	cards []card // by place
	free  int32  // 1 + a place without a card, the first of a list; 0: none
	n     int    // cards, those under way included
	out   int    // cards under way

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

// card is a card in its place. A link is 1 + the place of a card; 0: none.
type card struct {
	id       string
	at       int64 // under way: the earliest instant armed since then, or never
	next     int32 // in a list: a link; without a card: a link to the next such place
	previous int32 // in a list: a link, or minus 1 + the list; in the heap: the position
	failures uint8 // in a row
	where    where
}

type where uint8

const (
	nowhere where = iota // the place has no card
	inList
	inHeap
	underWay
)

func newQueue() *queue {
	return &queue{index: index{seed: maphash.MakeSeed()}, earliest: never}
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
		q.free = c.next
		*c = card{id: id}
		q.index.add(hash, place)
		q.n++
		q.insert(place, at)
		return
	}
	c := &q.cards[place]
	if c.where == underWay {
		c.at = min(c.at, at)
		return
	}
	c.failures = 0
	if c.at != at {
		q.remove(place)
		q.put(place, at)
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
	c.at, c.where = never, underWay
	q.out++
	return place, true
}

// put gives a card that is in no order an instant; never removes the card.
func (q *queue) put(place int32, at int64) {
	c := &q.cards[place]
	if c.where == underWay {
		q.out--
	}
	if at != never {
		q.insert(place, at)
		return
	}
	hash := q.index.hash(c.id)
	_, i := q.index.find(hash, c.id, q.cards)
	q.index.remove(hash, i)
	*c = card{next: q.free}
	q.free = place + 1
	q.n--
	if q.out == 0 && len(q.cards) >= 2*size && 4*q.n < len(q.cards) {
		q.compact()
	}
}

// compact gives the memory of places without a card back. No card is under way.
func (q *queue) compact() {
	old := q.cards
	*q = queue{index: index{seed: q.index.seed}, earliest: never, base: q.base, n: q.n, cards: make([]card, 0, 2*q.n)}
	for i := range old {
		if c := &old[i]; c.where != nowhere {
			place := int32(len(q.cards))
			q.cards = append(q.cards, *c)
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
		c.where = inHeap
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
	c.where, c.next, c.previous = inList, *first, ^(int32(level)<<levelBits | int32(list))
	if *first != 0 {
		q.cards[*first-1].previous = place + 1
	}
	*first = place + 1
	q.used[level][list/64] |= 1 << (list % 64)
}

// remove takes a card out of the heap or its list.
func (q *queue) remove(place int32) {
	c := &q.cards[place]
	if c.where == inHeap {
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
	c.where = nowhere
	if c.at == q.earliest {
		q.earliest = never
		if q.advance(); len(q.heap) > 0 {
			q.earliest = q.heap[0].at
		}
	}
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
