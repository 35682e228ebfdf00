package sim

import (
	"container/heap"
	"errors"
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// Errors of a closed loop, beside those of the rules; match them with [errors.Is].
var (
	// ErrAuto is an automatic event in the timeline of a closed loop.
	ErrAuto = errors.New("automatic event in a closed loop, which fires automatic events itself: remove it, or replay without --auto")
	// ErrOrder is an event earlier than the previous one.
	ErrOrder = errors.New("earlier than the previous event: sort the events by time for a closed loop")
	// ErrLag is a negative lag.
	ErrLag = errors.New("negative lag: automatic events can't precede their slot")
)

// Loop replays a timeline on a virtual clock that fires the automatic rotations
// itself, each naming its slot. Every one is delivered a lag after its slot. A
// schedule that moves cancels the timer of a slot still ahead; a timer whose
// slot has passed is in flight and arrives all the same. It is for one
// goroutine at a time; make one with [NewLoop].
type Loop struct {
	replay *Replay
	until  time.Time
	lag    time.Duration
	now    time.Time
	timers timerHeap
	armed  map[string]*timer // the latest timer of each card, until it fires
}

// NewLoop returns a Loop whose clock fires up to and including the instant
// until. The error wraps [ErrLag] or rotation.ErrInstant.
func NewLoop(rules rotation.Rules, until time.Time, lag time.Duration) (*Loop, error) {
	if lag < 0 {
		return nil, fmt.Errorf("lag %v: %w", lag, ErrLag)
	}
	if _, _, err := rules.Decide(rotation.State{}, rotation.Disable(until)); err != nil {
		return nil, fmt.Errorf("until %s: %w", until.Format(time.RFC3339), rotation.ErrInstant)
	}
	return &Loop{
		replay: NewReplay(rules), until: until.UTC(), lag: lag,
		armed: make(map[string]*timer),
	}, nil
}

// Apply first fires what is due up to the event's instant, that instant
// included, and then applies the event. It calls emit with each step in order
// and stops at emit's first error. An event that is refused (see [ErrAuto],
// [ErrOrder] and rotation's errors) is refused before anything fires.
func (l *Loop) Apply(e timeline.Entry, emit func(Step) error) error {
	at := e.Event.At()
	if e.Event.Kind() == rotation.KindAuto {
		return ErrAuto
	}
	// Whether the rules accept an event does not depend on the state.
	if _, _, err := l.replay.rules.Decide(rotation.State{}, e.Event); err != nil {
		return err
	}
	if at.Before(l.now) {
		return ErrOrder
	}
	if err := l.fire(at, emit); err != nil {
		return err
	}
	l.now = at
	return l.step(e, false, emit)
}

// Finish fires all that is due up to the instant until of [NewLoop].
func (l *Loop) Finish(emit func(Step) error) error { return l.fire(l.until, emit) }

// fire delivers every timer that arrives up to and including limit, and none
// after l.until.
func (l *Loop) fire(limit time.Time, emit func(Step) error) error {
	if limit.After(l.until) {
		limit = l.until
	}
	for len(l.timers) > 0 && !l.timers[0].arrival.After(limit) {
		t := heap.Pop(&l.timers).(*timer)
		if l.armed[t.card] == t {
			delete(l.armed, t.card)
		}
		l.now = t.arrival
		e := timeline.Entry{Card: t.card, Event: rotation.AutoSlot(t.arrival, t.slot)}
		if err := l.step(e, true, emit); err != nil {
			return err
		}
	}
	return nil
}

// step applies e and moves the card's timer.
func (l *Loop) step(e timeline.Entry, fired bool, emit func(Step) error) error {
	step, err := l.replay.Apply(e)
	if err != nil {
		return err
	}
	step.Fired = fired
	before, _ := step.Before.Next()
	if next, on := step.After.Next(); !next.Equal(before) {
		l.disarm(e.Card)
		if on {
			l.arm(e.Card, next)
		}
	}
	return emit(step)
}

func (l *Loop) arm(card string, slot time.Time) {
	t := &timer{card: card, slot: slot, arrival: slot.Add(l.lag)}
	heap.Push(&l.timers, t)
	l.armed[card] = t
}

// disarm cancels the card's latest timer, unless its slot has passed: then it
// is in flight.
func (l *Loop) disarm(card string) {
	if t := l.armed[card]; t != nil {
		delete(l.armed, card)
		if t.slot.After(l.now) {
			heap.Remove(&l.timers, t.index)
		}
	}
}

// timer delivers one slot of one card.
type timer struct {
	card          string
	slot, arrival time.Time
	index         int // in the heap
}

// timerHeap orders timers by arrival, then by card, then by slot.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if c := a.arrival.Compare(b.arrival); c != 0 {
		return c < 0
	}
	if c := strings.Compare(a.card, b.card); c != 0 {
		return c < 0
	}
	return a.slot.Before(b.slot)
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
