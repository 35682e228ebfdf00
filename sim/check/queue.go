package check

// entry is something that is to happen in a host.
type entry struct {
	at   int64   // true time
	seq  int64   // of two at one time the one that was put first comes first
	slot int64   // timer
	call *caller // call: what is called, when it is settled already
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

func (q *queue) before(i, j int) bool {
	a, b := &q.entries[i], &q.entries[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (q *queue) put(e entry) {
	q.seq++
	e.seq = q.seq
	q.entries = append(q.entries, e)
	i := len(q.entries) - 1
	for i > 0 && q.before(i, (i-1)/2) {
		q.entries[i], q.entries[(i-1)/2] = q.entries[(i-1)/2], q.entries[i]
		i = (i - 1) / 2
	}
}

func (q *queue) take() (e entry, ok bool) {
	if len(q.entries) == 0 {
		return e, false
	}
	e = q.entries[0]
	last := len(q.entries) - 1
	q.entries[0] = q.entries[last]
	q.entries = q.entries[:last]
	i := 0
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.before(child, least) {
				least = child
			}
		}
		if least == i {
			return e, true
		}
		q.entries[i], q.entries[least] = q.entries[least], q.entries[i]
		i = least
	}
}
