package fleet

import (
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	"cvvrotation/sim/draw/browsertest"
	"cvvrotation/sim/must"
)

var shots = flag.String("shots", "", "a directory to write screenshots of the page to")

// TestWriteHTML_ChartsAreReadableOnPhone: the labels keep their size and do not overlap, and the
// charts fit the screen.
func TestWriteHTML_ChartsAreReadableOnPhone(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := browsertest.Start(t)
	for days, start := range map[int]time.Time{1: DefaultStart, 30: DefaultStart, 366: DefaultStart.AddDate(0, 5, 9)} {
		o := Options{Start: start, Capacity: 5, Outage: Outage{From: 10 * time.Hour, For: 3 * time.Hour}}
		var html strings.Builder
		must.Do(t, mustRun(t, fleet{10_000, days, o}).WriteHTML(&html))
		for name, s := range map[string]browsertest.Screen{
			"desk": {Width: 1280, Height: 2000}, "phone": {Width: 390, Height: 2400, Phone: true}, "phone_dark": {Width: 320, Height: 2400, Phone: true, Dark: true},
		} {
			t.Run(strconv.Itoa(days)+"_days_"+name, func(t *testing.T) {
				p := b.Open(t, html.String(), s)
				if w := browsertest.Eval[int](p, `document.documentElement.scrollWidth`); w > s.Width {
					t.Errorf("%d pixels wide, on a screen of %d", w, s.Width)
				}
				for _, problem := range browsertest.Eval[[]string](p, `[...document.querySelectorAll(".x, .y")].flatMap((labels) => {
					const boxes = [...labels.children].filter((l) => l.checkVisibility()).map((l) => ({ words: l.textContent, box: l.getBoundingClientRect() }));
					if (boxes.length < 2) return ["fewer than two labels"];
					return boxes.flatMap(({ words, box }, i) => [
						...(box.height < 12 || box.left < 0 || box.right > innerWidth ? [words + " is small or cut off"] : []),
						...boxes.slice(i + 1).filter((o) => box.left < o.box.right && o.box.left < box.right && box.top < o.box.bottom && o.box.top < box.bottom)
							.map((o) => words + " overlaps " + o.words),
					]);
				})`) {
					t.Error(problem)
				}
				if h := browsertest.Eval[float64](p, `document.querySelector(".chart svg").getBoundingClientRect().height`); h < 150 {
					t.Errorf("a chart is %v pixels high", h)
				}
				p.Shoot(*shots, strconv.Itoa(days)+"_days_"+name)
				if c := p.Complaints(); c != nil {
					t.Errorf("the page complains:\n%s", strings.Join(c, "\n"))
				}
			})
		}
	}
}
