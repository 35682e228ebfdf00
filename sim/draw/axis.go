package draw

import (
	"cmp"
	"slices"
	"time"
)

// The measures of the axis, in pixels.
const (
	markGap     = 28.0 // between two instants with a mark, at the least
	bareGap     = 12.0 // between two instants of which one has none
	repeatGap   = 24.0 // between marks of one card at one instant
	quietGuards = 3    // a gap of more guards than this is a break
)

// scale is how much room time gets, in pixels.
type scale struct {
	guard        float64 // for one guard, where events close by need no more
	breakPadding float64 // around the label of a break
}

var (
	roomy = scale{guard: 110, breakPadding: 34}
	dense = scale{guard: 60, breakPadding: 16}
)

// axis maps instants to places. It is true to scale where things happen; quiet
// gaps are cut to a break, and instants too close to be told apart are moved
// apart. Order is kept always: what is before is to the left.
type axis struct {
	scale  scale
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

func newAxis() *axis { return &axis{scale: roomy, index: make(map[int64]int)} }

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
// place. The unit is the time that takes scale.guard.
func (a *axis) lay(left float64, unit time.Duration) float64 {
	slices.SortFunc(a.points, func(p, q point) int { return cmp.Compare(p.at, q.at) })
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
		next := x + textWidth(label, smallText) + a.scale.breakPadding
		a.breaks = append(a.breaks, gapBreak{x, next, label})
		return next
	}
	least := bareGap
	if p.marked && q.marked {
		least = markGap
	}
	return x + max(least, float64(quiet)/float64(unit)*a.scale.guard)
}

// x returns the place of an instant that was added.
func (a *axis) x(at int64) float64 { return a.points[a.index[at]].x }
