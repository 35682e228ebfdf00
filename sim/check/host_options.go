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

// drawOptions draws the options of a run (swarm testing): a third of the faults do
// not happen at all, and each other one has a random weight. So each fault also gets
// runs without the faults that would hide it.
func drawOptions(seed uint64) (o options) {
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
	return o
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
	if o.again != 0 {
		fmt.Fprintf(&b, " drawn-again=%d", o.again)
	}
	return b.String()
}
