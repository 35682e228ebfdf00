package timers

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The model keeps the cards in a sorted slice.
type modelQueue []modelCard

type modelCard struct {
	id string
	at int64 // under way: as card.at
	on bool  // under way
}

func (m *modelQueue) remove(id string) (c modelCard) {
	*m = slices.DeleteFunc(*m, func(x modelCard) bool {
		if x.id == id {
			c = x
		}
		return x.id == id
	})
	return c
}

func (m *modelQueue) insert(c modelCard) {
	*m = append(*m, c)
	slices.SortFunc(*m, func(a, b modelCard) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
}

func (m modelQueue) first() (c modelCard) {
	for _, c = range m {
		if !c.on {
			return c
		}
	}
	return modelCard{at: never}
}

// The instants lie at the edges of the wheel's lists, a nanosecond around them, and
// anywhere from 1970 to 2200.
func TestQueue_FollowsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, m, places := newQueue(), modelQueue{}, map[string]int32{}
		now := rapid.Int64Range(0, 4e18).Draw(t, "start")
		q.base = now
		instant := rapid.Custom(func(t *rapid.T) int64 {
			shift := rapid.SampledFrom([]int{secondBits, secondBits + levelBits, secondBits + 2*levelBits, secondBits + 3*levelBits}).Draw(t, "shift")
			at := (now>>shift + rapid.SampledFrom([]int64{-1, 0, 0, 0, 0, 1, 1, 2, 63, 64, size - 1, size, size + 1}).Draw(t, "list")) << shift
			at += rapid.OneOf(rapid.Int64Range(-1, 2), rapid.Int64Range(0, 1<<shift-1)).Draw(t, "ns")
			if at < 0 || at > 7_258_118_400e9 {
				return now
			}
			return at
		})
		id := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("card-", rapid.IntRange(0, 40).Draw(t, "id")) })
		t.Repeat(map[string]func(*rapid.T){
			"arm": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "cards") {
					id, at := id.Draw(t, "card"), instant.Draw(t, "at")
					q.arm(id, at)
					if c := m.remove(id); c.on {
						m.insert(modelCard{id, min(at, c.at), true})
					} else {
						m.insert(modelCard{id, at, false})
					}
				}
			},
			"cancel": func(t *rapid.T) {
				id := id.Draw(t, "card")
				q.arm(id, never)
				if c := m.remove(id); c.on {
					m.insert(c)
				}
			},
			"take": func(t *rapid.T) {
				now = max(now, rapid.OneOf(rapid.Just(m.first().at), instant).Draw(t, "now"))
				if now == never {
					now = 0
				}
				place, ok := q.take(now)
				want := m.first()
				if ok != (want.at <= now) || ok && q.cards[place].id != want.id {
					t.Fatalf("take(%d) = place %d, %v; want %+v", now, place, ok, want)
				}
				if ok {
					m.remove(want.id)
					m.insert(modelCard{want.id, never, true})
					places[want.id] = place
				}
			},
			"put": func(t *rapid.T) {
				id := id.Draw(t, "card")
				c := m.remove(id)
				if !c.on {
					if c.id != "" {
						m.insert(c)
					}
					t.Skip("not under way")
				}
				if got := q.cards[places[id]].at; got != c.at {
					t.Fatalf("%s was armed for %d while under way, want %d", id, got, c.at)
				}
				at := rapid.OneOf(rapid.Just(int64(never)), instant).Draw(t, "at")
				q.put(places[id], at)
				if at != never {
					m.insert(modelCard{id, at, false})
				}
			},
			"": func(t *rapid.T) {
				if q.earliest != m.first().at || q.n != len(m) {
					t.Fatalf("%d cards, the first at %d; want %d, at %d", q.n, q.earliest, len(m), m.first().at)
				}
			},
		})
	})
}

// In the end all memory is given back but that of the queue itself. A card under way
// keeps its place until then.
func TestQueue_FreesTheMemoryOfRemovedCards(t *testing.T) {
	q := newQueue()
	const n = 20_000
	id := func(i int) string { return fmt.Sprint("card-", i) }
	for i := range n {
		q.arm(id(i), int64((i+3)%7)<<32)
	}
	for q.earliest < 2<<32 {
		place, _ := q.take(2 << 32)
		q.put(place, never)
	}
	kept, _ := q.take(2 << 32)
	keptID := q.cards[kept].id
	failing, _ := q.take(2 << 32)
	failingID := q.cards[failing].id
	q.put(failing, 2<<32)
	q.failures[failing] = 3
	for i := range n {
		if id(i) != failingID {
			q.arm(id(i), never)
		}
	}
	if got := q.cards[kept].id; got != keptID || len(q.cards) != n {
		t.Errorf("the place of %s, which is under way, has %q; %d places", keptID, got, len(q.cards))
	}
	q.put(kept, never)
	if len(q.cards) != 1 || q.failures[0] != 3 {
		t.Errorf("%d places and the failures %v; want one place, of the card with 3 failures", len(q.cards), q.failures)
	}
	q.arm(failingID, never)
	for _, c := range q.cards {
		if c.id != "" {
			t.Errorf("the id of a removed card, %s, is kept", c.id)
		}
	}
	for i, s := range q.index.shards {
		if s.table != nil {
			t.Errorf("shard %d still has a table of %d", i, len(s.table))
		}
	}
	if q.n != 0 || q.earliest != never || cap(q.heap) > 4*size {
		t.Errorf("%d cards, the first at %d, a heap of %d", q.n, q.earliest, cap(q.heap))
	}
}

func TestIndex_TellsIdsOfOneHashApart(t *testing.T) {
	var x index
	cards := []card{{id: "A"}, {id: "B"}}
	x.add(7, 0)
	x.add(7, 1)
	for place, c := range cards {
		if got, _ := x.find(7, c.id, cards); got != int32(place) {
			t.Errorf("%s is in place %d, want %d", c.id, got, place)
		}
	}
	if got, _ := x.find(7, "C", cards); got >= 0 {
		t.Errorf("C is in place %d, want none", got)
	}
}
