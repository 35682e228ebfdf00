package draw

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

func drawSVG(t rapid.TB, title string, rules rotation.Rules, steps []sim.Step) string {
	t.Helper()
	var b strings.Builder
	must.Do(t, SVG(&b, report(title, rules, steps)))
	return b.String()
}

func TestSVG_EqualsGoldenFile(t *testing.T) {
	for name, story := range drawn {
		t.Run(name, func(t *testing.T) {
			rules, steps := replay(t, story)
			drawing := drawSVG(t, strings.ReplaceAll(name, "_", " "), rules, steps)
			golden(t, name+".svg", drawing)
			checkSVG(t, drawing, Section{Rules: rules, Steps: steps})
		})
	}
}

func TestSVG_HoldsForRandomTimelines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Report{Title: rapid.SampledFrom(hostileCards).Draw(t, "title")}
		for range rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "sections") {
			p := timelines(40).Draw(t, "timeline")
			r.Sections = append(r.Sections, Section{Title: rapid.SampledFrom(hostileCards).Draw(t, "title"), Rules: p.rules, Steps: p.steps})
		}
		var first, second strings.Builder
		must.Do(t, SVG(&first, r))
		must.Do(t, SVG(&second, r))
		checkSVG(t, first.String(), r.Sections...)
		if first.String() != second.String() {
			t.Error("the same steps gave another drawing")
		}
	})
}

// TestSVG_SeveralSectionsShareALegend: the legend is drawn once, unless the guards differ.
func TestSVG_SeveralSectionsShareALegend(t *testing.T) {
	rules, steps := replay(t, drawn["three_pm"])
	other, _ := replay(t, "rules guard=5m")
	for name, test := range map[string]struct {
		rules []rotation.Rules
		want  int
	}{
		"same guard":  {[]rotation.Rules{rules, rules, rules}, 1},
		"other guard": {[]rotation.Rules{rules, other, rules}, 3},
		"first twice": {[]rotation.Rules{rules, rules, other}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := Report{Title: name}
			for i, rules := range test.rules {
				r.Sections = append(r.Sections, Section{Title: fmt.Sprint("file ", i+1), Rules: rules, Steps: steps})
			}
			var b strings.Builder
			must.Do(t, SVG(&b, r))
			if n := strings.Count(b.String(), ">quiet time cut out<"); n != test.want {
				t.Errorf("%d legends, want %d", n, test.want)
			}
			for _, s := range r.Sections {
				if !strings.Contains(b.String(), ">"+s.Title+"</text>") {
					t.Errorf("no heading %s", s.Title)
				}
			}
		})
	}
}

// element is an element of a drawing.
type element struct {
	name     string
	attrs    map[string]string
	text     string  // with that of the elements within
	below    float64 // how far the sections above move it down
	children []*element
}

func (e *element) class(name string) bool {
	return slices.Contains(strings.Fields(e.attrs["class"]), name)
}

func (e *element) number(t rapid.TB, attr string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(e.attrs[attr], 64)
	if err != nil {
		t.Fatalf("%s %s: %v", e.name, attr, err)
	}
	return n
}

func (e *element) child(name string) *element {
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// all returns the elements within e, in order.
func (e *element) all() []*element {
	var all []*element
	for _, c := range e.children {
		all = append(append(all, c), c.all()...)
	}
	return all
}

// parse reads all elements of a drawing, in order.
func parse(t rapid.TB, drawing string) []*element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(drawing))
	var all, open []*element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: make(map[string]string)}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
				e.below = parent.below
			}
			if e.attrs["role"] == "img" && e.name == "g" {
				fmt.Sscanf(e.attrs["transform"], "translate(0,%g)", &e.below)
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(token)
			}
		}
	}
}

// checkSVG checks what is true of every drawing.
func checkSVG(t rapid.TB, drawing string, sections ...Section) {
	t.Helper()
	for _, r := range drawing {
		if r != '\n' && (!unicode.IsPrint(r) || r == unicode.ReplacementChar) {
			t.Errorf("the drawing holds %q", r)
		}
	}
	for _, active := range []string{"<script", "http:", "https:", "url(", "@import"} {
		if strings.Contains(strings.Replace(drawing, `xmlns="http://www.w3.org/2000/svg"`, "", 1), active) {
			t.Errorf("the drawing holds %s", active)
		}
	}
	known := []string{"svg", "title", "desc", "style", "defs", "path", "rect", "text", "g", "use", "circle"}
	all := parse(t, drawing)
	var texts, pictures []*element
	ids := make(map[string]bool)
	for _, e := range all {
		if !slices.Contains(known, e.name) {
			t.Errorf("element <%s>", e.name)
		}
		for attr := range e.attrs {
			if strings.HasPrefix(attr, "on") {
				t.Errorf("<%s> has %s", e.name, attr)
			}
		}
		if id, ok := e.attrs["id"]; ok && ids[id] {
			t.Errorf("two elements have the id %s", id)
		} else if ok {
			ids[id] = true
		}
		if e.name == "text" {
			texts = append(texts, e)
		}
		if e.attrs["role"] == "img" {
			pictures = append(pictures, e)
		}
	}
	for _, e := range all {
		if href, ok := e.attrs["href"]; ok && !ids[strings.TrimPrefix(href, "#")] {
			t.Errorf("<%s> uses %s, which is no element", e.name, href)
		}
	}
	if len(pictures) != len(sections) {
		t.Fatalf("%d pictures of %d sections", len(pictures), len(sections))
	}
	for i, s := range sections {
		checkPicture(t, pictures[i], s.Rules, s.Steps)
	}
	checkTexts(t, drawing, texts)
}

// checkPicture checks the marks, arrows and tags of one picture.
func checkPicture(t rapid.TB, picture *element, rules rotation.Rules, steps []sim.Step) {
	t.Helper()
	marks, arrows, tags := make([]*element, len(steps)), make([]*element, len(steps)), make([]*element, len(steps))
	for _, e := range picture.all() {
		step, drawn := e.attrs["data-step"]
		if !drawn {
			continue
		}
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(steps) {
			t.Fatalf("data-step is %q, of %d steps", step, len(steps))
		}
		drawn = false
		for class, seen := range map[string][]*element{"event": marks, "arrow": arrows, "tag": tags} {
			if !e.class(class) {
				continue
			}
			if seen[i] != nil {
				t.Errorf("step %d has a second %s", i, class)
			}
			seen[i], drawn = e, true
		}
		if !drawn {
			t.Errorf("step %d has a thing of class %q", i, e.attrs["class"])
		}
	}
	for i, s := range steps {
		if m := marks[i]; m == nil {
			t.Errorf("step %d has no mark", i)
		} else {
			if !m.class(s.Entry.Event.Kind().String()) || m.class("idle") != idle(s) {
				t.Errorf("step %d, %v, is drawn as %q", i, s.Decision, m.attrs["class"])
			}
			if title := m.child("title"); title == nil || !strings.HasSuffix(title.text, rules.Explain(s.Before, s.Entry.Event)) {
				t.Errorf("step %d is not explained", i)
			}
		}
		if got, want := arrows[i] != nil, s.Decision.Reschedule(); got != want {
			t.Errorf("step %d, %v: arrow drawn is %v, want %v", i, s.Decision, got, want)
		}
	}
}

// box is where a text is.
type box struct {
	text                     string
	left, top, right, bottom float64
}

// checkTexts checks that the texts are within the drawing and apart.
func checkTexts(t rapid.TB, drawing string, texts []*element) {
	t.Helper()
	svg := parse(t, drawing)[0]
	width, height := svg.number(t, "width"), svg.number(t, "height")
	var boxes []box
	for _, e := range texts {
		size := text
		switch {
		case e.class("heading"):
			size = titleText
		case e.class("number"):
			size = 9
		case e.class("mono") && !e.class("day"), e.class("note"), e.class("badge-text"):
			size = smallText
		}
		w := textWidth(e.text, size)
		b := box{text: e.text}
		var x, y float64
		if n, _ := fmt.Sscanf(e.attrs["transform"], "translate(%g,%g)rotate(90)", &x, &y); n == 2 {
			b.left, b.right, b.top, b.bottom = x-size/4, x+size*3/4, y, y+w
		} else {
			x, y = e.number(t, "x"), e.number(t, "y")
			if e.class("number") || e.class("badge-text") || e.class("middle") {
				x -= w / 2
			}
			b.left, b.right, b.top, b.bottom = x, x+w, y-size*3/4, y+size/4
		}
		b.top, b.bottom = b.top+e.below, b.bottom+e.below
		if b.left < 0 || b.top < 0 || b.right > width || b.bottom > height {
			t.Errorf("%q is at %+v, outside of %v by %v", e.text, b, width, height)
		}
		boxes = append(boxes, b)
	}
	slices.SortFunc(boxes, func(a, b box) int { return int(a.left - b.left) })
	for i, a := range boxes {
		for _, b := range boxes[i+1:] {
			if a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom {
				t.Errorf("overlap:\n%+v\n%+v", a, b)
			}
		}
	}
}

// What is exactly at the guard's end lies outside its bar, and what is a
// nanosecond before inside.
func TestSVG_ShowsBothSidesOfTheGuardsEnd(t *testing.T) {
	for _, test := range []struct {
		story  string
		inside bool
	}{
		{"2026-11-22T15:00:00Z A set_interval interval=24h\n2026-11-23T15:00:00Z A forced\n+1m59.999999999s A forced", true},
		{"2026-11-22T15:00:00Z A set_interval interval=24h\n2026-11-23T15:00:00Z A forced\n+2m A forced", false},
	} {
		rules, steps := replay(t, test.story)
		a := newAxis()
		l := newLanes(rules, steps, a)[0]
		a.lay(0, rules.Guard())
		l.lay(a, 0)
		bar, mark := l.windows[1], l.events[2]
		if inside := bar.toX >= mark.x; inside != test.inside {
			t.Errorf("the bar ends at %v, the mark is at %v; want inside %v", bar.toX, mark.x, test.inside)
		}
		if !test.inside && bar.toX > mark.x-markSize {
			t.Errorf("the bar, ending at %v, touches the mark at %v", bar.toX, mark.x)
		}
	}
}

// A clock set back by more than the guard leaves no bar that later marks would
// seem to be in.
func TestSVG_ClockSteppedFarBackHasNoWindow(t *testing.T) {
	rules, steps := replay(t, drawn["clock_back"])
	a := newAxis()
	l := newLanes(rules, steps, a)[0]
	a.lay(0, rules.Guard())
	l.lay(a, 0)
	last := l.events[len(l.events)-1]
	for _, w := range l.windows {
		if w.x < last.x && last.x <= w.toX {
			t.Errorf("event %d, not held, is drawn in the bar from %v to %v", last.number, w.x, w.toX)
		}
	}
}

// The order of places is that of instants.
func TestAxis_KeepsTheOrderOfInstants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAxis()
		base := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC).UnixNano()
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, int64(1000*time.Hour)), 1, 50).Draw(t, "offsets") {
			a.add(base + n).marked = rapid.Bool().Draw(t, "marked")
		}
		a.lay(10, 2*time.Minute)
		for i, p := range a.points[1:] {
			if before := a.points[i]; p.at <= before.at || p.x < before.x+bareGap {
				t.Errorf("%+v follows %+v", p, before)
			}
		}
	})
}

// MaxEvents are drawn, in a bounded size, and one more is refused before
// anything is written.
func TestSVG_RefusesTooManyEvents(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	var rules rotation.Rules
	re := sim.NewReplay(rules)
	var steps []sim.Step
	for i := range MaxEvents + 1 {
		s := must.Get(re.Apply(timeline.Entry{
			Card:  "card-" + strconv.Itoa(i%7),
			Event: rotation.Forced(at.Add(time.Duration(i) * time.Second)),
		}))(t)
		steps = append(steps, s)
	}
	var b strings.Builder
	if err := SVG(&b, report("", rules, steps)); !errors.Is(err, ErrTooMany) || b.Len() > 0 {
		t.Errorf("SVG of %d events: %v, %d bytes written", len(steps), err, b.Len())
	}
	if drawing := drawSVG(t, "all", rules, steps[:MaxEvents]); len(drawing) > 2<<20 {
		t.Errorf("the drawing has %d bytes", len(drawing))
	}
}

func TestSVG_ReturnsTheWritersError(t *testing.T) {
	rules, steps := replay(t, drawn["chain"])
	size := len(drawSVG(t, "chain", rules, steps))
	for _, after := range []int{0, size / 2, size - 1} {
		if err := SVG(&cannotWrite{after}, report("chain", rules, steps)); !errors.Is(err, errCannotWrite) {
			t.Errorf("SVG to a writer that fails after %d bytes: %v", after, err)
		}
	}
}

// TestSVG_LegendNamesDottedStubs: where dropped slots have no room, the legend has their stubs
// instead.
func TestSVG_LegendNamesDottedStubs(t *testing.T) {
	const slot, stub = ">slot dropped<", ">new schedule, dropped before its slot<"
	for story, want := range map[string]string{"five_cards": slot, "sixty": stub} {
		rules, steps := replay(t, drawn[story])
		var b strings.Builder
		must.Do(t, SVG(&b, report(story, rules, steps)))
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, slot) == strings.Contains(got, stub) {
			t.Errorf("%s: the legend does not have %s alone", story, want)
		}
	}
}
