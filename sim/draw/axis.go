package draw

import (
	"slices"
	"time"
)

// The measures of the axis, in pixels.
const (
	guardWidth   = 110.0 // of one guard, where events close by need no more room
	markGap      = 28.0  // between two instants with a mark, at the least
	bareGap      = 12.0  // between two instants of which one has none
	repeatGap    = 24.0  // between marks of one card at one instant
	breakPadding = 34.0  // around the label of a break
	quietGuards  = 3     // a gap of more guards than this is a break
)

// axis maps instants to places. It is true to scale where things happen; quiet
// gaps are cut to a break, and instants too close to be told apart are moved
// apart. Order is kept always: what is before is to the left.
type axis struct {
	points []point
	breaks []gapBreak
	index  map[int64]int
}

// point is an instant on the axis.
type point struct {
	at      int64   // in nanoseconds since 1970
	x       float64 // of the first mark
	marked  bool    // an event or a slot, and not only the end of a guard
	event   bool
	repeats int // how many marks of one card are side by side
}

// gapBreak is a quiet gap that is cut short.
type gapBreak struct {
	from, to float64
	label    string
}

func newAxis() *axis { return &axis{index: make(map[int64]int)} }

// add enters an instant; lay has to follow before x is asked.
func (a *axis) add(at int64) *point {
	i, ok := a.index[at]
	if !ok {
		i = len(a.points)
		a.index[at] = i
		a.points = append(a.points, point{at: at, repeats: 1})
	}
	return &a.points[i]
}

// lay gives each instant its place, the first one at left, and returns the last
// place. The unit is the time that takes guardWidth.
func (a *axis) lay(left float64, unit time.Duration) float64 {
	slices.SortFunc(a.points, func(p, q point) int {
		if p.at < q.at {
			return -1
		}
		return 1
	})
	x := left
	for i := range a.points {
		p := &a.points[i]
		a.index[p.at] = i
		if i > 0 {
			x = a.after(a.points[i-1], *p, x, unit)
		}
		p.x = x
		x += float64(p.repeats-1) * repeatGap
	}
	return x
}

// after returns the place of q, which comes after p; the marks of p end at x.
func (a *axis) after(p, q point, x float64, unit time.Duration) float64 {
	quiet := time.Duration(q.at - p.at)
	if quiet/quietGuards > unit {
		label := coarse(quiet)
		next := x + textWidth(label, smallText) + breakPadding
		a.breaks = append(a.breaks, gapBreak{x, next, label})
		return next
	}
	least := bareGap
	if p.marked && q.marked {
		least = markGap
	}
	return x + max(least, float64(quiet)/float64(unit)*guardWidth)
}

// x returns the place of an instant that was added.
func (a *axis) x(at int64) float64 { return a.points[a.index[at]].x }
