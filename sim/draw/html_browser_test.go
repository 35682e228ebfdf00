package draw

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/sim"
	"cvvrotation/sim/draw/browsertest"
	"cvvrotation/sim/must"
)

var shots = flag.String("shots", "", "a directory to write screenshots of the reports to; look at them")

var (
	desk  = browsertest.Screen{Width: 1280, Height: 1000}
	phone = browsertest.Screen{Width: 390, Height: 844, Phone: true}
)

// manyEvents is a report of 300 events of three cards, some of them within the guard.
func manyEvents(t *testing.T) Report {
	t.Helper()
	var lines strings.Builder
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for i := range 300 {
		event := "forced"
		if i < 6 && i%2 == 0 {
			event = "set_interval interval=8h"
		}
		fmt.Fprintf(&lines, "%s  card-%d  %s\n", at.Format(time.RFC3339), i/2%3+1, event)
		at = at.Add([]time.Duration{30 * time.Second, 20 * time.Second, time.Hour, 40 * time.Second, 2 * time.Hour}[i%5])
	}
	rules, steps := replay(t, lines.String())
	return report("many events", rules, steps)
}

// TestHTML_WorksInABrowser shows reports in a real browser and uses them.
func TestHTML_WorksInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := browsertest.Start(t)
	page := func(t *testing.T, story string) (html string, events int) {
		rules, steps := replay(t, drawn[story])
		return drawHTML(t, report(story, rules, steps)), len(steps)
	}

	// All of them, on all screens: everything is there, nothing is too wide,
	// nothing is logged, asked for or refused.
	for story := range drawn {
		for name, s := range map[string]browsertest.Screen{
			"light":     desk,
			"dark":      {Width: 1280, Height: 1000, Dark: true},
			"phone":     phone,
			"no_script": {Width: 1280, Height: 1000, NoScript: true},
		} {
			t.Run(story+"/"+name, func(t *testing.T) {
				html, events := page(t, story)
				p := b.Open(t, html, s)
				if n := browsertest.Eval[int](p, `document.querySelectorAll(".view .mark .event").length`); n != events {
					t.Errorf("%d marks of %d events", n, events)
				}
				if n := browsertest.Eval[int](p, `[...document.querySelectorAll("tbody tr")].filter(r => r.getBoundingClientRect().height > 0).length`); n != events {
					t.Errorf("%d rows of %d events", n, events)
				}
				live := browsertest.Eval[bool](p, `document.querySelector(".controls")?.checkVisibility() ?? false`)
				if want := events > 0 && !s.NoScript; live != want {
					t.Errorf("the controls are shown: %v, want %v", live, want)
				}
				if w := browsertest.Eval[int](p, `document.documentElement.scrollWidth`); w > s.Width {
					t.Errorf("%d pixels wide, on a screen of %d", w, s.Width)
				}
				p.Shoot(*shots, story+"_"+name)
				if c := p.Complaints(); c != nil {
					t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
				}
			})
		}
	}

	type box [4]float64 // the view box: x, y, width, height
	viewBox := func(p *browsertest.Tab) (v box) {
		p.T.Helper()
		fmt.Sscan(browsertest.Eval[string](p, `document.querySelector(".view svg").getAttribute("viewBox")`), &v[0], &v[1], &v[2], &v[3])
		return v
	}
	focused := func(p *browsertest.Tab) string {
		p.T.Helper()
		return browsertest.Eval[string](p, `(({ id, dataset, className }) => id || dataset.filter || className.split(" ")[0])(document.activeElement)`)
	}
	panel := func(p *browsertest.Tab) string {
		p.T.Helper()
		return browsertest.Eval[string](p, `document.querySelector(".panel").textContent`)
	}

	t.Run("long words", func(t *testing.T) {
		rules, steps := replay(t, "2026-11-22T15:00:00Z "+strings.Repeat("x", 300)+" forced")
		long := strings.Repeat("y", 300)
		html := drawHTML(t, Report{Title: long, Intro: []string{long}, Facts: []Fact{{"Command", long}}, Sections: []Section{{Rules: rules, Steps: steps}}})
		p := b.Open(t, html, phone)
		if w := browsertest.Eval[int](p, `document.documentElement.scrollWidth`); w > phone.Width {
			t.Errorf("%d pixels wide, on a screen of %d", w, phone.Width)
		}
		p.Shoot(*shots, "long_words")
	})

	t.Run("zoom", func(t *testing.T) {
		html, _ := page(t, "five_cards")
		p := b.Open(t, html, desk)
		p.Middle(".view")
		whole := viewBox(p)
		x, y := p.Middle(".view")
		zoomed := func(by string, in bool, do func()) {
			t.Helper()
			before := viewBox(p)
			do()
			if after := viewBox(p); after == before || (after[2] < before[2]) != in {
				t.Errorf("by %s: %v, before %v", by, after, before)
			}
		}
		button := func(do string) func() {
			return func() { p.Click(p.Middle(`[data-do="` + do + `"]`)) }
		}
		wheel := func(delta float64) func() {
			return func() { p.Mouse("mouseWheel", x, y, browsertest.Object{"deltaX": 0, "deltaY": delta}) }
		}
		zoomed("the button", true, button("in"))
		zoomed("the button", false, button("out"))
		p.Middle(".view")
		browsertest.Eval[any](p, `document.querySelector(".view").focus()`)
		zoomed("+", true, func() { p.Key("+") })
		zoomed("=", true, func() { p.Key("=") })
		zoomed("-", false, func() { p.Key("-") })
		zoomed("the wheel", true, wheel(-120))
		zoomed("the wheel", false, wheel(120))
		zoomed("0", false, func() { p.Key("0") })
		zoomed("+", true, func() { p.Key("+") })
		zoomed("fit", false, button("fit"))
		if v := viewBox(p); v != whole {
			t.Errorf("it began with %v, and fits at %v", whole, v)
		}

		// What the pointer is at stays there.
		p.Middle(".view")
		const underPointer = `(() => { const m = document.getElementById("mark-6").getBoundingClientRect(); return [m.x + m.width / 2, m.y + m.height / 2] })()`
		at := browsertest.Eval[[2]float64](p, underPointer)
		p.Mouse("mouseWheel", at[0], at[1], browsertest.Object{"deltaX": 0, "deltaY": -120})
		if now := browsertest.Eval[[2]float64](p, underPointer); math.Hypot(now[0]-at[0], now[1]-at[1]) > 2 {
			t.Errorf("zooming moved the event under the pointer from %v to %v", at, now)
		}

		// Out as far as it goes, the wheel scrolls the page.
		browsertest.Eval[any](p, `document.querySelector(".view").focus(); window.scrollTo(0, 0)`)
		for range 8 {
			p.Key("-")
		}
		if v := viewBox(p); v != whole {
			t.Errorf("zoomed out to %v of %v", v, whole)
		}
		p.Mouse("mouseWheel", x, y, browsertest.Object{"deltaX": 0, "deltaY": 200})
		p.Until(`window.scrollY > 0`)
		// Zoomed in all the way, the picture is still within bounds.
		for range 30 {
			p.Key("+")
		}
		if v := viewBox(p); v[2] < whole[2]/20 || v[0] < 0 || v[0]+v[2] > whole[2]+1 {
			t.Errorf("zoomed in to %v of %v", v, whole)
		}
		if c := p.Complaints(); c != nil {
			t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
		}
	})

	t.Run("pan", func(t *testing.T) {
		html, _ := page(t, "sixty")
		p := b.Open(t, html, desk)
		x, y := p.Middle(".view")
		browsertest.Eval[any](p, `document.querySelector(".view").focus()`)
		p.Key("ArrowRight")
		right := viewBox(p)
		if right[0] <= 0 {
			t.Errorf("the right arrow moved to %v", right)
		}
		p.Key("ArrowLeft")
		p.Key("ArrowLeft")
		if v := viewBox(p); v[0] != 0 {
			t.Errorf("left of the picture's edge: %v", v)
		}
		p.Key("End")
		if v := viewBox(p); math.Abs(v[0]+v[2]-browsertest.Eval[float64](p, `document.querySelector(".overview svg").viewBox.baseVal.width`)) > 1 {
			t.Errorf("End leads to %v", v)
		}
		p.Key("Home")
		if v := viewBox(p); v[0] != 0 {
			t.Errorf("Home leads to %v", v)
		}
		p.Mouse("mousePressed", x, y, browsertest.Left)
		p.Mouse("mouseMoved", x-100, y, browsertest.Left)
		p.Mouse("mouseMoved", x-300, y, browsertest.Left)
		p.Mouse("mouseReleased", x-300, y, browsertest.Left)
		v := viewBox(p)
		if scale := browsertest.Eval[float64](p, `document.querySelector(".view").clientWidth`) / v[2]; math.Abs(v[0]*scale-300) > 3 {
			t.Errorf("dragged 300 pixels to the left, and the view is at %v", v)
		}
		// The cards' names come along.
		if at := browsertest.Eval[float64](p, `document.querySelector(".view .card").getBoundingClientRect().x - document.querySelector(".view").getBoundingClientRect().x`); at < 0 || at > 60 {
			t.Errorf("the card's name is at %v", at)
		}
		p.Mouse("mouseMoved", x, y, nil)
		if after := viewBox(p); after != v {
			t.Errorf("it still drags after the button is released: %v", after)
		}
		p.Shoot(*shots, "panned")
	})

	t.Run("pinch", func(t *testing.T) {
		html, _ := page(t, "five_cards")
		p := b.Open(t, html, phone)
		x, y := p.Middle(".view")
		before := viewBox(p)
		finger := func(id int, x float64) browsertest.Object { return browsertest.Object{"x": x, "y": y, "id": id} }
		p.Touch("touchStart", finger(1, x-30), finger(2, x+30))
		p.Touch("touchMove", finger(1, x-50), finger(2, x+50))
		p.Touch("touchMove", finger(1, x-90), finger(2, x+90))
		p.Touch("touchEnd")
		if after := viewBox(p); after[2] >= before[2]*0.6 {
			t.Errorf("pinched open by three: %v, before %v", after, before)
		}
		if c := p.Complaints(); c != nil {
			t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
		}
	})

	// Each event tells its sentence, to the mouse, the keyboard and the finger.
	for by, s := range map[string]browsertest.Screen{"mouse": desk, "focus": desk, "finger": phone} {
		t.Run("sentences/"+by, func(t *testing.T) {
			rules, steps := replay(t, drawn["duplicate"])
			p := b.Open(t, drawHTML(t, report("duplicate", rules, steps)), s)
			p.Click(p.Middle(`[data-do="fit"]`))
			for i, s := range steps {
				mark := fmt.Sprintf("#mark-%d", i+1)
				switch x, y := p.Middle(mark); by {
				case "mouse":
					p.Mouse("mouseMoved", x, y, nil)
				case "focus":
					browsertest.Eval[any](p, `document.querySelector("`+mark+`").focus()`)
				default:
					p.Touch("touchStart", browsertest.Object{"x": x, "y": y, "radiusX": 0.1, "radiusY": 0.1})
					p.Touch("touchEnd")
				}
				p.Until(fmt.Sprintf(`document.querySelector(".panel").textContent.startsWith("Event %d ")`, i+1))
				if said, want := panel(p), rules.Explain(s.Before, s.Entry.Event); !strings.Contains(said, want) {
					t.Errorf("event %d: %q, want %q", i+1, said, want)
				}
			}
			if hash := browsertest.Eval[string](p, `location.hash`); hash != "" {
				t.Errorf("it has gone to %s", hash)
			}
			if c := p.Complaints(); c != nil {
				t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
			}
		})
	}

	t.Run("keyboard", func(t *testing.T) {
		html, events := page(t, "two_cards")
		p := b.Open(t, html, desk)
		for _, want := range []string{"skip", "", "", "", "card", "which", "view", "mark-1", "mark-3"} { // the second of its lane
			p.Key("Tab")
			if id := focused(p); id != want {
				t.Fatalf("Tab leads to %q, want %q", id, want)
			}
		}
		for _, step := range []struct{ key, want string }{
			{"Home", "mark-1"}, {"ArrowLeft", "mark-1"}, {"ArrowRight", "mark-2"}, {"ArrowRight", "mark-3"},
			{"ArrowDown", "mark-4"}, {"ArrowDown", "mark-4"}, {"ArrowUp", "mark-3"}, {"End", fmt.Sprintf("mark-%d", events)},
			{"ArrowRight", fmt.Sprintf("mark-%d", events)},
		} {
			p.Key(step.key)
			if id := focused(p); id != step.want {
				t.Errorf("%s leads to %q, want %q", step.key, id, step.want)
			}
		}
		// To the row, and back.
		p.Key("ArrowLeft")
		p.Shoot(*shots, "focus")
		p.Key("Enter")
		row := fmt.Sprintf("#event-%d", events-1)
		p.Until(`location.hash === "` + row + `"`)
		if !browsertest.Eval[bool](p, `(() => { const b = document.querySelector(":target").getBoundingClientRect(); return b.top >= document.querySelector("thead th").getBoundingClientRect().bottom && b.bottom <= innerHeight })()`) {
			t.Error("Enter does not lead to the row")
		}
		p.Click(p.Middle(row + " a"))
		p.Until(fmt.Sprintf(`document.activeElement.id === "mark-%d"`, events-1))
		if c := p.Complaints(); c != nil {
			t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
		}
	})

	// What has the focus is in view, however far the view has gone.
	t.Run("reveal", func(t *testing.T) {
		html, events := page(t, "sixty")
		p := b.Open(t, html, desk)
		browsertest.Eval[any](p, `document.getElementById("mark-1").focus()`)
		for i := range events {
			if !browsertest.Eval[bool](p, `(() => {
				const m = document.activeElement.querySelector(".hit").getBoundingClientRect(), v = document.querySelector(".view").getBoundingClientRect();
				return m.left >= v.left && m.right <= v.right && m.top >= v.top && m.bottom <= v.bottom;
			})()`) {
				t.Fatalf("event %d has the focus and is out of view", i+1)
			}
			p.Key("ArrowRight")
		}
	})

	// Fit shows what can be told apart, and zooming in makes the view as high as it was.
	for name, s := range map[string]browsertest.Screen{"desk": desk, "phone": phone} {
		t.Run("fit/"+name, func(t *testing.T) {
			p := b.Open(t, drawHTML(t, manyEvents(t)), s)
			const height = `document.querySelector(".view").clientHeight`
			before := browsertest.Eval[float64](p, height)
			p.Click(p.Middle(`[data-do="fit"]`))
			browsertest.Eval[any](p, `window.dispatchEvent(new Event("resize"))`)
			p.Shoot(*shots, "fit_"+name)
			if fit := browsertest.Eval[float64](p, height); fit < 100 {
				t.Errorf("Fit leaves %v pixels", fit)
			}
			if size := browsertest.Eval[float64](p, `document.querySelector(".mark .event").getBoundingClientRect().height`); size < 4 {
				t.Errorf("a mark is %v pixels high", size)
			}
			for range 4 {
				p.Click(p.Middle(`[data-do="in"]`))
			}
			if after := browsertest.Eval[float64](p, height); after < before {
				t.Errorf("the view is %v pixels high, and %v before Fit", after, before)
			}
		})
	}

	// Wherever the view is, the axis names its day and times, each at its event.
	for name, s := range map[string]browsertest.Screen{"desk": desk, "phone": phone} {
		t.Run("axis/"+name, func(t *testing.T) {
			p := b.Open(t, drawHTML(t, manyEvents(t)), s)
			browsertest.Eval[any](p, `document.querySelector(".view").focus()`)
			check := func(place string) {
				t.Helper()
				for _, problem := range browsertest.Eval[[]string](p, `(() => {
					const view = document.querySelector(".view").getBoundingClientRect();
					const labels = [...document.querySelectorAll(".axis span")].map((l) => ({ words: l.textContent, day: l.className.includes("day"), box: l.getBoundingClientRect() }));
					const times = labels.filter((l) => !l.day), problems = [];
					if (labels.filter((l) => l.day && l.box.right > view.left + 20 && l.box.left < view.left + view.width / 2).length === 0 || times.length < 2) problems.push("no day or times: " + labels.map((l) => l.words));
					for (const { words, box } of labels) {
						if (labels.some((o) => o.words !== words && box.left < o.box.left && o.box.left < box.right - 4 && Math.abs(o.box.top - box.top) < 5)) problems.push(words + " is overlapped");
					}
					const places = {};
					for (const row of document.querySelectorAll("tbody tr")) {
						const box = document.querySelector("#mark-" + row.id.slice(6) + " .hit").getBoundingClientRect();
						(places[row.querySelector("time").textContent.slice(-8)] ??= []).push(box.left + box.width / 2);
					}
					let seen = 0;
					for (const { words, box } of times) {
						if (!places[words]) continue; // a slot
						seen++;
						if (places[words].every((x) => Math.abs(x - box.left) > 2)) problems.push(words + " is at " + box.left + ", its events at " + places[words]);
					}
					return seen ? problems : [...problems, "no event has its time"];
				})()`) {
					t.Errorf("%s: %s", place, problem)
				}
			}
			check("at the start")
			p.Key("End")
			check("at the end")
			p.Shoot(*shots, "end_"+name)
			p.Key("+")
			check("zoomed in")
			p.Key("0")
			check("fitted")
			browsertest.Eval[any](p, `window.scrollTo(0, document.querySelector(".view").getBoundingClientRect().top + scrollY)`)
			if top := browsertest.Eval[float64](p, `document.querySelector(".axis").getBoundingClientRect().top`); top < 0 {
				t.Errorf("the axis scrolls away with the page, to %v", top)
			}
		})
	}

	t.Run("overview", func(t *testing.T) {
		p := b.Open(t, drawHTML(t, manyEvents(t)), desk)
		x, y := p.Middle(".overview svg")
		// inWhole and inStrip are where the view and its window begin, of the whole width.
		const inWhole = `(() => { const v = document.querySelector(".view svg").viewBox.baseVal; return v.x / document.querySelector(".overview svg").viewBox.baseVal.width })()`
		const inStrip = `(() => { const w = document.querySelector(".window").getBoundingClientRect(), o = document.querySelector(".overview svg").getBoundingClientRect(); return (w.left - o.left) / o.width })()`
		same := func(do string, want float64) {
			t.Helper()
			view, strip := browsertest.Eval[float64](p, inWhole), browsertest.Eval[float64](p, inStrip)
			if math.Abs(view-want) > 0.01 || math.Abs(strip-want) > 0.01 {
				t.Errorf("%s: the view begins at %.3f, its window at %.3f, want %.3f", do, view, strip, want)
			}
		}
		same("opened", 0)
		half := browsertest.Eval[float64](p, `document.querySelector(".window").getBoundingClientRect().width / document.querySelector(".overview svg").getBoundingClientRect().width / 2`)
		p.Click(x, y)
		same("clicked in the middle", 0.5-half)
		// Dragged by its edge, the window moves as far as the pointer.
		p.Mouse("mousePressed", x+40, y, browsertest.Left)
		same("gripped", 0.5-half)
		width := browsertest.Eval[float64](p, `document.querySelector(".overview svg").getBoundingClientRect().width`)
		p.Mouse("mouseMoved", x+40+width/4, y, browsertest.Left)
		same("dragged", 0.75-half)
		p.Mouse("mouseReleased", x+40+width/4, y, browsertest.Left)
		p.Mouse("mouseMoved", x, y, nil)
		same("released", 0.75-half)
		if n := browsertest.Eval[int](p, `[...document.querySelectorAll(".overview path")].reduce((n, path) => n + path.getAttribute("d").split("M").length - 1, 0)`); n != 300 {
			t.Errorf("%d strokes of 300 events", n)
		}
		if c := p.Complaints(); c != nil {
			t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
		}
	})

	t.Run("overview/finger", func(t *testing.T) {
		p := b.Open(t, drawHTML(t, manyEvents(t)), phone)
		x, y := p.Middle(".overview svg")
		p.Touch("touchStart", browsertest.Object{"x": x, "y": y})
		from := viewBox(p)
		for dx := 20.0; dx <= 100; dx += 20 {
			p.Touch("touchMove", browsertest.Object{"x": x + dx, "y": y})
		}
		p.Touch("touchEnd")
		if scrolled := browsertest.Eval[float64](p, `window.scrollX`); viewBox(p)[0] <= from[0]+1000 || scrolled != 0 {
			t.Errorf("a finger moved the view from %v to %v, the page by %v", from, viewBox(p), scrolled)
		}
	})

	t.Run("filters", func(t *testing.T) {
		r := manyEvents(t)
		steps := r.Sections[0].Steps
		steps[10].Entry.Expect = steps[9].Outcome()
		p := b.Open(t, drawHTML(t, r), desk)
		choose := func(id, value string) {
			browsertest.Eval[any](p, fmt.Sprintf(`(() => { const s = document.querySelector("[data-filter=" + %q + "]"); s.value = %q; s.dispatchEvent(new Event("change", {bubbles: true})) })()`, id, value))
		}
		for _, tt := range []struct {
			card, which string
			want        func(sim.Step) bool
		}{
			{"card-2", "", func(s sim.Step) bool { return s.Entry.Card == "card-2" }},
			{"card-2", "kept", func(s sim.Step) bool { return s.Entry.Card == "card-2" && kept(s) }},
			{"", "kept", kept},
			{"", "differs", func(s sim.Step) bool { return len(differences(s)) > 0 }},
			{"card-3", "differs", func(s sim.Step) bool { return s.Entry.Card == "card-3" && len(differences(s)) > 0 }},
			{"", "", func(sim.Step) bool { return true }},
		} {
			var want []int
			for i, s := range steps {
				if tt.want(s) {
					want = append(want, i+1)
				}
			}
			browsertest.Eval[any](p, `document.querySelector(".view").focus()`)
			p.Key("End") // what matches first is out of view
			choose("card", tt.card)
			choose("which", tt.which)
			p.Shoot(*shots, "filter_"+tt.card+tt.which)
			for what, ids := range map[string]string{
				"rows":  `[...document.querySelectorAll("tbody tr")].filter((e) => e.checkVisibility()).map((e) => Number(e.id.slice(6)))`,
				"marks": `[...document.querySelectorAll(".view .mark")].filter((e) => e.checkVisibility()).map((e) => Number(e.id.slice(5))).sort((a, b) => a - b)`,
			} {
				if got := browsertest.Eval[[]int](p, ids); !slices.Equal(got, want) {
					t.Errorf("card %q, show %q: the %s are %v, want %v", tt.card, tt.which, what, got, want)
				}
			}
			lanes := 3
			if tt.card != "" {
				lanes = 1
			}
			if n := browsertest.Eval[int](p, `[...document.querySelectorAll(".view .card")].filter((e) => e.getBoundingClientRect().width > 0).length`); n != lanes {
				t.Errorf("card %q, show %q: %d lanes, want %d", tt.card, tt.which, n, lanes)
			}
			if len(want) == 0 {
				t.Fatalf("card %q, show %q: nothing to see", tt.card, tt.which)
			}
			if len(want) < len(steps) {
				if said := browsertest.Eval[string](p, `document.querySelector(".count").textContent`); said != fmt.Sprintf("%d of %d events", len(want), len(steps)) {
					t.Errorf("card %q, show %q: %q", tt.card, tt.which, said)
				}
				if !browsertest.Eval[bool](p, fmt.Sprintf(`(() => { const m = document.querySelector("#mark-%d .hit").getBoundingClientRect(), v = document.querySelector(".view").getBoundingClientRect(); return m.left >= v.left && m.right <= v.right && m.top >= v.top && m.bottom <= v.bottom })()`, want[0])) {
					t.Errorf("card %q, show %q: event %d is out of view", tt.card, tt.which, want[0])
				}
			}
		}
		// The arrows go from one event that is shown to the next.
		choose("card", "card-2")
		browsertest.Eval[any](p, `document.getElementById("mark-4").focus()`)
		p.Key("ArrowRight")
		if id := focused(p); id != "mark-9" {
			t.Errorf("the right arrow leads to %q, want mark-9", id)
		}
		if c := p.Complaints(); c != nil {
			t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
		}
	})

	// Sections do not disturb each other.
	t.Run("sections", func(t *testing.T) {
		r := Report{Title: "five files"}
		for i, story := range []string{"two_cards", "five_cards", "empty", "sixty", "five_cards"} {
			rules, steps := replay(t, drawn[story])
			if i == 1 {
				steps[9].Entry.Expect = steps[8].Outcome()
			}
			r.Sections = append(r.Sections, Section{Title: `logs/"` + story + `" <&>.timeline`, Rules: rules, Steps: steps})
		}
		html := drawHTML(t, r)
		for name, s := range map[string]browsertest.Screen{"light": desk, "dark": {Width: 1280, Height: 1000, Dark: true}, "phone": phone, "no_script": {Width: 1280, Height: 1000, NoScript: true}} {
			p := b.Open(t, html, s)
			if w := browsertest.Eval[int](p, `document.documentElement.scrollWidth`); w > s.Width {
				t.Errorf("%s: %d pixels wide, on a screen of %d", name, w, s.Width)
			}
			if ids := browsertest.Eval[[]string](p, `[...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(ids) > 0 {
				t.Errorf("%s: elements share the ids %q", name, ids)
			}
			for i, title := range browsertest.Eval[[]string](p, `[...document.querySelectorAll("#contents a")].map((a) => a.textContent + ":" + document.querySelector(a.getAttribute("href")).textContent)`) {
				if want := r.Sections[i].Title; title != want+":"+want {
					t.Errorf("%s: the contents link %q, want %q", name, title, want)
				}
			}
			p.Shoot(*shots, "sections_"+name)
			if c := p.Complaints(); c != nil {
				t.Errorf("%s: the page complains:\n%s", name, strings.Join(c, "\n"))
			}
		}

		// state is what can be seen of the sections with events.
		p := b.Open(t, html, desk)
		state := func() []string {
			p.T.Helper()
			return browsertest.Eval[[]string](p, `[...document.querySelectorAll(".report")].filter((r) => r.querySelector(".view")).map((r) => [
				r.querySelector(".view svg").getAttribute("viewBox"), r.querySelector(".axis").textContent, r.querySelector(".panel").textContent,
				[...r.querySelectorAll("tbody tr, .mark")].filter((e) => e.checkVisibility()).length, r.querySelector(".count").textContent,
				r.querySelector(".overview .window").getAttribute("x") + r.querySelector(".overview .window").getAttribute("width"),
				r.querySelectorAll(".current").length].join("|"))`)
		}
		const second = `document.querySelectorAll(".report")[1]`
		for _, test := range []struct {
			name string
			do   func()
		}{
			{"zoom", func() {
				browsertest.Eval[any](p, second+`.querySelector(".view").focus()`)
				p.Key("+")
			}},
			{"button", func() { browsertest.Eval[any](p, second+`.querySelector("[data-do=fit]").click()`) }},
			{"panel", func() { browsertest.Eval[any](p, second+`.querySelector(".mark").focus()`) }},
			{"arrow", func() { p.Key("End") }},
			{"overview", func() {
				browsertest.Eval[any](p, second+`.querySelector("[data-do=in]").click()`)
				p.Click(p.Middle("#t2-picture-head ~ .overview svg"))
			}},
			{"filter", func() {
				browsertest.Eval[any](p, `(() => { const s = `+second+`.querySelector("[data-filter=card]"); s.value = "delta"; s.dispatchEvent(new Event("change", {bubbles: true})) })()`)
			}},
			{"differs", func() {
				browsertest.Eval[any](p, `(() => { for (const [name, value] of [["card", ""], ["which", "differs"]]) { const s = `+second+`.querySelector("[data-filter=" + name + "]"); s.value = value; s.dispatchEvent(new Event("change", {bubbles: true})) } })()`)
			}},
		} {
			before := state()
			test.do()
			after := state()
			for i := range before {
				if (before[i] != after[i]) != (i == 1) {
					t.Errorf("%s in the second section: the section %d is %q, before %q", test.name, i+1, after[i], before[i])
				}
			}
		}
		if rows := browsertest.Eval[[]string](p, `[...`+second+`.querySelectorAll("tbody tr")].filter((e) => e.checkVisibility()).map((e) => e.id)`); !slices.Equal(rows, []string{"t2-event-10"}) {
			t.Errorf("what differs in the second section: %v", rows)
		}
		// From a row to the mark of the same section.
		p.Click(p.Middle("#t5-event-3 a"))
		p.Until(`document.activeElement.id === "t5-mark-3"`)
		p.Key("ArrowRight")
		if id := focused(p); id != "t5-mark-4" {
			t.Errorf("the right arrow leads to %q", id)
		}
		// Only a section without differences has nothing to choose.
		if off := browsertest.Eval[[]bool](p, `[...document.querySelectorAll("option[value=differs]")].map((o) => o.disabled)`); !slices.Equal(off, []bool{true, false, true, true}) {
			t.Errorf("differences cannot be chosen: %v", off)
		}
		browsertest.Eval[any](p, `window.dispatchEvent(new Event("beforeprint"))`)
		if ids := browsertest.Eval[[]string](p, `[...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(ids) > 0 {
			t.Errorf("printed, elements share the ids %q", ids)
		}
		if c := p.Complaints(); c != nil {
			t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
		}
	})

	t.Run("print", func(t *testing.T) {
		html, events := page(t, "sixty")
		p := b.Open(t, html, desk)
		full := browsertest.Eval[float64](p, `document.querySelector(".view svg").width.baseVal.value`)
		p.Call("Emulation.setEmulatedMedia", browsertest.Object{"media": "print"}, nil)
		for _, id := range []string{"controls", "overview", "axis", "panel"} {
			if browsertest.Eval[bool](p, `document.querySelector(".`+id+`").checkVisibility()`) {
				t.Errorf(".%s is printed", id)
			}
		}
		if n := browsertest.Eval[int](p, `[...document.querySelectorAll("tbody tr")].filter(r => r.checkVisibility()).length`); n != events {
			t.Errorf("%d rows are printed of %d events", n, events)
		}
		browsertest.Eval[any](p, `window.dispatchEvent(new Event("beforeprint"))`)
		const shown = `[...document.querySelectorAll(".view svg")].map(s => s.viewBox.baseVal).map(v => [v.x, v.width])`
		end := 0.0
		for _, strip := range browsertest.Eval[[][2]float64](p, shown) {
			if strip[0] > end {
				t.Errorf("nothing is printed from %v to %v", end, strip[0])
			}
			end = strip[0] + strip[1]
		}
		if end < full {
			t.Errorf("the picture is printed up to %v, of %v", end, full)
		}
		if !browsertest.Eval[bool](p, `[...document.querySelectorAll(".view svg")].every(s => s.getScreenCTM().a * s.viewBox.baseVal.width > s.getBoundingClientRect().width - 2)`) {
			t.Error("a strip does not fill its line")
		}
		p.Shoot(*shots, "print")
		browsertest.Eval[any](p, `window.dispatchEvent(new Event("afterprint"))`)
		if n := len(browsertest.Eval[[][2]float64](p, shown)); n != 1 {
			t.Errorf("%d pictures after printing", n)
		}
		var pdf struct{ Data []byte }
		p.Call("Page.printToPDF", browsertest.Object{"preferCSSPageSize": true, "printBackground": true}, &pdf)
		if !strings.HasPrefix(string(pdf.Data), "%PDF-") {
			t.Errorf("no PDF: %.20q", pdf.Data)
		}
		if *shots != "" {
			must.Do(t, os.WriteFile(filepath.Join(*shots, "sixty.pdf"), pdf.Data, 0o644))
		}
	})

	// The policy holds: what gets into the page by force neither runs nor loads.
	t.Run("policy", func(t *testing.T) {
		var requests atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
		defer server.Close()
		html, _ := page(t, "s1")
		p := b.Open(t, html, desk)
		browsertest.Eval[any](p, fmt.Sprintf(`(async () => {
			const url = %q;
			for (const [name, more] of [["img", {src: url}], ["script", {src: url}], ["iframe", {src: url}], ["script", {textContent: "window.ran = true"}], ["link", {rel: "stylesheet", href: url}]]) {
				document.body.append(Object.assign(document.createElement(name), more));
			}
			await fetch(url).catch(() => {});
			await new Promise((done) => setTimeout(done, 200));
		})()`, server.URL))
		if n := requests.Load(); n != 0 {
			t.Errorf("%d requests got out", n)
		}
		if browsertest.Eval[bool](p, `window.ran === true`) {
			t.Error("a script that is not the page's ran")
		}
		if p.Complaints() == nil {
			t.Error("nothing was refused: the test does not test")
		}
	})
}
