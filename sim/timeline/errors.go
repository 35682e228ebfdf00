package timeline

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// What can be wrong with a timeline; match them with [errors.Is]. An unknown
// event kind wraps rotation.ErrKind, a bad service code servicecode's error.
var (
	// ErrSyntax is a line that is neither spelling: broken JSON, a missing
	// part, a value of the wrong type, a key that is unknown, given twice, or
	// not one of the event's.
	ErrSyntax = errors.New("not a timeline entry")
	// ErrHeader is a header of an unknown version, or one that is not the
	// first line.
	ErrHeader = errors.New("bad header")
	// ErrSpelling is an entry that the text spelling has no way to write.
	ErrSpelling = errors.New("cannot be written as text: use JSON Lines")
)

// Error is a line that can't be read.
type Error struct {
	File string // as given to [NewReader]
	Line int    // from 1
	Err  error  // what is wrong
}

// Error returns "FILE:LINE: what is wrong".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func syntaxErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
}

// quoted is text from the input, made safe and short enough to print. Values
// that could be secret are never passed to it.
func quoted(text []byte) string {
	const most = 40
	s := string(text)
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}
