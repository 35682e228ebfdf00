package draw

import (
	"cmp"
	"slices"
)

// The sizes of text, in pixels.
const (
	titleText = 18.0
	text      = 12.0
	smallText = 11.0
)

// textWidth is a cautious guess at how wide a text is drawn: a little more than
// the advance of the usual monospaced fonts, and twice that for wide scripts.
func textWidth(s string, size float64) float64 {
	em := 0.0
	for _, r := range s {
		if r >= 0x1100 {
			em += 1.1
		} else {
			em += 0.62
		}
	}
	return em * size
}

// tag is a label that hangs from a pole at x, its text to the right of the pole.
// Labels that would overlap hang lower.
type tag struct {
	x, width float64
	row      int // from 0, the one nearest to the mark; -1 where there was no room
}

// hang gives each tag its row, so that no two overlap and no pole crosses the
// text of another: of two that are close, the left one hangs lower. Tags that
// would come below the last row are left out. They have to be in order of x. It
// returns the number of rows used.
func hang(tags []tag, rows int) (used int) {
	for i := len(tags) - 1; i >= 0; i-- {
		f := &tags[i]
		f.row = 0
		for _, right := range tags[i+1:] {
			if right.x >= f.x+f.width {
				break
			}
			f.row = max(f.row, right.row+1)
		}
		if f.row >= rows {
			f.row = -1
			continue
		}
		used = max(used, f.row+1)
	}
	return used
}

// span is a stretch from left to right that takes a level.
type span struct {
	from, to float64
	level    int
}

// stack gives the spans levels so that those on one level do not overlap, and
// short ones lie below the long ones that enclose them. Beyond the last level
// they share it. It returns the number of levels used.
func stack(spans []*span, levels int) (used int) {
	byLength := slices.SortedStableFunc(slices.Values(spans), func(a, b *span) int {
		return cmp.Compare(a.to-a.from, b.to-b.from)
	})
	for i, s := range byLength {
		for s.level < levels-1 && slices.ContainsFunc(byLength[:i], s.clashes) {
			s.level++
		}
		used = max(used, s.level+1)
	}
	return used
}

func (s *span) clashes(o *span) bool { return s.level == o.level && s.from < o.to && o.from < s.to }
