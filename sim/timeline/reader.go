package timeline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"cvvrotation/rotation"
)

// maxLine is the longest line that a Reader takes, in bytes. It bounds what a
// file that is no timeline at all can make it hold.
const maxLine = 1 << 20

// Reader reads a timeline of either spelling.
type Reader struct {
	file string
	in   *bufio.Reader
	long []byte // a line that did not fit into in's buffer

	untrimmed []byte // the line last read, with the white space around it
	started   bool   // the form is recognised
	gzipped   bool
	manyLines bool // an array, or objects that go over several lines
	openArray bool
	lines     int // line feeds read, if manyLines

	line     int // the number of the line last read
	parse    func(text []byte) (e Entry, isEvent bool, err error)
	rules    rotation.Rules
	inEvents bool // a header is over, or there is none
	json     jsonDecoder
	csv      *csvReader
	previous time.Time // of the event before, in the text spelling

	daemon, ignoreRules         bool // see DaemonEvents and IgnoreRules
	skipped                     int  // lines that are JSON objects without an event of ours
	unreadable, firstUnreadable int  // lines passed over that are no JSON object, and the first's number

	peeked bool // Rules has read the first entry already
	first  Entry
	err    error // what Next returns from now on
}

// NewReader returns a Reader of r. The name file stands in errors.
func NewReader(r io.Reader, file string) *Reader {
	return &Reader{file: file, in: bufio.NewReaderSize(r, 64<<10)}
}

// Rules returns the rules that the header sets, the zero Rules where it sets
// none. It reads as far as the first event, and returns the error that
// [Reader.Next] would, except at the end of an empty timeline.
func (r *Reader) Rules() (rotation.Rules, error) {
	if !r.inEvents && r.err == nil {
		r.first, r.err = r.read()
		r.peeked = r.err == nil
	}
	if r.err != nil && r.err != io.EOF {
		return rotation.Rules{}, r.err
	}
	return r.rules, nil
}

// Next returns the next entry. At the end it returns [io.EOF]; a line that
// can't be read is an [*Error], and any other error is the underlying reader's.
// After an error, Next returns the same error again.
func (r *Reader) Next() (Entry, error) {
	if r.peeked {
		r.peeked = false
		return r.first, nil
	}
	if r.err != nil {
		return Entry{}, r.err
	}
	e, err := r.read()
	r.err = err
	return e, err
}

func (r *Reader) read() (Entry, error) {
	for {
		text, err := r.nextLine()
		if err != nil {
			return Entry{}, err
		}
		if r.parse == nil {
			r.parse = r.parseText
			if text[0] == '{' {
				r.parse = r.parseJSON
			}
		}
		e, isEvent, err := r.parse(text)
		if err != nil && !r.inEvents && !r.isLog() {
			e, isEvent, err = r.recognise(text, err)
		}
		if err != nil {
			if !errors.As(err, new(*Error)) {
				err = &Error{File: r.file, Line: r.line, Err: err}
			}
			return Entry{}, err
		}
		if isEvent {
			r.inEvents = true
			e.Line = r.line
			return e, nil
		}
	}
}

// isLog reports whether the file is not a timeline: lines without an event of ours
// are passed over.
func (r *Reader) isLog() bool { return r.json.mapping != nil || r.daemon }

// nextLine returns the next line that is not blank, without white space around it.
func (r *Reader) nextLine() ([]byte, error) {
	if !r.started {
		if err := r.start(); err != nil {
			return nil, err
		}
	}
	for {
		var text []byte
		var err error
		if r.manyLines {
			text, err = r.nextValue()
		} else {
			text, err = r.readLine()
		}
		if err != nil {
			return nil, err
		}
		r.untrimmed = text
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return text, nil
		}
	}
}

// readLine returns the next line, which is valid until the next call. The last
// line may lack its line feed.
func (r *Reader) readLine() ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if err == nil && len(r.long) == 0 {
			r.line++
			return part, nil
		}
		r.long = append(r.long, part...)
		switch {
		case len(r.long) > maxLine:
			return nil, &Error{File: r.file, Line: r.line + 1, Err: syntaxErrorf("longer than %d bytes", maxLine)}
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil, errors.Is(err, io.EOF) && len(r.long) > 0:
			r.line++
			return r.long, nil
		default:
			return nil, r.readError(err)
		}
	}
}

func (r *Reader) parseText(text []byte) (e Entry, isEvent bool, err error) {
	words, err := splitText(string(text))
	switch {
	case err != nil:
		return e, false, err
	case len(words) == 0: // a comment
		return e, false, nil
	case words[0] == "rules":
		rules, err := textRules(words[1:])
		if err != nil {
			return e, false, err
		}
		return e, false, r.setRules(rules)
	}
	e, r.previous, err = textEntry(words, r.previous)
	return e, true, err
}

func (r *Reader) parseJSON(text []byte) (e Entry, isEvent bool, err error) {
	if err := r.json.decode(text); err != nil {
		if _, isObject := r.json.cloudEvent(text); !isObject && r.inEvents {
			err = &Error{File: r.file, Line: r.line, Err: err, Hint: "to pass over lines that are no JSON, read it as a log: --map at=at"}
		}
		return e, false, err
	}
	if r.json.isHeader || r.json.hasRules {
		if err := r.setRules(r.json.rules); err != nil || r.json.isHeader {
			return e, false, err
		}
	}
	r.json.line.expectInterval()
	e, err = r.json.line.entry()
	return e, true, err
}

func (r *Reader) setRules(rules rotation.Rules) error {
	if r.inEvents {
		return headerErrorf("rules are given once, before or on the first event")
	}
	r.rules, r.inEvents = rules, true
	return nil
}

func headerErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrHeader}, args...)...)
}
