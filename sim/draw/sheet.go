package draw

import "fmt"

// sheet is several pictures below each other.
type sheet struct {
	title         string
	pictures      []*picture
	width, height float64
}

// sheetGap is the distance between two pictures, on both sides of a line.
const sheetGap = 12.0

func newSheet(r Report) *sheet {
	s := &sheet{title: printable(r.Title, 80), height: margin + 14 + sheetGap}
	s.width = margin*2 + textWidth(s.title, titleText)
	var previous *picture
	for i, section := range r.Sections {
		previous = newPicture(section, pictureOptions{title: section.Title, prefix: prefix(i), previous: previous})
		s.pictures = append(s.pictures, previous)
		s.width = max(s.width, previous.width)
		s.height += sheetGap + previous.height
	}
	return s
}

func (s *sheet) write(o *svgWriter) {
	o.f(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]v" height="%[2]v" viewBox="0 0 %[1]v %[2]v" aria-labelledby="title">`+"\n", s.width, s.height)
	o.f(`<title id="title">%v</title>`+"\n", s.title)
	o.w.WriteString("<style>" + styleSheet + "</style>\n")
	o.f(`<rect class="bg" width="%v" height="%v" rx="6"/>`+"\n", s.width, s.height)
	o.f(`<text class="heading" x="%v" y="%v">%v</text>`+"\n", margin, margin+14, s.title)
	y := margin + 14 + sheetGap
	for _, p := range s.pictures {
		p.width = s.width
		o.f(`<path class="grid" d="M%v,%vH%v"/>`+"\n", margin, y, s.width-margin)
		y += sheetGap
		o.f(`<g role="img" aria-labelledby="%[1]vtitle %[1]vdesc" transform="translate(0,%[2]v)">`+"\n", p.prefix, y)
		p.writeTitle(o)
		p.writeDrawing(o)
		o.f("</g>\n")
		y += p.height
	}
	o.f("</svg>\n")
}

// prefix returns what the ids of a section begin with, so that each is unique.
func prefix(section int) string { return fmt.Sprintf("t%d-", section+1) }
