package check

import (
	"context"
	"errors"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/timers"
)

// OnTimers returns package rotation as a system whose hosts have package
// rotation/timers in each node, instead of the simulated timer service. Timers are
// then neither late nor lost nor delivered twice, but nodes crash, clocks step, calls
// fail, and calls change a card while its callback is running.
func OnTimers(r rotation.Rules) System { return onTimers{rulesSystem{r}} }

type onTimers struct{ rulesSystem }

// With implements Configurable.
func (onTimers) With(r rotation.Rules) System { return OnTimers(r) }

// nodeClock is the clock of a node. Its mock makes the timers, which never fire: the
// host calls Tick.
type nodeClock struct {
	*clock.Mock
	host *host
	node int
}

func (c nodeClock) Now() time.Time { return time.Unix(0, c.host.nodes[c.node].clock(c.host.now)) }

var errNodeDown = errors.New("the node is down")

// startTimers gives a node timers without a card, as a process has that starts.
func (h *host) startTimers(n int) {
	var self *timers.Timers
	self, err := timers.New(nodeClock{clock.NewMock(), h, n}, func(_ context.Context, id string) (rotation.State, error) {
		if h.nodes[n].timers != self || h.nodes[n].down {
			return rotation.State{}, errNodeDown
		}
		return h.fire(n, int(id[0]))
	}, timers.Options{})
	if err != nil {
		panic(err) // New refuses nothing of this
	}
	h.nodes[n].timers = self
}

// fire is the callback of a node's timers. A call of another goroutine may change the
// card before it, or after it has stored; then the state that it returns is the older
// one.
func (h *host) fire(n, card int) (rotation.State, error) {
	c := &h.cards[card]
	if h.failure != nil || c.done || h.calm && c.poison {
		return rotation.State{}, nil
	}
	h.callMeanwhile(card)
	if h.nodes[n].down {
		return rotation.State{}, errNodeDown
	}
	state := c.state()
	if e, due := state.Due(nodeClock{nil, h, n}.Now()); due {
		slot, _ := e.Slot()
		events := h.events
		h.decide(card, n, caller{event: Event{Kind: rotation.KindAuto, HasSlot: true, Slot: slot.UnixNano()}}, entry{what: entryWake})
		if h.events == events || h.nodes[n].down {
			return rotation.State{}, errNodeDown
		}
		state = c.state()
	}
	h.callMeanwhile(card)
	return state, nil
}

// callMeanwhile may make a call to a card.
func (h *host) callMeanwhile(card int) {
	c := &h.cards[card]
	if h.calm || h.failure != nil || !c.timers.happens(h.o.weights[faultInFlight]) {
		return
	}
	if n, upAt := h.anyNode(int(c.timers.Below(int64(len(h.nodes))))); upAt <= h.now {
		h.note(card, "a call comes while the callback of the timer is running")
		h.decide(card, n, h.drawCall(c), entry{what: entryCall, card: card})
	}
}

// state returns a card's stored state.
func (c *hostCard) state() (s rotation.State) {
	_ = s.UnmarshalBinary(c.stored) // an invariant has checked it
	return s
}

// armTimers arms a card in a node's timers.
func (h *host) armTimers(card, on int) {
	h.cards[card].owner = on
	if !h.nodes[on].down {
		h.nodes[on].timers.Arm(string(rune(card)), h.cards[card].state())
	}
}

// wakeNodes lets the nodes' timers deliver what is due, and sets when they next do.
// While all nodes are up, some node has to wake at the first slot, or within the
// longest back-off.
func (h *host) wakeNodes() {
	wake, latest, allUp := int64(never), int64(0), true
	for events := -1; events != h.events; { // a call may have armed another node
		events, wake = h.events, never
		for n := range h.nodes {
			node := &h.nodes[n]
			h.queue.own[ownTimer(n)].at = never
			if node.down {
				continue
			}
			if next, armed := node.timers.Tick(context.Background()); armed {
				wake = min(wake, next.UnixNano())
				h.queue.set(ownTimer(n), entry{at: h.now + max(1, next.UnixNano()-node.clock(h.now)), what: entryWake, node: n})
			}
		}
	}
	for _, node := range h.nodes {
		latest, allUp = max(latest, node.clock(h.now)+int64(time.Hour)), allUp && !node.down
	}
	for i := range h.cards {
		c := &h.cards[i]
		slot, on := c.state().Next()
		if ahead := slot.UnixNano() > latest-int64(time.Hour)+c.oracle.view.Interval; ahead && wake < never {
			continue // by a clock that has stepped back since, as may be the instant of a retry
		}
		if allUp && on && !c.poison && !c.done && h.failure == nil && wake > max(slot.UnixNano(), latest) {
			h.note(i, "no node wakes for the slot %v", instant(slot.UnixNano()))
			h.failure = &runFailure{card: i, verdict: verdict{broken: 1 << alive}}
		}
	}
}
