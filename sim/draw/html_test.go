package draw

import (
	"strings"

	"pgregory.net/rapid"
)

func drawHTML(t rapid.TB, r Report) string {
	t.Helper()
	var b strings.Builder
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
