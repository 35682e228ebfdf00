package draw

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cvvrotation/rotation"
)

// MaxEvents is how many events the picture of one section holds.
const MaxEvents = 2000

// ErrTooMany is more events than one picture holds.
var ErrTooMany = fmt.Errorf("a picture holds %d events: give it fewer lines of the timeline, or draw text", MaxEvents)

// The measures of the picture, in pixels.
const (
	margin       = 24.0
	minWidth     = 760.0
	markSize     = 8.0 // from the middle of a mark to its edge
	slotHeight   = 34.0
	arrowRise    = 18.0
	arrowStep    = 12.0
	arrowLevels  = 5
	tagDrop      = 18.0
	tagStep      = 17.0
	tagRows      = 6
	tagGap       = 8.0
	badgeWidth   = 22.0
	dayStep      = 18.0
	tickStep     = 16.0
	tickRows     = 4 // more, and the labels stand upright
	legendStep   = 24.0
	legendWidth  = 1400.0 // where the picture is wider
	baselineDrop = 4.0    // from the middle of a small text to its baseline
)

// SVG draws the report's sections as one picture: a lane a card, and time from left
// to right. Time is to scale where things happen, and quiet gaps are cut out. Several
// sections lie below each other, each with its title, its lanes and a time axis of its
// own. Of the report, the title and the sections' titles, rules and steps are drawn.
// The picture needs no script, font or other file, and suits light and dark. The error
// wraps ErrTooMany, or is the writer's; in the first case nothing is written.
func SVG(w io.Writer, r Report) error {
	if err := r.check(); err != nil {
		return err
	}
	out := &svgWriter{w: bufio.NewWriter(w)}
	if len(r.Sections) > 1 {
		newSheet(r).write(out)
	} else {
		var s Section
		if len(r.Sections) == 1 {
			s = r.Sections[0]
		}
		newPicture(s, pictureOptions{title: r.Title}).write(out)
	}
	if err := out.w.Flush(); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// pictureOptions say what is around a picture.
type pictureOptions struct {
	title    string   // of a picture that is not in a page
	inPage   bool     // a page has the title, the legend and the styles already
	prefix   string   // of all ids; default none
	previous *picture // above this one: its legend is not repeated; default none
}

// picture is everything that is drawn of a section, at its place.
type picture struct {
	pictureOptions
	rules   rotation.Rules
	summary string
	axis    *axis
	lanes   []*lane

	ticks     []tag // of the marked instants, in order
	tickAt    []point
	days      []tag
	dayAt     []time.Time
	upright   bool
	tickRows  int
	legend    []legendItem
	laneRight float64

	width, height      float64
	top, bottom, daysY float64 // of the lanes; of the nearest row of days
}

func newPicture(s Section, o pictureOptions) *picture {
	rules := s.Rules
	p := &picture{pictureOptions: o, rules: rules, summary: summarize(s.Steps), axis: newAxis()}
	p.title = printable(o.title, 80)
	p.lanes = newLanes(rules, s.Steps, p.axis)

	left := margin
	for _, l := range p.lanes {
		left = max(left, margin+textWidth(l.card, text)+20)
	}
	unit := rules.Guard()
	if unit == 0 {
		unit = rotation.DefaultGuard
	}
	right := p.axis.lay(left+markSize, unit) + 2*markSize
	p.laneRight = right

	p.layTicks()
	for i, f := range p.ticks {
		if p.upright {
			right = max(right, p.tickAt[i].x+smallText)
		} else {
			right = max(right, f.x+f.width)
		}
	}
	for _, f := range p.days {
		right = max(right, f.x+f.width)
	}
	p.width = right + margin
	if !p.inPage {
		p.width = max(minWidth, p.width, margin*2+textWidth(p.title, titleText), margin*2+textWidth(p.summary, text))
	}

	y := margin / 2
	if !p.inPage {
		y = margin + 14 + 22 // the title and the summary
		p.legend = p.legendItems()
		if p.repeatsLegend() {
			y += 4
		} else {
			y = layLegend(p.legend, y+10, min(p.width, legendWidth))
		}
	}
	dayRows := hang(p.days, len(p.days))
	y += 10 + float64(max(0, dayRows-1))*dayStep
	p.daysY = y + 14
	y += 14 + 10
	if len(p.axis.breaks) > 0 {
		y += 18
	}
	p.top = y
	for _, l := range p.lanes {
		l.lay(p.axis, y)
		y = l.bottom + 6
		for _, f := range l.tags {
			p.width = max(p.width, f.x+f.width+margin)
		}
	}
	p.bottom = y
	switch {
	case p.upright:
		longest := 0.0
		for _, f := range p.ticks {
			longest = max(longest, f.width)
		}
		y += 12 + longest
	default:
		y += 8 + float64(p.tickRows)*tickStep
	}
	p.height = y + margin/2
	return p
}

// layTicks labels the instants with a mark, and the first of each day.
func (p *picture) layTicks() {
	var last time.Time
	for _, at := range p.axis.points {
		if !at.marked {
			continue
		}
		t := time.Unix(0, at.at).UTC()
		p.tickAt = append(p.tickAt, at)
		p.ticks = append(p.ticks, tag{x: at.x - markSize, width: textWidth(t.Format(timeLayout), smallText) + tagGap})
		if !sameDay(t, last) {
			p.dayAt = append(p.dayAt, t)
			p.days = append(p.days, tag{x: at.x - markSize, width: textWidth(t.Format(dayLayout), text) + tagGap})
		}
		last = t
	}
	rows := hang(p.ticks, len(p.ticks))
	p.tickRows, p.upright = rows, rows > tickRows
}

const dayLayout = dateLayout + " Mon"

// svgWriter writes elements; its error stays in the bufio.Writer.
type svgWriter struct{ w *bufio.Writer }

func (o *svgWriter) f(format string, args ...any) {
	for i, a := range args {
		switch a := a.(type) {
		case float64:
			args[i] = strconv.FormatFloat(float64(int64(a*10+0.5))/10, 'f', -1, 64)
		case string:
			args[i] = escape(a)
		}
	}
	fmt.Fprintf(o.w, format, args...)
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

func (p *picture) write(o *svgWriter) {
	o.f(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]v" height="%[2]v" viewBox="0 0 %[1]v %[2]v"`, p.width, p.height)
	if p.inPage {
		o.f(">\n")
	} else {
		o.f(` role="img" aria-labelledby="title desc">` + "\n")
		p.writeTitle(o)
		o.w.WriteString("<style>" + styleSheet + "</style>\n")
	}
	p.writeDrawing(o)
	o.f("</svg>\n")
}

// writeTitle writes the title and the description for those who hear the picture.
func (p *picture) writeTitle(o *svgWriter) {
	o.f(`<title id="%vtitle">%v</title>`+"\n", p.prefix, p.title)
	o.f(`<desc id="%vdesc">%v %v Time (UTC) runs from left to right; quiet gaps are cut out, and events too close to be told apart are moved apart. Each mark has a title that explains it.</desc>`+"\n",
		p.prefix, guardWords(p.rules), p.summary)
}

func (p *picture) writeDrawing(o *svgWriter) {
	o.f(`<defs><path id="%vtear" class="torn" d="`, p.prefix)
	for side := range 2 {
		x := float64(side)*6 - 3
		o.f("M%v,%v", x, p.top)
		for y, out := p.top, 1.0; y < p.bottom; out = -out {
			y = min(y+6, p.bottom)
			o.f("L%v,%v", x+2*out, y)
		}
	}
	o.f(`"/></defs>` + "\n")
	o.f(`<rect class="bg" width="%v" height="%v" rx="6"/>`+"\n", p.width, p.height)
	if !p.inPage {
		o.f(`<text class="heading" x="%v" y="%v">%v</text>`+"\n", margin, margin+14, p.title)
		o.f(`<text class="muted" x="%v" y="%v">%v</text>`+"\n", margin, margin+14+22, p.summary)
		if !p.repeatsLegend() {
			for _, item := range p.legend {
				item.write(o)
			}
		}
	}
	p.writeAxis(o)
	for _, l := range p.lanes {
		l.write(o, p)
	}
}

// writeAxis draws the days, the breaks, and the ticks with their labels.
func (p *picture) writeAxis(o *svgWriter) {
	for i, f := range p.days {
		y := p.daysY - float64(f.row)*dayStep
		o.f(`<path class="grid" d="M%v,%vV%v"/>`, f.x+markSize, y+5, p.top)
		o.f(`<text class="mono day" x="%v" y="%v">%v</text>`+"\n", f.x, y, p.dayAt[i].Format(dayLayout))
	}
	for i, f := range p.ticks {
		at := p.tickAt[i]
		class := "mono"
		if !at.event {
			class += " muted"
		}
		label := time.Unix(0, at.at).UTC().Format(timeLayout)
		if p.upright {
			o.f(`<path class="grid" d="M%v,%vV%v"/>`, at.x, p.top, p.bottom+6)
			o.f(`<text class="%v" transform="translate(%v,%v)rotate(90)">%v</text>`+"\n", class, at.x-baselineDrop, p.bottom+10, label)
			continue
		}
		y := p.bottom + 8 + float64(f.row)*tickStep
		o.f(`<path class="grid" d="M%v,%vV%v"/>`, at.x, p.top, y)
		o.f(`<text class="%v" x="%v" y="%v">%v</text>`+"\n", class, f.x, y+11, label)
	}
	for _, b := range p.axis.breaks {
		x := (b.from + b.to) / 2
		o.f(`<use href="#%vtear" x="%v"/>`, p.prefix, x)
		o.f(`<text class="mono muted middle" x="%v" y="%v">%v</text>`+"\n", x, p.top-6, b.label)
	}
}

func (l *lane) write(o *svgWriter, p *picture) {
	y := l.line
	o.f(`<g><text class="card" x="%v" y="%v">%v</text>`+"\n", margin, y+baselineDrop, l.card)
	for _, w := range l.windows {
		o.f(`<rect class="guard" x="%v" y="%v" width="%v" height="%v"/>`, w.x, y-guardHalf, max(0, w.toX-w.x), 2*guardHalf)
	}
	for _, w := range l.windows {
		if w.open {
			o.f(`<path class="guard-end" d="M%v,%vV%v"/>`, w.toX, y-guardHalf, y+guardHalf)
		}
	}
	o.f("\n"+`<path class="lane" d="M%v,%vH%v"/>`+"\n", p.axisLeft(), y, p.laneRight)
	slotY := y - slotHeight + 8
	for _, s := range l.slots {
		o.f(`<path class="slot %v" d="M%v,%vl5,5l-5,5l-5,-5z"/>`, string(s.status), s.x, slotY-5)
	}
	o.f("\n")
	for _, r := range l.arrows {
		l.writeArrow(o, r, slotY-7)
	}
	for i, f := range l.tags {
		l.writeTag(o, f, l.events[l.tagged[i]])
	}
	for _, e := range l.events {
		e.write(o, p, y)
	}
	o.f("</g>\n")
}

// guardHalf is half the height of the bar of a guard.
const guardHalf = 12.0

func (p *picture) axisLeft() float64 {
	if len(p.axis.points) == 0 {
		return margin
	}
	return p.axis.points[0].x - markSize
}

func (l *lane) writeArrow(o *svgWriter, r arrow, tip float64) {
	e := l.events[r.event]
	class := "arrow"
	if r.slot.status == slotDropped {
		class += " dropped"
	}
	x, to := e.x+4, r.slot.x
	height := (arrowRise + float64(r.span.level)*arrowStep) / 0.75
	bend := min(60, (to-x)/3)
	o.f(`<g class="%v" data-step="%v"><path d="M%v,%vC%v,%v %v,%v %v,%v"/>`, class, e.serial,
		x, l.line-markSize, x+bend, tip-height, to-bend/2, tip-height, to, tip-4)
	o.f(`<path class="head" d="M%v,%vl-3.5,-7h7z"/></g>`+"\n", to, tip)
}

func (l *lane) writeTag(o *svgWriter, f tag, e laneEvent) {
	if f.row < 0 {
		return
	}
	y := l.line + tagDrop + 10 + float64(f.row)*tagStep
	o.f(`<g class="tag" data-step="%v">`, e.serial)
	if f.row > 0 {
		o.f(`<path class="pole" d="M%v,%vV%v"/>`, e.x, l.line+markSize, y-11)
	}
	x := f.x - markSize
	if badge := e.badge(); badge != "" {
		writeBadge(o, badge, x, y)
		x += e.badgeWidth()
	}
	if note := e.note(); note != "" {
		o.f(`<text class="note" x="%v" y="%v">%v</text>`, x, y, note)
	}
	o.f("</g>\n")
}

// writeBadge draws a scenario's badge; y is the baseline of its text.
func writeBadge(o *svgWriter, badge string, x, y float64) {
	o.f(`<rect class="badge" x="%v" y="%v" width="%v" height="14" rx="4"/>`, x, y-11, badgeWidth)
	o.f(`<text class="badge-text" x="%v" y="%v">%v</text>`, x+badgeWidth/2, y, badge)
}

// write draws the mark. In a page it is a link to the event's row, with room to
// be hit and to show that it has the focus.
func (e laneEvent) write(o *svgWriter, p *picture, y float64) {
	event := e.step.Entry.Event
	class := "event " + event.Kind().String()
	if idle(e.step) {
		class += " idle"
	}
	if p.inPage {
		class, label := "mark", e.label()
		if len(differences(e.step)) > 0 {
			class, label = "mark differs", label+", not as expected"
		}
		o.f(`<a id="%[4]vmark-%[1]v" class="%[2]v" href="#%[4]vevent-%[1]v" tabindex="0" aria-label="%[3]v">`, e.serial+1, class, label, p.prefix)
	}
	o.f(`<g class="%v" data-step="%v"><title>%v  %v: %v</title>`, class, e.serial,
		event.At().Format(time.RFC3339Nano), printable(e.step.Entry.Card, 64), e.step.Explain(p.rules))
	writeMark(o, event.Kind(), e.x, y)
	if e.number > 0 {
		o.f(`<text class="number" x="%v" y="%v">%v</text>`, e.x, y+3.5, e.number)
	}
	o.f("</g>")
	if p.inPage {
		o.f(`<circle class="hit" cx="%v" cy="%v" r="%v"/></a>`, e.x, y, repeatGap/2)
	}
	o.f("\n")
}

// label names the event in a few words, for who hears the picture.
func (e laneEvent) label() string {
	return fmt.Sprintf("Event %d: %s, card %s", e.serial+1, eventWords(e.step), printable(e.step.Entry.Card, 64))
}

// writeMark draws the shape of a kind of event.
func writeMark(o *svgWriter, kind rotation.Kind, x, y float64) {
	switch kind {
	case rotation.KindAuto:
		o.f(`<circle cx="%v" cy="%v" r="7"/>`, x, y)
	case rotation.KindForced:
		o.f(`<path d="M%v,%vl8,14h-16z"/>`, x, y-8.5)
	case rotation.KindSetInterval:
		o.f(`<rect x="%v" y="%v" width="13" height="13" rx="1"/>`, x-6.5, y-6.5)
	case rotation.KindDisable:
		o.f(`<rect x="%v" y="%v" width="13" height="13" rx="1"/>`, x-6.5, y-6.5)
		o.f(`<path class="cross" d="M%v,%vl7,7m0,-7l-7,7"/>`, x-3.5, y-3.5)
	}
}

// legendItem is a sample of a mark and its meaning.
type legendItem struct {
	words string
	draw  func(o *svgWriter, x, y float64)
	room  float64 // for the sample
	x, y  float64
}

func (i legendItem) write(o *svgWriter) {
	i.draw(o, i.x, i.y)
	o.f(`<text x="%v" y="%v">%v</text>`+"\n", i.x+i.room, i.y+baselineDrop, i.words)
}

// stubs reports whether a dropped slot is only hinted at, by a stub of an arrow.
func (p *picture) stubs() bool {
	return slices.ContainsFunc(p.lanes, func(l *lane) bool {
		return slices.ContainsFunc(l.arrows, func(r arrow) bool { return r.slot.offAxis })
	})
}

func (p *picture) legendItems() []legendItem {
	rules := p.rules
	kind := func(k rotation.Kind, words string) legendItem {
		return legendItem{words: words, room: 22, draw: func(o *svgWriter, x, y float64) {
			o.f(`<g class="sample-event %v">`, k.String())
			writeMark(o, k, x+8, y)
			o.f(`</g>`)
		}}
	}
	slotOf := func(status slotStatus, words string) legendItem {
		return legendItem{words: words, room: 16, draw: func(o *svgWriter, x, y float64) {
			o.f(`<path class="slot %v" d="M%v,%vl5,5l-5,5l-5,-5z"/>`, string(status), x+6, y-5)
		}}
	}
	items := []legendItem{
		kind(rotation.KindAuto, "automatic rotation"),
		kind(rotation.KindForced, "forced rotation"),
		kind(rotation.KindSetInterval, "interval set"),
		kind(rotation.KindDisable, "turned off"),
		{words: "nothing done", room: 22, draw: func(o *svgWriter, x, y float64) {
			o.f(`<g class="auto idle" stroke-width="2">`)
			writeMark(o, rotation.KindAuto, x+8, y)
			o.f(`</g>`)
		}},
		{words: "new schedule: next slot", room: 44, draw: func(o *svgWriter, x, y float64) {
			o.f(`<g class="sample-arrow"><path class="arrow" d="M%v,%vC%v,%v %v,%v %v,%v"/>`, x, y+6, x+8, y-10, x+28, y-12, x+36, y)
			o.f(`<path class="head" d="M%v,%vl-6,-4.5l6,-3z"/></g>`, x+38, y+6)
		}},
		slotOf(slotServed, "slot served"),
		slotOf(slotAhead, "slot ahead"),
		slotOf(slotDropped, "slot dropped"),
	}
	if p.stubs() {
		items[len(items)-1] = legendItem{words: "new schedule, dropped before its slot", room: 28, draw: func(o *svgWriter, x, y float64) {
			o.f(`<g class="arrow dropped"><path d="M%v,%vC%v,%v %v,%v %v,%v"/>`, x, y+7, x+6, y-12, x+18, y-14, x+20, y-1)
			o.f(`<path class="head" d="M%v,%vl-3.5,-7h7z"/></g>`, x+20, y+4)
		}}
	}
	if rules.Guard() > 0 {
		items = append(items, legendItem{
			words: "guard, " + rotation.FormatDuration(rules.Guard()) + ": rotated within it, the schedule is kept",
			room:  44, draw: func(o *svgWriter, x, y float64) {
				o.f(`<rect class="guard" x="%v" y="%v" width="36" height="14"/>`, x, y-7)
				o.f(`<path class="guard-end" d="M%v,%vV%v"/>`, x+36, y-7, y+7)
			}}, legendItem{
			words: "automatic→forced, S2 forced→automatic, S3 forced→forced",
			room:  badgeWidth + 6, draw: func(o *svgWriter, x, y float64) {
				writeBadge(o, "S1", x, y+baselineDrop)
			}})
	}
	return append(items, legendItem{words: "quiet time cut out", room: 20, draw: func(o *svgWriter, x, y float64) {
		for dx := range 2 {
			o.f(`<path class="torn" d="M%v,%vl2,4l-4,4l4,4l-2,3"/>`, x+3+float64(dx)*6, y-7)
		}
	}})
}

// repeatsLegend reports whether the previous picture has the same legend.
func (p *picture) repeatsLegend() bool {
	return p.previous != nil && slices.EqualFunc(p.legend, p.previous.legend, func(a, b legendItem) bool { return a.words == b.words })
}

// layLegend gives the items their places, in lines from y on, and returns where
// they end.
func layLegend(items []legendItem, y, width float64) float64 {
	x := margin
	y += legendStep / 2
	for i := range items {
		item := &items[i]
		w := item.room + textWidth(item.words, text)
		if x > margin && x+w > width-margin {
			x, y = margin, y+legendStep
		}
		item.x, item.y = x, y
		x += w + 16
	}
	return y + legendStep/2
}
