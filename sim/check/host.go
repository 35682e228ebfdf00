package check

import (
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/internal/splitmix"
)

// startOfRuns is 2026-11-22T12:00:00Z, the true time at which every run starts;
// endOfRuns ends its safety phase, so that neither a clock step nor an
// interval of ten years leaves the instants that R22 accepts.
const (
	startOfRuns = 1_795_348_800 * int64(time.Second)
	endOfRuns   = startOfRuns + 60*year
	day         = 24 * int64(time.Hour)
	year        = 365 * day
)

// host is a simulated host: nodes with clocks of their own that share a store,
// a timer service that delivers at least once, and callers. It is drawn from a
// seed. A host is used for one run after another.
type host struct {
	system   System
	guard    int64 // of the system's rules
	reach    int64 // how far clocks and deliveries go astray: the guard, or longer
	bug      hostBug
	onTimers bool // package rotation/timers delivers (OnTimers)
	polls    bool // the service finds due cards itself
	o        options

	now     int64 // true time
	queue   queue
	retries []caller // calls to be retried
	nodes   []node
	cards   []hostCard
	calm    bool // the liveness phase: nothing goes wrong any more
	events  int  // that were decided
	stalled bool // by hostStallsOnFailure

	coverage coverage
	oracles  []*oracle  // of any run, for reuse
	traces   [][]traced // likewise
	hash     uint64
	failure  *runFailure
	journal  *journal // nil: not recorded
}

// hostCard is a card as the host and its callers see it.
type hostCard struct {
	oracle *oracle
	stored []byte
	cached [maxNodes][]byte // the bugs hostCachedState and hostPersistsAutoOnly
	calls  stream
	timers stream
	faults stream
	trace  []traced

	owner     int   // the node that keeps the card's timer
	pending   bool  // the host believes that a timer is under way
	armed     int64 // for this slot
	gen       int   // of the timer under way: older ones are superseded
	last      int64 // the slot last delivered
	decidedBy int   // the node of the last event
	crashed   bool  // its node crashed since its last event
	wasAhead  bool  // a clock years ahead decided its last event
	slots     [4]int64
	poison    bool
	automatic int // automatic rotations in the liveness phase
	done      bool
}

// traced is an event that was decided, and the answer.
type traced struct {
	event   Event
	outcome Outcome
}

// runFailure is what a run found.
type runFailure struct {
	card int
	verdict
}

// newHost returns a host of the system, with the bug's mistake if the bug is in
// the host.
func newHost(s System, b Bug) *host {
	_, onTimers := s.(onTimers)
	guard := termsOf(s.Rules()).guard
	return &host{system: s, guard: guard, reach: max(guard, int64(rotation.DefaultGuard)), bug: b.host, onTimers: onTimers, polls: polls(s)}
}

// hosts are the hosts of a system, one for each set of rules that seeds draw.
type hosts struct {
	system System
	bug    Bug
	all    map[rotation.Rules]*host
}

// run simulates the run of a seed, and returns its host.
func (hs *hosts) run(seed uint64) *host {
	o := drawOptions(seed, hs.system)
	h := hs.all[o.rules]
	if h == nil {
		s := hs.system
		if c, ok := s.(Configurable); ok {
			s = c.With(o.rules)
		}
		h = newHost(s, hs.bug)
		if hs.all == nil {
			hs.all = make(map[rotation.Rules]*host)
		}
		hs.all[o.rules] = h
	}
	h.run(seed, o)
	return h
}

// run simulates the run of a seed.
func (h *host) run(seed uint64, o options) {
	h.o = o
	seed ^= o.again << 40
	h.now, h.calm, h.events, h.stalled, h.failure = startOfRuns, false, 0, false, nil
	h.coverage = coverage{}
	h.queue.reset()
	h.retries = h.retries[:0]
	h.hash = splitmix.Mix(seed)
	h.nodes = h.nodes[:0]
	for i := range o.nodes {
		n := node{driftFrom: h.now, draws: newStream(seed, i, streamClocks)}
		if n.draws.happens(o.weights[faultOffset]) {
			n.offset = n.draws.Below(6*h.reach) - 3*h.reach
		}
		if n.draws.happens(o.weights[faultDrift]) {
			n.drift = n.draws.Below(1001) - 500
		}
		h.nodes = append(h.nodes, n)
		if h.onTimers {
			h.startTimers(i)
		}
	}
	h.setUpCards(seed)
	steps := 0
	for h.events < o.events && h.now < endOfRuns && steps < 50*o.events {
		if !h.step() {
			return
		}
		steps++
	}
	h.calmDown()
	for h.step() {
	}
	for i := range h.cards {
		if h.failure == nil {
			h.replay(i)
		}
	}
}

func (h *host) setUpCards(seed uint64) {
	for len(h.oracles) < h.o.cards {
		h.oracles = append(h.oracles, newOracle(h.system))
		h.traces = append(h.traces, nil)
	}
	for i := range h.cards {
		h.traces[i] = h.cards[i].trace[:0]
	}
	h.cards = h.cards[:0]
	for i := range h.o.cards {
		c := hostCard{oracle: h.oracles[i], trace: h.traces[i]}
		c.oracle.reset()
		c.stored = append(c.stored, c.oracle.stored...)
		c.calls, c.timers = newStream(seed, i, streamCalls), newStream(seed, i, streamTimers)
		c.faults = newStream(seed, i, streamFaults)
		h.cards = append(h.cards, c)
		if h.o.without[i] {
			continue // nothing ever happens to it
		}
		h.queue.set(ownCall(i), entry{at: h.now + h.cards[i].calls.Below(int64(time.Hour)), what: entryCall, card: i})
	}
}

// step runs the next entry of the queue; false when there is none, or an invariant
// is broken.
func (h *host) step() bool {
	e, ok := h.queue.take()
	if !ok || h.failure != nil {
		return false
	}
	h.now = max(h.now, e.at)
	c := &h.cards[e.card]
	switch e.what {
	case entryTimer:
		h.timer(e)
	case entryCall:
		h.call(e)
	case entryNodeUp:
		h.up(e.node)
	case entryRearm:
		if c.gen == e.gen {
			c.pending = false
			h.coverage[goalLost]++
			h.note(e.card, "the host finds that the timer is missing")
			h.arm(e.card, c.owner, c.oracle.view.Next, false)
		}
	case entryHeal:
		if next := c.oracle.view.Next; c.oracle.view.Interval != 0 && next > h.now+c.oracle.view.Interval {
			h.coverage[goalHealed]++
			h.decide(e.card, c.owner, caller{event: Event{Kind: rotation.KindForced}}, e)
		}
	case entryDeadline:
		h.deadline(e)
	case entryRestart:
		if !c.done {
			h.crash(c.owner, int64(time.Millisecond), "is restarted (orderly)")
			h.coverage[goalRestart]++
			e.at = h.now + c.oracle.view.Interval*2/5
			h.queue.put(e)
		}
	}
	if h.onTimers {
		h.wakeNodes()
	}
	return h.failure == nil
}

// replay compares a card's trace with a card that gets the same events without a
// host.
func (h *host) replay(i int) {
	card := h.system.NewCard()
	trace := h.cards[i].trace
	for k, t := range trace {
		if out, _ := apply(card, &t.event); out != t.outcome {
			h.cards[i].trace = trace[:k+1]
			h.failure = &runFailure{card: i, verdict: verdict{broken: 1 << replays, outcome: t.outcome}}
			return
		}
	}
}
