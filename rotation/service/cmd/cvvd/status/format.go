package status

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strconv"
	"time"
)

var code = regexp.MustCompile("`([^`]*)`")

// prose returns a text whose code is in backticks as HTML.
func prose(s string) template.HTML {
	return template.HTML(code.ReplaceAllString(html.EscapeString(s), "<code>$1</code>"))
}

// many formats n with the singular or the plural words.
func many(n int64, one, several string) string {
	if n == 1 {
		several = one
	}
	return number(n) + " " + several
}

// number formats n with a narrow space between thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// duration formats d with two digits or two units.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d\u202fms", (d+time.Millisecond/2)/time.Millisecond)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f\u202fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d\u202fs", int(d.Seconds()))
	case d < time.Hour:
		return units(int(d/time.Second), 60, "min", "s")
	case d < 24*time.Hour:
		return units(int(d/time.Minute), 60, "h", "min")
	}
	return units(int(d/time.Hour), 24, "d", "h")
}

func units(n, per int, large, small string) string {
	s := fmt.Sprintf("%d\u202f%s", n/per, large)
	if n%per > 0 {
		s += fmt.Sprintf(" %d\u202f%s", n%per, small)
	}
	return s
}
