package check

// entry is something that is to happen in a host.
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

// what says what an entry is.
type what uint8

const (
	entryTimer what = iota
	entryCall
	entryNodeUp
	entryRearm    // the host finds that a card has no timer
	entryDeadline // of the liveness phase
	entryHeal     // of the liveness phase: the event that heals a card whose clock was ahead
	entryRestart  // of the liveness phase: in order, as deployments are
)

// queue is a binary heap of entries in the order in which they happen.
type queue struct {
	entries []entry
	seq     int64
}

// earlier reports whether a happens before b.
func earlier(a, b *entry) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

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

func (q *queue) take() (first entry, ok bool) {
	if len(q.entries) == 0 {
		return first, false
	}
	first = q.entries[0]
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries = q.entries[:last]
	if last == 0 {
		return first, true
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
	return first, true
}
