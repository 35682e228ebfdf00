package check

import (
	"fmt"

	"cvvrotation/sim/internal/splitmix"
)

// fault is something that goes wrong in a run, or that its callers do.
type fault uint8

const (
	faultLate       fault = iota // a timer comes late
	faultTwice                   // a timer comes twice
	faultLost                    // a timer never comes; the host arms it again later
	faultInFlight                // a timer comes although the schedule has moved
	faultEarly                   // a timer comes before its slot
	faultUnstored                // a node crashes before it has stored an event
	faultUnanswered              // a node crashes after that, before it answers
	faultRestart                 // a node is restarted in order
	faultOutage                  // all nodes are down for long
	faultOffset                  // a node's clock is off
	faultDrift                   // a node's clock drifts
	faultStep                    // a node's clock steps, back or ahead
	faultJump                    // a node's clock jumps years ahead, and back
	faultPoison                  // one card always fails
	faultBurst                   // forced calls in a burst around the guard's edges
	faultInterval                // the interval is changed or set again
	faultDisable                 // rotation is turned off, and on again
	faultOwnTimer                // automatic events that name no slot
	faultStale                   // automatic events that name a slot of long ago
	faultWrong                   // requests that R22 refuses

	numFaults
)

var faultNames = [numFaults]string{
	"late", "twice", "lost", "in-flight", "early", "unstored", "unanswered", "restart", "outage",
	"offset", "drift", "step", "jump", "poison", "burst", "interval", "disable", "own-timer", "stale", "wrong",
}

// dice draws what happens to an event of a card: nothing once the faults have
// ended.
func (h *host) dice(c *hostCard) dice {
	if h.calm {
		return ^dice(0) // above every weight
	}
	return c.faults.dice()
}

// stream is a sequence of random numbers that depends on its seed, its card and
// its purpose alone. What another card, fault or stream draws does not change it.
type stream struct{ splitmix.Stream }

// The purposes.
const (
	streamOptions = iota
	streamCalls
	streamTimers
	streamFaults
	streamClocks
)

func newStream(seed uint64, card, purpose int) stream {
	key := splitmix.Mix(seed+splitmix.Gamma) ^ splitmix.Mix(uint64(card)<<8|uint64(purpose))
	return stream{splitmix.New(splitmix.Mix(key))}
}

// happens reports true in weight of 256 cases.
func (s *stream) happens(weight uint8) bool {
	d := s.dice()
	return d.happens(weight)
}

// dice are eight draws of one chance in 256 each, for the price of one number.
type dice uint64

func (s *stream) dice() dice { return dice(s.Next()) }

// happens reports true in weight of 256 cases.
func (d *dice) happens(weight uint8) bool {
	side := uint8(*d)
	*d >>= 8
	return side < weight
}

func pick[T any](s *stream, of []T) T { return splitmix.Pick(&s.Stream, of...) }

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
