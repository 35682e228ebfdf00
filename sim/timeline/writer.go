package timeline

import (
	"io"

	"cvvrotation/rotation"
)

// Spelling is one of the two ways to write a timeline.
type Spelling uint8

const (
	SpellingJSONL Spelling = iota // JSON Lines, for programs
	SpellingText                  // for people
)

// Writer writes a timeline. Its output is not buffered: give it a
// [bufio.Writer] and flush that.
type Writer struct {
	w        io.Writer
	spelling Spelling
	rules    rotation.Rules
	started  bool
	buf      []byte
}

// NewWriter returns a Writer to w. Rules other than the default stand on a line
// of their own in text; in JSON Lines they ride on the first event, so that
// each line is an event.
func NewWriter(w io.Writer, spelling Spelling, rules rotation.Rules) *Writer {
	return &Writer{w: w, spelling: spelling, rules: rules}
}

// Write writes one entry with the expectations that it has set. It fails where
// the underlying writer does, and with [ErrSpelling] or [ErrSyntax] on a card
// id that the spelling can't hold; then nothing is written.
func (w *Writer) Write(e Entry) error {
	if e.Event.Kind() == rotation.KindSetInterval {
		e.Expect.Fields &^= FieldInterval // it has an interval of its own
	}
	var rules rotation.Rules
	if !w.started {
		rules = w.rules
	}
	b := w.buf[:0]
	var err error
	if w.spelling == SpellingText {
		if rules != (rotation.Rules{}) {
			b = append(b, "rules guard="...)
			b = append(b, rotation.FormatDuration(rules.Guard())...)
			b = append(b, " guard_from="...)
			b = append(b, rules.GuardFrom().String()...)
			b = append(b, '\n')
		}
		b, err = appendText(b, e)
	} else {
		b, err = appendJSON(b, e, rules)
	}
	w.buf = b
	if err != nil {
		return err
	}
	w.started = true
	_, err = w.w.Write(b)
	return err
}
