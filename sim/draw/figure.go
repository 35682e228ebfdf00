package draw

import "html/template"

// Figure is the picture of a section, for a page of one's own that lists the events.
// Each mark is a link to the element with the id event-1, event-2 and so on, in the
// order of the steps, and has the id mark-1 and so on itself. The page needs
// [StyleSheet]. A figure has no script and no style attributes.
type Figure struct {
	Picture template.HTML
	Key     []Sample // what the marks mean

	Guard, Summary string // sentences: the rules' guard; how many events there are
}

// Sample is a sample of a mark and its meaning.
type Sample struct {
	Sample template.HTML
	Words  string
}

// NewFigure draws the section's steps. Its title and intro are ignored. The error wraps
// [ErrTooMany].
func NewFigure(s Section) (Figure, error) {
	if err := (Report{Sections: []Section{s}}).check(); err != nil {
		return Figure{}, err
	}
	return newFigure(s, ""), nil
}

func newFigure(s Section, prefix string) Figure {
	picture := newPicture(s, pictureOptions{inPage: true, prefix: prefix})
	return Figure{
		Picture: drawing(picture.write), Key: figureKey(picture),
		Guard: guardWords(s.Rules), Summary: summarize(s.Steps),
	}
}

// StyleSheet returns the style of figures, for light and dark pages.
func StyleSheet() string { return styleSheet }

func figureKey(p *picture) []Sample {
	var samples []Sample
	for _, item := range p.legendItems() {
		samples = append(samples, Sample{
			Words: item.words,
			Sample: drawing(func(o *svgWriter) {
				o.f(`<svg width="%[1]v" height="24" viewBox="0 -13 %[1]v 24" aria-hidden="true">`, item.room)
				item.draw(o, 0, 0)
				o.f("</svg>")
			}),
		})
	}
	return samples
}
