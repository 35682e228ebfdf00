package draw

import (
	"strings"
	"testing"

	"cvvrotation/rotation"
	"cvvrotation/sim"
)

func drawText(t testing.TB, rules rotation.Rules, steps []sim.Step, o TextOptions) string {
	t.Helper()
	var b strings.Builder
	text := NewText(&b, rules, o)
	for _, s := range steps {
		if err := text.Step(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := text.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextGolden(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			rules, steps := replay(t, story)
			golden(t, name+".txt", drawText(t, rules, steps, TextOptions{}))
			golden(t, name+"_80.txt", drawText(t, rules, steps, TextOptions{Width: 80}))
		})
	}
}
