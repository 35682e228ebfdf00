package fleet

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"count":   count,
	"percent": percent,
	"wait":    wait,
}).Parse(page))

// WriteHTML writes the forecast as a page that is complete in itself: charts of
// the load over time, the day's profile and the backlog, and the numbers.
func (f *Forecast) WriteHTML(w io.Writer) error {
	r := newReport(f)
	data := struct {
		report
		Lead   []answer // the first of them, in large print
		Charts []chart
		Mode   Mode
		Took   float64
	}{report: r, Mode: f.Mode, Took: f.ElapsedSeconds}
	data.Lead, data.Answers = r.Answers[:min(3, len(r.Answers))], r.Answers[min(3, len(r.Answers)):]
	if f.AutomaticByMinute != nil {
		data.Charts = append(data.Charts, f.loadChart(), f.dayChart())
	}
	if f.Backlog != nil && f.Backlog.Max > 0 {
		data.Charts = append(data.Charts, f.backlogChart())
	}
	return pageTemplate.Execute(w, data)
}

// The charts' plots, in units of the picture.
const (
	plotWidth  = 720
	plotHeight = 190
)

// chart is a picture with time from left to right.
type chart struct {
	Title, Note string
	Layers      []layer
	Bands       []band
	X, Y        []tick
}

// layer is an area or a line; Class names its colour.
type layer struct {
	Class, Name, Path string
}

// band marks a while.
type band struct {
	X, Width float64
	Name     string
}

type tick struct {
	At    float64
	Label string
}

// scale turns a time and a number into a place in the plot.
type scale struct {
	from, width float64 // time, in minutes
	top         float64
}

func (s scale) x(minutes float64) float64 { return (minutes - s.from) / s.width * plotWidth }
func (s scale) y(n float64) float64       { return plotHeight - n/s.top*plotHeight }

// steps draws numbers as stairs, each as wide as the next: closed down to the
// axis for an area.
func (s scale) steps(minutes float64, numbers []float64, area bool) string {
	var b strings.Builder
	if area {
		fmt.Fprintf(&b, "M0 %d", plotHeight)
	}
	for i, n := range numbers {
		command := "V"
		if i == 0 && !area {
			command = "M0 "
		}
		fmt.Fprintf(&b, "%s%.4gH%.5g", command, s.y(n), math.Min(s.x(s.from+float64(i+1)*minutes), plotWidth))
	}
	if area {
		fmt.Fprintf(&b, "V%dZ", plotHeight)
	}
	return b.String()
}

// level is a line from left to right.
func (s scale) level(n float64) string { return fmt.Sprintf("M0 %.4gH%d", s.y(n), plotWidth) }

// roundUp returns the least round number that is at least n, and at least 1,
// and a step that divides it into a few.
func roundUp(n float64) (top, step float64) {
	unit := math.Pow(10, math.Floor(math.Log10(math.Max(n, 1))))
	for _, parts := range []struct{ step, count float64 }{{0.25, 4}, {0.3, 4}, {0.5, 3}, {0.5, 4}, {0.5, 5}, {1, 3}, {1, 4}, {1, 5}, {2, 3}, {2, 4}, {2.5, 4}} {
		top, step = parts.step*parts.count*unit, parts.step*unit
		if top >= n {
			break
		}
	}
	return top, step
}

func (c *chart) yAxis(most float64) (top float64) {
	top, step := roundUp(most)
	s := scale{top: top}
	for n := 0.0; n <= top; n += step {
		if n == math.Trunc(n) {
			c.Y = append(c.Y, tick{s.y(n), short10(n)})
		}
	}
	return top
}

// short10 writes a round number in thousands or millions.
func short10(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%g M", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%g k", n/1e3)
	}
	return count(int64(n))
}

// timeAxis marks whole minutes, hours or days between two minutes of the
// forecast. The day or year is on a second line, where it changes.
func (c *chart) timeAxis(f *Forecast, from, until int) scale {
	s := scale{from: float64(from), width: float64(until - from)}
	step := 365 * 24 * time.Hour
	for _, days := range []time.Duration{180, 90, 30, 14, 7, 4, 2, 1} {
		step = narrower(step, days*24*time.Hour, s.width)
	}
	for _, minutes := range []time.Duration{720, 360, 180, 60, 30, 15, 5, 1} {
		step = narrower(step, minutes*time.Minute, s.width)
	}
	layout, outer := "2 Jan", "2006"
	if step < 24*time.Hour {
		layout, outer = "15:04", layout
	}
	first := f.Start.Add(time.Duration(from) * time.Minute)
	whole := min(step, 24*time.Hour)
	t := first.Truncate(whole)
	if t.Before(first) {
		t = t.Add(whole)
	}
	for last := ""; ; t = t.Add(step) {
		at := t.Sub(f.Start).Minutes()
		if at > float64(until) {
			return s
		}
		label := t.Format(layout)
		if under := t.Format(outer); under != last {
			label, last = label+"\n"+under, under
		}
		c.X = append(c.X, tick{s.x(at), label})
	}
}

// narrower returns the other step between marks unless that makes too many.
func narrower(step, other time.Duration, minutes float64) time.Duration {
	if minutes/other.Minutes() <= 9 {
		return other
	}
	return step
}

// bands marks the outage and the burst.
func (c *chart) bands(f *Forecast, s scale) {
	add := func(name string, from, lasts time.Duration) {
		left := math.Max(s.x(from.Minutes()), 0)
		right := math.Min(s.x((from + lasts).Minutes()), plotWidth)
		if left <= plotWidth && right >= 0 {
			c.Bands = append(c.Bands, band{left, math.Max(right-left, 2), name})
		}
	}
	if o := f.Options.Outage; o.For > 0 {
		add("outage", o.From, o.For)
	}
	if b := f.Options.Burst; b.Ratio > 0 {
		add("burst", b.At, b.Within)
	}
}

func (c *chart) add(class, name, path string) {
	c.Layers = append(c.Layers, layer{class, name, path})
}

func (f *Forecast) loadChart() chart {
	c := chart{Title: "Load over time"}
	s := c.timeAxis(f, 0, len(f.AutomaticByMinute)-1)
	spans, width := f.overTime(plotWidth)
	most, means, forced := numbers(spans)
	top := 0.0
	for _, n := range most {
		top = max(top, n)
	}
	s.top = c.yAxis(top)
	c.Note = "rotations a minute, in steps of " + short(width)
	c.bands(f, s)
	c.add("peak", "busiest minute", s.steps(width.Minutes(), most, true))
	c.add("mean", "mean", s.steps(width.Minutes(), means, true))
	if f.Forced > 0 {
		c.add("forced", "of which forced", s.steps(width.Minutes(), forced, true))
	}
	if limit := 60 * float64(f.Options.Capacity); limit > 0 && limit <= s.top {
		c.add("limit", "capacity", s.level(limit))
	}
	return c
}

func (f *Forecast) dayChart() chart {
	const spans, minutes = 144, 10
	c := chart{Title: "The day's profile", Note: "rotations a minute by time of day (UTC), in steps of 10m"}
	day := f.overDay(spans)
	most, means, forced := numbers(day)
	s := scale{width: 1440}
	for h := 0; h <= 24; h += 3 {
		c.X = append(c.X, tick{s.x(float64(h * 60)), fmt.Sprintf("%02d:00", h)})
	}
	top := 0.0
	for _, n := range most {
		top = max(top, n)
	}
	s.top = c.yAxis(top)
	c.add("peak", "busiest minute of any day", s.steps(minutes, most, true))
	c.add("mean", "mean of all days", s.steps(minutes, means, true))
	if f.Forced > 0 {
		c.add("forced", "of which forced", s.steps(minutes, forced, true))
	}
	return c
}

// backlogChart shows the while in which many cards wait, and a little around it.
func (f *Forecast) backlogChart() chart {
	c := chart{Title: "Backlog", Note: "cards that are overdue, around the peak"}
	from, until, many := 0, len(f.BacklogByMinute)-1, f.Backlog.Max/100
	for from < until-1 && f.BacklogByMinute[from] <= many {
		from++
	}
	last := until
	for last > from && f.BacklogByMinute[last] <= many {
		last--
	}
	margin := max((last-from)/10, 5)
	from, until = max(from-margin, 0), min(last+margin, until)
	s := c.timeAxis(f, from, until)
	per := (until-from-1)/plotWidth + 1
	var waiting []float64
	for i, n := range f.BacklogByMinute[from:until] {
		if i%per == 0 {
			waiting = append(waiting, 0)
		}
		waiting[i/per] = max(waiting[i/per], float64(n))
	}
	s.top = c.yAxis(float64(f.Backlog.Max))
	c.bands(f, s)
	c.add("wait", "waiting", s.steps(float64(per), waiting, true))
	return c
}

// numbers takes spans apart.
func numbers(spans []span) (most, means, forced []float64) {
	for _, s := range spans {
		most, means, forced = append(most, float64(s.Max)), append(means, s.Mean), append(forced, s.Forced)
	}
	return most, means, forced
}
