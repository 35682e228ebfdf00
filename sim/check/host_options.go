package check

import (
	"fmt"
	"strings"
	"time"

	"cvvrotation/rotation"
)

// options are all that is drawn for a run before it starts.
type options struct {
	cards     int
	nodes     int
	events    int              // when the safety phase ends
	weights   [numFaults]uint8 // how often a fault happens, in 256; 0: never
	intervals []int64
	rules     rotation.Rules
	without   [maxCards]bool // cards that shrinking removed
	again     uint64         // which of its redrawn runs shrinking chose; 0: the run of the seed
}

const (
	maxCards = 4
	maxNodes = 3
)

var someIntervals = []int64{
	int64(rotation.DefaultGuard) + 1, int64(3 * time.Minute), int64(4 * time.Minute), int64(5 * time.Minute), int64(time.Hour),
	int64(24 * time.Hour), int64(7 * 24 * time.Hour), int64(rotation.MaxInterval),
}

// drawOptions draws the options of a run of the system (swarm testing): a third of the faults do
// not happen at all, and each other one has a random weight. So each fault also gets
// runs without the faults that would hide it.
func drawOptions(seed uint64, system System) (o options) {
	s := newStream(seed, 0, streamOptions)
	o.cards = 1 + int(s.Below(maxCards))
	o.nodes = 1 + int(s.Below(maxNodes))
	o.events = 100 + int(s.Below(300))
	for f := range o.weights {
		switch s.Below(3) {
		case 0:
		case 1:
			o.weights[f] = uint8(1 + s.Below(12))
		case 2:
			o.weights[f] = uint8(12 + s.Below(80))
		}
	}
	for range 1 + s.Below(3) {
		o.intervals = append(o.intervals, pick(&s, someIntervals))
	}
	o.drawRules(&s, system)
	return o
}

// drawRules draws the rules of a run, and makes its intervals valid under them.
func (o *options) drawRules(s *stream, system System) {
	o.rules = system.Rules()
	if _, ok := system.(Configurable); ok {
		guard, from := o.rules.Guard(), o.rules.GuardFrom()
		if s.Below(2) == 0 {
			guard = pick(s, []time.Duration{0, 1, 30 * time.Second, 3 * time.Hour})
		}
		if s.Below(3) == 0 {
			from = rotation.GuardFromRequest + rotation.GuardFromScheduling - from
		}
		o.rules, _ = rotation.NewRules(guard, from) // both are valid
	}
	guard := int64(o.rules.Guard())
	for i, interval := range o.intervals {
		if interval == someIntervals[0] {
			// No shorter one for a short guard: the calm end of a run lasts minutes.
			o.intervals[i] = max(guard+1, int64(time.Minute))
		} else {
			o.intervals[i] = min(interval+max(0, guard-int64(rotation.DefaultGuard)), int64(rotation.MaxInterval))
		}
	}
}

// String returns the options in one line.
func (o options) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cards=%d nodes=%d events=%d intervals=", o.cards, o.nodes, o.events)
	for i, d := range o.intervals {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(rotation.FormatDuration(time.Duration(d)))
	}
	b.WriteString(" faults=")
	any := false
	for f, w := range o.weights {
		if w == 0 {
			continue
		}
		if any {
			b.WriteByte(',')
		}
		any = true
		fmt.Fprintf(&b, "%s:%d", faultNames[f], w)
	}
	if !any {
		b.WriteString("none")
	}
	fmt.Fprintf(&b, " guard=%s from=%v", rotation.FormatDuration(o.rules.Guard()), o.rules.GuardFrom())
	if o.again != 0 {
		fmt.Fprintf(&b, " drawn-again=%d", o.again)
	}
	return b.String()
}
