package fleet

import (
	"cvvrotation/rotation"
)

const (
	second = int64(1e9) // in ns
	minute = 60 * second
)

// tally counts decisions by what became of them.
type tally struct {
	autoScheduled, autoHeld     int64 // R5, R6
	forcedScheduled, forcedHeld int64 // R3, R2
	scenario                    [4]int64
	missed                      int64
	delayed, longest            int64 // automatic rotations after their slot; the longest such time in ns
	late                        lateness
}

// lateness counts the time from the slot to an automatic rotation, or to the end
// if the card is still overdue then.
type lateness struct {
	overdue  int64   // cards at the end
	beyond   int64   // rotations and cards that are later than plan.within
	unjudged int64   // rotations, also on time, and cards whose slot is after plan.judged
	bySecond []int64 // by the time in seconds, rounded up; on time: not counted
}

func (l *lateness) count(late int64) {
	bin := int((late + second - 1) / second)
	for len(l.bySecond) <= bin {
		l.bySecond = append(l.bySecond, make([]int64, max(64, len(l.bySecond)))...)
	}
	l.bySecond[bin]++
}

func (l *lateness) add(o *lateness) {
	l.overdue += o.overdue
	l.beyond += o.beyond
	l.unjudged += o.unjudged
	if len(l.bySecond) < len(o.bySecond) {
		l.bySecond = append(l.bySecond, make([]int64, len(o.bySecond)-len(l.bySecond))...)
	}
	for i, n := range o.bySecond {
		l.bySecond[i] += n
	}
}

func (t *tally) add(o *tally) {
	t.autoScheduled += o.autoScheduled
	t.autoHeld += o.autoHeld
	t.forcedScheduled += o.forcedScheduled
	t.forcedHeld += o.forcedHeld
	for i := range t.scenario {
		t.scenario[i] += o.scenario[i]
	}
	t.missed += o.missed
	t.delayed += o.delayed
	t.longest = max(t.longest, o.longest)
	t.late.add(&o.late)
}

// scenario numbers a held event by the kinds at the guard's start and now (R21).
func scenario(before, now rotation.Kind) int {
	switch {
	case before == rotation.KindAuto && now == rotation.KindForced:
		return 1
	case before == rotation.KindForced && now == rotation.KindAuto:
		return 2
	case before == rotation.KindForced && now == rotation.KindForced:
		return 3
	}
	return 0
}

// series counts events by bin, a second or a minute wide, from the start up to
// and including the end, which has a bin of its own. An empty series counts
// nothing. Sums are taken modulo 2^32, and fit.
type series []uint32

// binOf returns the bin of the instant at.
func (d Detail) binOf(at int64) int64 {
	if d == DetailSeconds {
		return at / second
	}
	return at / minute
}

// newSeries returns an empty series up to the instant end.
func (d Detail) newSeries(end int64) series {
	if d == DetailTotals {
		return nil
	}
	return make(series, d.binOf(end)+1)
}

func (s series) add(o series) {
	for i, n := range o {
		s[i] += n
	}
}

// byMinute returns the sums over its minutes of a series of seconds.
func (s series) byMinute() series {
	m := make(series, (len(s)-1)/60+1)
	for i, n := range s {
		m[i/60] += n
	}
	return m
}

// comb counts regular runs of slots, one interval apart, without visiting each.
// A run begins with +1 and ends with -1, and sum adds up what lies between.
// Where the interval is no whole number of bins, a run is several ones, each of
// which takes every steps-th slot.
type comb struct {
	edges  series
	every  int64 // the interval, in ns
	steps  int64 // the fewest slots that span a whole number of bins
	stride int64 // that number
}

// newComb returns a comb of slots that are every ns apart, up to the instant end.
func (d Detail) newComb(end, every int64) comb {
	width := minute
	if d == DetailSeconds {
		width = second
	}
	whole := gcd(width, every)
	return comb{edges: d.newSeries(end), every: every, steps: width / whole, stride: every / whole}
}

// add counts n slots, the first at the instant first.
func (c *comb) add(d Detail, first, n int64) {
	if c.steps == 1 {
		c.run(d.binOf(first), n)
		return
	}
	for j := range min(n, c.steps) {
		c.run(d.binOf(first+j*c.every), (n-1-j)/c.steps+1)
	}
}

func (c *comb) run(bin, n int64) {
	c.edges[bin]++
	if end := bin + n*c.stride; end < int64(len(c.edges)) {
		c.edges[end]--
	}
}

// sum adds all runs to s.
func (c *comb) sum(s series) {
	for i := range c.edges {
		if before := int64(i) - c.stride; before >= 0 {
			c.edges[i] += c.edges[before]
		}
		s[i] += c.edges[i]
	}
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
