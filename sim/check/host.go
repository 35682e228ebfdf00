package check

import (
	"fmt"
	"math"
	"time"

	"cvvrotation/rotation"
)

// startOfRuns is 2026-11-22T12:00:00Z, the true time at which every run starts;
// endOfRuns ends its safety phase, so that neither a jump nor an interval of
// ten years leads out of the instants that R22 accepts.
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
	system System
	guard  int64
	bug    hostBug
	o      options

	now     int64 // true time
	queue   queue
	retries []caller // calls that come again
	nodes   []node
	cards   []hostCard
	calm    bool // the liveness phase: nothing goes wrong any more
	events  int  // that were decided
	stalled bool // by hostStallsOnFailure

	places  places
	judges  []*judge   // of any run, for reuse
	traces  [][]traced // likewise
	hash    uint64
	failure *runFailure
	journal *journal // nil: nobody reads it
}

// node is a process with a clock.
type node struct {
	down      bool
	upAt      int64 // while down
	offset    int64 // of its clock from the true time
	drift     int64 // in parts per million, from driftFrom on
	driftFrom int64
	jumped    int64 // what to take back of a jump
	draws     stream
}

func (n *node) clock(now int64) int64 {
	return now + n.offset + (now-n.driftFrom)/1_000_000*n.drift
}

// hostCard is a card as the host and its callers see it.
type hostCard struct {
	judge  *judge
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
	card   int
	broken []Invariant
	left   View      // what the event before the last one had left of the card
	met    situation // what the last one met
}

// caller is what a call asks for; a retry asks for the same again.
type caller struct {
	event    Event // its instant is that of the node that gets it
	relative bool  // the first slot it gives is a distance from that
}

// run simulates the run of a seed.
func (h *host) run(seed uint64, o options) {
	h.o = o
	seed ^= o.again << 40
	h.now, h.calm, h.events, h.stalled, h.failure = startOfRuns, false, 0, false, nil
	h.queue.reset()
	h.retries = h.retries[:0]
	h.hash = mix(seed)
	h.nodes = h.nodes[:0]
	for i := range o.nodes {
		n := node{driftFrom: h.now, draws: newStream(seed, i, streamClocks)}
		if n.draws.happens(o.weights[faultOffset]) {
			n.offset = n.draws.below(6*h.guard) - 3*h.guard
		}
		if n.draws.happens(o.weights[faultDrift]) {
			n.drift = n.draws.below(1001) - 500
		}
		h.nodes = append(h.nodes, n)
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
	for len(h.judges) < h.o.cards {
		h.judges = append(h.judges, newJudge(h.system))
		h.traces = append(h.traces, nil)
	}
	for i := range h.cards {
		h.traces[i] = h.cards[i].trace[:0]
	}
	h.cards = h.cards[:0]
	for i := range h.o.cards {
		c := hostCard{judge: h.judges[i], trace: h.traces[i]}
		c.judge.reset()
		c.stored = append(c.stored, c.judge.stored...)
		c.calls, c.timers = newStream(seed, i, streamCalls), newStream(seed, i, streamTimers)
		c.faults = newStream(seed, i, streamFaults)
		h.cards = append(h.cards, c)
		if h.o.without[i] {
			continue // nothing ever happens to it
		}
		h.queue.set(ownCall(i), entry{at: h.now + h.cards[i].calls.below(int64(time.Hour)), what: entryCall, card: i})
	}
}

// step lets the next thing happen; false when there is none, or something is
// broken.
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
			h.places[placeLost]++
			h.note(e.card, "the host finds that the timer is missing")
			h.arm(e.card, c.owner, c.judge.view.Next, false)
		}
	case entryHeal:
		if next := c.judge.view.Next; c.judge.view.Interval != 0 && next > h.now+c.judge.view.Interval {
			h.places[placeHealed]++
			h.decide(e.card, c.owner, caller{event: Event{Kind: rotation.KindForced}}, e)
		}
	case entryDeadline:
		h.deadline(e)
	case entryRestart:
		if !c.done {
			h.crash(c.owner, int64(time.Millisecond), "is restarted in order")
			h.places[placeRestart]++
			e.at = h.now + c.judge.view.Interval*2/5
			h.queue.put(e)
		}
	}
	return h.failure == nil
}

// dice draws what happens to an event of a card: nothing once the faults have
// ended.
func (h *host) dice(c *hostCard) dice {
	if h.calm {
		return ^dice(0) // above every weight
	}
	return c.faults.dice()
}

// timer delivers a timer.
func (h *host) timer(e entry) {
	c := &h.cards[e.card]
	if c.done {
		return
	}
	if e.gen != c.gen {
		if h.calm {
			return
		}
		h.places[placeInFlight]++
	}
	if h.stalled && !c.poison {
		e.at = h.now + day
		h.queue.put(e)
		return
	}
	node, upAt := h.anyNode(e.node)
	if upAt > h.now {
		e.at = upAt
		h.queue.put(e)
		return
	}
	if e.gen == c.gen {
		c.pending = false
	}
	if e.slot < c.last {
		h.places[placeOrder]++
	}
	c.last = e.slot
	event := Event{Kind: rotation.KindAuto, HasSlot: true, Slot: e.slot}
	if h.bug == hostUnnamedTimers {
		event = Event{Kind: rotation.KindAuto, Armed: e.slot}
	}
	h.decide(e.card, node, caller{event: event}, e)
}

// anyNode returns the node that takes a delivery, the preferred one if it is
// up, and when: now, or as soon as one is up again.
func (h *host) anyNode(preferred int) (node int, at int64) {
	at = math.MaxInt64
	for i := range h.nodes {
		n := (preferred + i) % len(h.nodes)
		if !h.nodes[n].down {
			return n, h.now
		}
		if h.nodes[n].upAt < at {
			node, at = n, h.nodes[n].upAt
		}
	}
	return node, at
}

// arm starts a timer for the slot on a node. Without a slot there is nothing to
// start, and the timer under way is superseded.
func (h *host) arm(card, on int, slot int64, restarted bool) {
	c := &h.cards[card]
	if slot != 0 && c.pending && c.armed == slot {
		return
	}
	h.supersede(card)
	c.pending, c.armed, c.owner = slot != 0, slot, on
	if slot == 0 {
		return
	}
	c.slots[c.gen%len(c.slots)] = slot
	delay := max(0, slot-h.nodes[on].clock(h.now))
	if restarted {
		switch {
		case h.bug == hostRestartResetsTimer:
			delay = c.judge.view.Interval
		case h.bug == hostSkipsOverdue && delay == 0:
			h.note(card, "the host arms no timer for the overdue slot %v", instant(slot))
			return
		}
	}
	t := entry{at: h.now + delay, what: entryTimer, card: card, node: on, gen: c.gen, slot: slot}
	if !h.calm {
		s := &c.timers
		d := s.dice()
		if d.happens(h.o.weights[faultLate]) {
			t.at += pick(s, []int64{1, s.below(h.guard), s.below(h.guard * 4), c.judge.view.Interval, s.below(3*c.judge.view.Interval + 1)})
		}
		if d.happens(h.o.weights[faultEarly]) {
			t.at = max(h.now, t.at-pick(s, []int64{1, 1, s.below(h.guard)}))
		}
		if d.happens(h.o.weights[faultLost]) {
			h.note(card, "the timer for %v is lost", instant(slot))
			t.what, t.at = entryRearm, t.at+s.below(c.judge.view.Interval+1)
			h.queue.put(t)
			return
		}
		if d.happens(h.o.weights[faultTwice]) {
			h.places[placeTwice]++
			again := t
			again.at += pick(s, []int64{0, 1, s.below(h.guard), h.guard, s.below(c.judge.view.Interval + 1)})
			h.queue.put(again)
		}
	}
	h.queue.set(ownTimer(card), t)
}

// supersede takes a card's timer back, unless it is in flight already.
func (h *host) supersede(card int) {
	c, old := &h.cards[card], &h.queue.own[ownTimer(card)]
	if old.at != never && !h.calm && c.timers.happens(h.o.weights[faultInFlight]) {
		h.queue.put(*old)
	}
	old.at = never
	c.gen++
	c.pending = false
}

// crash stops a node for a while. Its timers are gone with it.
func (h *host) crash(n int, pause int64, how string) {
	if h.nodes[n].down {
		return
	}
	h.nodes[n].down, h.nodes[n].upAt = true, h.now+pause
	h.queue.put(entry{at: h.now + pause, what: entryNodeUp, node: n})
	h.noteAll("node %d %s", n+1, how)
	for i := range h.cards {
		c := &h.cards[i]
		c.cached[n] = nil
		if c.owner == n {
			h.supersede(i)
			c.crashed = true
		}
	}
}

// up starts a node again: it arms timers from the stored states.
func (h *host) up(n int) {
	h.nodes[n].down = false
	h.noteAll("node %d is up", n+1)
	if h.bug == hostForgetsLost {
		return
	}
	for i := range h.cards {
		// All cards, not the node's own alone: an event that it stored and
		// never answered may have moved a schedule whose timer another keeps.
		h.arm(i, n, h.cards[i].judge.view.Next, true)
	}
}

// decide has a node decide an event, with all that may go wrong about it. The
// entry is what to put into the queue again when it has to be tried again.
func (h *host) decide(card, n int, call caller, again entry) {
	c := &h.cards[card]
	h.disturbClock(n)
	if c.poison {
		h.note(card, "the store fails")
		h.places[placePoison]++
		if h.bug == hostStallsOnFailure && again.what == entryTimer && !h.stalled {
			h.stalled = true
			h.noteAll("the host waits for a card whose event failed, and lets no other timer pass")
		}
		if again.what == entryTimer && again.gen == c.gen && !h.calm {
			again.at = h.now + 30*day
			h.queue.put(again)
		}
		return
	}
	d := h.dice(c)
	if d.happens(h.o.weights[faultUnstored]) {
		h.places[placeUnstored]++
		h.crash(n, h.pause(c), "crashes before it stores")
		h.retry(c, call, again)
		return
	}
	e := call.event
	e.At += h.nodes[n].clock(h.now)
	if call.relative {
		e.First += e.At
	}
	stored := c.stored
	caching := h.bug == hostCachedState || h.bug == hostPersistsAutoOnly
	if caching && c.cached[n] != nil {
		stored = c.cached[n]
	}
	out, wrong := c.judge.step(stored, e)
	h.events++
	c.trace = append(c.trace, traced{e, out})
	h.fold(card, e, out)
	h.places.meet(&c.judge.met, out)
	h.meetHost(card, n, e, out)
	if h.journal != nil {
		clock := ""
		if e.At != h.now {
			clock = fmt.Sprintf(" by its clock %v", instant(e.At))
		}
		h.note(card, "node %d decides%s: %v => %v", n+1, clock, e, out)
	}
	if wrong != 0 {
		h.failure = &runFailure{card, wrong.list(), c.judge.left, c.judge.met}
		return
	}
	if h.calm && out.Rotated && e.Kind == rotation.KindAuto {
		c.automatic++
	}

	if h.bug == hostReplyBeforePersist && d.happens(h.o.weights[faultUnanswered]) {
		h.crash(n, h.pause(c), "answers, and crashes before it stores")
		return
	}
	if h.bug != hostPersistsAutoOnly || e.Kind == rotation.KindAuto {
		c.stored = append(c.stored[:0], c.judge.stored...)
	}
	if caching {
		c.cached[n] = append(c.cached[n][:0], c.judge.stored...)
	}
	if h.bug != hostReplyBeforePersist && d.happens(h.o.weights[faultUnanswered]) {
		h.crash(n, h.pause(c), "crashes after it stored, before it answers")
		h.retry(c, call, again)
		return
	}
	if h.bug == hostDropsEarly && out.Reason == rotation.ReasonNotDue {
		c.pending, c.armed = true, out.Next
		h.note(card, "the host takes the timer for done")
		return
	}
	h.arm(card, n, out.Next, false)
	if d.happens(h.o.weights[faultRestart]) {
		h.places[placeRestart]++
		h.crash(n, h.pause(c), "is restarted")
	}
	if d.happens(h.o.weights[faultOutage]) {
		h.places[placeOutage]++
		pause := pick(&c.faults, []int64{int64(time.Minute), int64(12 * time.Hour), 14 * day, c.judge.view.Interval * 5 / 2})
		for i := range h.nodes {
			h.crash(i, pause, "is down, as all are")
		}
	}
}

// retry has an event that was not answered come again.
func (h *host) retry(c *hostCard, call caller, again entry) {
	h.retries = append(h.retries, call)
	again.at, again.call = h.now+pick(&c.faults, []int64{1, int64(time.Second), h.guard - 1, h.guard}), len(h.retries)
	h.queue.put(again)
}

func (h *host) pause(c *hostCard) int64 {
	return pick(&c.faults, []int64{1, int64(time.Second), h.guard, c.judge.view.Interval/2 + 1})
}

// meetHost counts the situations that are the host's.
func (h *host) meetHost(card, n int, e Event, out Outcome) {
	c := &h.cards[card]
	if c.crashed {
		h.places[placeAfterCrash]++
		if out.Rule == rotation.R12 {
			h.places[placeServedAfterCrash]++
		}
		c.crashed = false
	}
	if len(c.trace) > 1 && c.decidedBy != n && h.nodes[c.decidedBy].clock(h.now) != h.nodes[n].clock(h.now) {
		h.places[placeClocksDiffer]++
	}
	if c.wasAhead && out.Rescheduled && h.nodes[n].jumped == 0 {
		h.places[placeHealed]++
	}
	c.wasAhead = h.nodes[n].jumped != 0
	c.decidedBy = n
	if k := len(c.trace); k > 1 && out.Reason == rotation.ReasonGuard && c.trace[k-2].outcome.Reason == rotation.ReasonGuard {
		h.places[placeChain]++
	}
}

// disturbClock lets a node's clock do what clocks do.
func (h *host) disturbClock(n int) {
	if h.calm {
		return
	}
	node := &h.nodes[n]
	s := &node.draws
	d := s.dice()
	if d.happens(h.o.weights[faultStep] / 4) {
		step := pick(s, []int64{1, h.guard - 1, h.guard, h.guard + 1, int64(time.Hour), s.below(3 * h.guard)})
		if s.below(2) == 0 {
			step = -step
		}
		node.offset += step
		node.offset = max(-30*day, min(node.offset, 30*day+node.jumped))
		h.noteAll("the clock of node %d steps by %v", n+1, time.Duration(step))
	}
	if d.happens(h.o.weights[faultJump] / 8) {
		if node.jumped != 0 {
			h.noteAll("the clock of node %d jumps back by %v", n+1, time.Duration(node.jumped))
			node.offset -= node.jumped
			node.jumped = 0
			return
		}
		node.jumped = year + s.below(19*year)
		node.offset += node.jumped
		h.places[placeJump]++
		h.noteAll("the clock of node %d jumps ahead by %v", n+1, time.Duration(node.jumped))
	}
}

// fold adds a decided event to the trace hash.
func (h *host) fold(card int, e Event, out Outcome) {
	bits := uint64(card)<<32 | uint64(e.Kind)<<24 | uint64(out.Rule)<<16 | uint64(out.Refused)<<8 | uint64(out.Scenario)<<4
	if out.Rotated {
		bits |= 1
	}
	if out.Rescheduled {
		bits |= 2
	}
	h.hash = mix(h.hash ^ bits)
	h.hash = mix(h.hash ^ uint64(e.At))
	h.hash = mix(h.hash ^ uint64(e.Slot) ^ uint64(e.First)<<1)
	h.hash = mix(h.hash ^ uint64(out.Next) ^ uint64(out.Missed)<<1)
}

// replay holds a card's trace against a card that no host has come near.
func (h *host) replay(i int) {
	card := h.system.NewCard()
	trace := h.cards[i].trace
	for k, t := range trace {
		if card.Apply(t.event) != t.outcome {
			h.cards[i].trace = trace[:k+1]
			h.failure = &runFailure{card: i, broken: []Invariant{replays}}
			return
		}
	}
}

// calmDown ends the faults: clocks are right, nodes come up, timers come on
// time, and nobody calls any more. What the host has lost stays lost.
func (h *host) calmDown() {
	h.calm = true
	for i := range h.nodes {
		h.nodes[i].offset, h.nodes[i].drift, h.nodes[i].jumped = 0, 0, 0
	}
	h.noteAll("the faults end")
	for _, e := range h.queue.all() {
		switch e.what {
		case entryTimer:
			e.at = max(h.now, e.slot)
			h.queue.put(e)
		case entryNodeUp:
			e.at, h.nodes[e.node].upAt = h.now, h.now
			h.queue.put(e)
		case entryRearm:
			e.at = h.now
			h.queue.put(e)
		}
	}
	restarts := h.nodes[0].draws.below(2) == 0
	for i := range h.cards {
		c := &h.cards[i]
		interval := c.judge.view.Interval
		if interval == 0 || c.poison {
			c.done = !c.poison
			continue
		}
		from := h.now
		if c.judge.view.Next > h.now+interval {
			h.queue.put(entry{at: h.now + 2*h.guard, what: entryHeal, card: i})
			h.queue.put(entry{at: h.now + 3*h.guard, what: entryHeal, card: i})
			from = h.now + 3*h.guard
		}
		h.queue.put(entry{at: from + interval + slack, what: entryDeadline, card: i, due: 1})
		if restarts {
			h.queue.put(entry{at: from + interval*2/5, what: entryRestart, card: i})
		}
	}
}

// slack is what orderly restarts may cost.
const slack = int64(time.Minute)

// deadline checks that a card is alive.
func (h *host) deadline(e entry) {
	c := &h.cards[e.card]
	if c.automatic < e.due {
		h.note(e.card, "at least %d automatic rotations are due since the faults ended; there were %d", e.due, c.automatic)
		h.failure = &runFailure{card: e.card, broken: []Invariant{alive}}
		return
	}
	if e.due == 3 {
		c.done = true
		return
	}
	e.due++
	e.at += c.judge.view.Interval
	h.queue.put(e)
}

// journal is what happened in a run, for people.
type journal struct{ lines []journalLine }

type journalLine struct {
	at   int64
	card int // -1: concerns all
	text string
}

func (h *host) note(card int, format string, args ...any) {
	if h.journal != nil {
		h.journal.lines = append(h.journal.lines, journalLine{h.now, card, fmt.Sprintf(format, args...)})
	}
}

func (h *host) noteAll(format string, args ...any) { h.note(-1, format, args...) }
