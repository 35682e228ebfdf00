package timers

import "hash/maphash"

// index finds a card's place by its id. It has half the memory of a map from id to
// place, because the ids are in the cards alone. It is a hash table in shards, so
// that no call waits until all of it has grown.
type index struct {
	seed   maphash.Seed
	shards [256]shard
}

// shard is a table with linear probing. An entry is the lower half of the id's
// hash, and below it 1 + the place; 0 is an empty entry.
type shard struct {
	table []uint64
	n     int
}

const smallestTable = 8

func (x *index) hash(id string) uint64 { return maphash.String(x.seed, id) }

func (x *index) shard(hash uint64) *shard { return &x.shards[hash>>56] }

// find returns the place of a card, -1 if there is none, and where the shard's table
// has it.
func (x *index) find(hash uint64, id string, cards []card) (place int32, at uint32) {
	s := x.shard(hash)
	if s.n == 0 {
		return -1, 0
	}
	for i := s.home(hash << 32); s.table[i] != 0; i = s.after(i) {
		place = int32(uint32(s.table[i])) - 1
		if s.table[i]>>32 == hash&(1<<32-1) && cards[place].id == id {
			return place, i
		}
	}
	return -1, 0
}

// add adds a card that is not there.
func (x *index) add(hash uint64, place int32) {
	s := x.shard(hash)
	if 4*s.n >= 3*len(s.table) {
		s.resize(max(smallestTable, 2*len(s.table)))
	}
	s.put(hash<<32 | uint64(place+1))
	s.n++
}

// remove removes the entry that find has found, and closes the gap.
func (x *index) remove(hash uint64, gap uint32) {
	s := x.shard(hash)
	for i := s.after(gap); s.table[i] != 0; i = s.after(i) {
		if distance := i - s.home(s.table[i]); distance&s.mask() >= (i-gap)&s.mask() {
			s.table[gap], gap = s.table[i], i
		}
	}
	s.table[gap] = 0
	s.n--
	switch {
	case s.n == 0:
		s.table = nil
	case len(s.table) > smallestTable && 8*s.n < len(s.table):
		s.resize(len(s.table) / 4)
	}
}

func (s *shard) mask() uint32              { return uint32(len(s.table) - 1) }
func (s *shard) home(entry uint64) uint32  { return uint32(entry>>32) & s.mask() }
func (s *shard) after(entry uint32) uint32 { return (entry + 1) & s.mask() }

func (s *shard) resize(n int) {
	old := s.table
	s.table = make([]uint64, max(smallestTable, n))
	for _, e := range old {
		if e != 0 {
			s.put(e)
		}
	}
}

func (s *shard) put(entry uint64) {
	i := s.home(entry)
	for s.table[i] != 0 {
		i = s.after(i)
	}
	s.table[i] = entry
}
