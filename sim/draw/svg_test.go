package draw

import (
	"strings"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/sim"
)

func drawSVG(t testing.TB, title string, rules rotation.Rules, steps []sim.Step) string {
	t.Helper()
	var b strings.Builder
	if err := SVG(&b, title, rules, steps); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSVGGolden(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			rules, steps := replay(t, story)
			golden(t, name+".svg", drawSVG(t, strings.ReplaceAll(name, "_", " "), rules, steps))
		})
	}
}
