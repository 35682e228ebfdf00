package browsertest_test

import (
	"testing"

	"cvvrotation/sim/draw/browsertest"
)

// A test opens a page, waits for its script and clicks a button.
func Example() {
	testPageCountsClicks := func(t *testing.T) {
		browser := browsertest.Start(t)
		tab := browser.Open(t, `<button onclick="textContent++">0</button>`, browsertest.Screen{Width: 800, Height: 600})
		tab.Until(`document.readyState === "complete"`)
		tab.Click(tab.Middle("button"))
		if n := browsertest.Eval[string](tab, `document.querySelector("button").textContent`); n != "1" {
			t.Errorf("the button shows %s, want 1", n)
		}
	}
	_ = testPageCountsClicks
}
