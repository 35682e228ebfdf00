package draw

import (
	"strings"

	"cvvrotation/rotation"
)

// gauge draws the guard as a scale of the given number of cells with the event
// at its place: ├────────●─┤ is within the guard, ├──────────┤● past it. It
// is empty where the event is far away.
func gauge(g gap, cells int) string {
	if cells == 0 || !g.near() {
		return ""
	}
	if !g.held() {
		return "├" + strings.Repeat("─", cells) + "┤●"
	}
	place := int(float64(g.since.Abs()) / float64(g.guard) * float64(cells))
	place = min(place, cells-1) // the last nanosecond is within as well
	return "├" + strings.Repeat("─", place) + "●" + strings.Repeat("─", cells-1-place) + "┤"
}

// gapWords says how long after the start of the guard the event came.
func gapWords(g gap) string {
	switch {
	case g.held() && g.since < 0:
		return rotation.FormatDuration(-g.since) + " back, of " + rotation.FormatDuration(g.guard)
	case g.held():
		return rotation.FormatDuration(g.since) + " of " + rotation.FormatDuration(g.guard)
	case g.near():
		return rotation.FormatDuration(g.since) + ", not held"
	case g.since < 0:
		return coarse(-g.since) + " back"
	default:
		return coarse(g.since)
	}
}
