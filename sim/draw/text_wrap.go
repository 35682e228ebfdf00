package draw

import (
	"bufio"
	"strings"
	"unicode/utf8"
)

// style is how a piece of text looks where colours are on.
type style string

// The styles are SGR parameters of the eight basic colours, which follow the
// theme of the terminal.
const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// piece is a bit of text that stays on one line if it can.
type piece struct {
	text  string
	style style
}

func columns(s string) int { return utf8.RuneCountInString(s) }

// words are the pieces of a sentence.
func words(sentence string, st style) []piece {
	var out []piece
	for _, word := range strings.Fields(sentence) {
		out = append(out, piece{word, st})
	}
	return out
}

// printer writes lines of pieces, none wider than width; a width of 0 is no
// limit. Errors stay in the bufio.Writer until it is flushed.
type printer struct {
	w     *bufio.Writer
	width int
	color bool
}

// columnGap is the number of spaces between two columns.
const columnGap = 2

// table writes the pieces on one line, each at the start of its column, or
// behind a piece before it that is too wide for its own. It falls back to flow
// where the line gets too wide.
func (p *printer) table(cells []piece, widths []int) {
	pads := make([]int, len(cells))
	end, column := 0, 0
	for i, c := range cells {
		if c.text != "" {
			begin := column
			if end > 0 {
				begin = max(begin, end+columnGap)
			}
			pads[i] = begin - end
			end = begin + columns(c.text)
		}
		if widths[i] > 0 {
			column += widths[i] + columnGap
		}
	}
	if p.width > 0 && end > p.width {
		p.flow(cells, columnGap, 0, columnGap)
		return
	}
	for i, c := range cells {
		p.spaces(pads[i])
		p.put(c)
	}
	p.newline()
}

// flow writes the pieces one after the other, between spaces apart, and breaks
// the line where the next one no longer fits. The first line is indented by
// first, the others by rest. A piece wider than a line is broken.
func (p *printer) flow(pieces []piece, between, first, rest int) {
	if p.width > 0 { // a narrow terminal is no place for indentation
		first, rest = min(first, p.width/4), min(rest, p.width/4)
	}
	at, start := first, true
	p.spaces(first)
	for _, c := range pieces {
		if c.text == "" {
			continue
		}
		n := columns(c.text)
		switch {
		case start:
		case p.width == 0 || at+between+n <= p.width:
			p.spaces(between)
			at += between
		default:
			p.newline()
			p.spaces(rest)
			at = rest
		}
		start = false
		for p.width > 0 && at+n > p.width {
			head, tail := cut(c.text, p.width-at)
			p.put(piece{head, c.style})
			p.newline()
			p.spaces(rest)
			at, n = rest, columns(tail)
			c.text = tail
		}
		p.put(c)
		at += n
	}
	p.newline()
}

// cut splits the text so that its head takes at most room columns: at a space
// if there is one.
func cut(text string, room int) (head, tail string) {
	runes := []rune(text)
	for i := room; i > 0; i-- {
		if runes[i] == ' ' {
			return string(runes[:i]), string(runes[i+1:])
		}
	}
	return string(runes[:room]), string(runes[room:])
}

func (p *printer) put(c piece) {
	if p.color && c.style != plain && c.text != "" {
		p.w.WriteString("\x1b[" + string(c.style) + "m" + c.text + "\x1b[0m")
		return
	}
	p.w.WriteString(c.text)
}

func (p *printer) spaces(n int) {
	for range n {
		p.w.WriteByte(' ')
	}
}

func (p *printer) newline() { p.w.WriteByte('\n') }
