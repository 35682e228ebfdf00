package timeline

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// foreign lists formats that a Reader does not read: their first bytes, and the
// command that converts them.
var foreign = []struct{ magic, name, command string }{
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -dc FILE"},
	{"\xfd7zXZ", "xz", "xz -dc FILE"},
	{"BZh", "bzip2", "bzip2 -dc FILE"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -dc FILE"},
	{"PK\x03\x04", "a zip archive", "unzip -p FILE"},
	{"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"},
	{"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"},
	{"{\x00", "UTF-16", "iconv -f UTF-16LE -t UTF-8 FILE"},
	{"PAR1", "Parquet", "duckdb -csv -c \"FROM 'FILE'\""},
	{"SQLite format 3\x00", "an SQLite database", "sqlite3 -csv -header FILE 'SELECT …'"},
}

// start recognises the form of the file by its first bytes. It reads no further
// than the first byte that is not white space.
func (r *Reader) start() error {
	r.started = true
	head, err := r.in.Peek(2)
	if string(head) == "\x1f\x8b" {
		r.gzipped = true
		var inflated *gzip.Reader
		if inflated, err = gzip.NewReader(r.in); err == nil {
			r.in = bufio.NewReaderSize(inflated, 64<<10)
			_, err = r.in.Peek(2)
		}
	}
	if err != nil && err != io.EOF {
		return r.readError(err)
	}
	head, _ = r.in.Peek(min(r.in.Buffered(), 512))
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return r.looksLike(f.name, f.command)
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return r.looksLike("a tar archive", "tar -xOf FILE")
	}
	if bom := "\ufeff"; bytes.HasPrefix(head, []byte(bom)) { // as some editors begin a file
		_, _ = r.in.Discard(len(bom)) // it is buffered
	}
	r.manyLines, err = r.startsManyLines()
	return err
}

func (r *Reader) looksLike(name, command string) error {
	return &Error{
		File: r.file, Line: 1, Err: syntaxErrorf("it looks like %s", name),
		Hint: "convert it first: " + command + " | cvvsim verify -",
	}
}

// startsManyLines reports whether the file begins with an array of objects, or with an
// object that goes over several lines.
func (r *Reader) startsManyLines() (bool, error) {
	for n := 1; n <= 512; n++ {
		head, err := r.in.Peek(n)
		if err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, r.readError(err)
		}
		head = bytes.TrimSpace(head)
		if len(head) == 0 || len(head) == 1 && head[0] == '[' {
			continue
		}
		if head[0] == '[' {
			return head[len(head)-1] == '{' || head[len(head)-1] == ']' && len(head) == 2, nil
		}
		if head[0] != '{' {
			return false, nil
		}
		rest, _ := r.in.Peek(r.in.Buffered())
		first, _, whole := bytes.Cut(rest[n:], []byte("\n"))
		return whole && len(bytes.TrimSpace(first)) == 0, nil
	}
	return false, nil
}

// nextValue returns the next object of an array, or of objects that go over several
// lines. Anything else between them is returned as a line.
func (r *Reader) nextValue() ([]byte, error) {
	r.long = r.long[:0]
	var depth int
	var inString, escaped bool
	for {
		b, err := r.in.ReadByte()
		switch {
		case err == io.EOF && len(r.long) > 0:
			r.openArray = false
			return r.long, nil // which is cut off
		case err == io.EOF && r.openArray:
			r.openArray = false
			r.line = r.lines + 1
			if !r.isLog() {
				return nil, &Error{File: r.file, Line: r.line, Err: syntaxErrorf("the array is not closed: the file is cut off")}
			}
			r.passOver(nil)
			continue
		case err != nil:
			return nil, r.readError(err)
		}
		if len(r.long) == 0 {
			r.line = r.lines + 1
		}
		if b == '\n' {
			r.lines++
		}
		switch {
		case len(r.long) == 0 && b == '[', len(r.long) == 0 && b == ']':
			r.openArray = b == '['
			continue
		case len(r.long) == 0 && strings.IndexByte(" \t\r\n,", b) >= 0:
			continue
		}
		r.long = append(r.long, b)
		switch {
		case len(r.long) > maxLine:
			return nil, &Error{File: r.file, Line: r.line, Err: syntaxErrorf("an object longer than %d bytes", maxLine)}
		case depth == 0 && b != '{' && b != '[': // no object, or it began with something else
			if b == '\n' || b == ',' {
				return r.long, nil
			}
		case escaped:
			escaped = false
		case inString && b == '\\':
			escaped = true
		case b == '"':
			inString = !inString
		case inString:
		case b == '{', b == '[':
			depth++
		case b == '}', b == ']':
			if depth--; depth == 0 {
				return r.long, nil
			}
		}
	}
}

// readError returns the error of the input. One of the compression is an [*Error].
func (r *Reader) readError(err error) error {
	what := ""
	switch {
	case r.gzipped && errors.Is(err, io.ErrUnexpectedEOF):
		what = "the gzip file is cut off here"
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, new(flate.CorruptInputError)):
		what = "the gzip file is damaged here"
	default:
		return err
	}
	return &Error{File: r.file, Line: r.line + 1, Err: fmt.Errorf("%s: %w", what, err), Hint: "what was read before it was used; copy the file again for the rest"}
}

// hint says what to do with a file whose first line is no timeline's: of a log, its
// members or columns and what they could be mapped to. structured reports whether
// the line has any.
func (r *Reader) hint(text []byte) (advice string, structured bool) {
	names, embedding := r.json.paths(text)
	what := "members"
	if len(names) == 0 {
		what = "columns"
		for _, comma := range ",;\t" {
			if c := newCSVReader(comma); len(names) < 3 {
				names, _ = c.row(r.untrimmed)
			}
		}
		if len(names) < 3 || slices.ContainsFunc(names, isValue) { // it is not a header
			return lookOf(text), false
		}
	}
	has := map[string]bool{}
	for _, name := range names {
		has[name] = true
	}
	switch {
	case has[keyTimeline] || has[keyAt] && has[keyCard] && has[keyEvent]:
		return "", true
	case embedding != "":
		return fmt.Sprintf("its member %s is JSON in a string; extract it first: jq -r .%s FILE | cvvsim verify -", embedding, embedding), true
	}
	return fmt.Sprintf("its %s are %s; to read it as a log: %s, and --map-event THEIRS=OURS for each kind of event", what, list(names), suggestion(names)), true
}

// lookOf says what a line that is neither JSON nor CSV looks like; "" for a timeline
// in the text spelling.
func lookOf(text []byte) string {
	looks := "plain text"
	first, _, _ := bytes.Cut(text, []byte(" "))
	switch {
	case !utf8.Valid(text) || bytes.ContainsAny(text, "\x00\x01\x02\x03\x04"):
		looks = "a binary file"
	case text[0] == '<':
		looks = "XML or HTML"
	case bytes.IndexByte(first, '=') > 0:
		looks = "key=value pairs"
	case strings.IndexByte("+0123456789", text[0]) >= 0 || string(first) == keyRules:
		return ""
	}
	return "it looks like " + looks + ": convert it to JSON lines or CSV first"
}

// likely are names that other systems give to our fields, without case, underscores
// and the like; in order of preference.
var likely = []struct {
	ours   string
	theirs []string
}{
	{keyAt, []string{"at", "time", "timestamp", "ts", "datetime", "date", "occurredat", "createdat"}},
	{keyCard, []string{"card", "cardid"}},
	{keyEvent, []string{"event", "eventtype", "type", "op", "operation", "operationtype", "action", "kind"}},
	{keyIntervalHours, []string{"intervalhours", "cvvrotationintervalhours", "hours"}},
	{keyNext, []string{"next", "nextat", "nextrotation", "nextrotationat", "nextrotationdate", "cvvnextrotationdate"}},
	{keyRotate, []string{"rotate", "rotated"}},
	{keyReschedule, []string{"reschedule", "rescheduled"}},
	{keyReason, []string{"reason"}}, {keyScenario, []string{"scenario"}}, {keyMissed, []string{"missed"}}, {keySlot, []string{"slot"}},
}

// suggestion returns the flag that maps the names as far as they are likely.
func suggestion(names []string) string {
	plain := func(name string) string {
		return strings.Map(func(c rune) rune {
			if strings.ContainsRune("_-@ ", c) {
				return -1
			}
			return c
		}, strings.ToLower(name))
	}
	var pairs []string
	for _, field := range likely {
		pair := field.ours + "=FIELD"
		for _, theirs := range slices.Backward(field.theirs) {
			for _, name := range slices.DeleteFunc(slices.Clone(names), isValue) {
				p := plain(name)
				if p == theirs || p[strings.LastIndexByte(p, '.')+1:] == theirs || strings.ReplaceAll(p, ".", "") == theirs {
					pair = field.ours + "=" + name
				}
			}
		}
		if required := field.ours == keyAt || field.ours == keyCard || field.ours == keyEvent; required || !strings.HasSuffix(pair, "=FIELD") && pair != field.ours+"="+field.ours {
			pairs = append(pairs, pair)
		}
	}
	flag := strings.Join(pairs, ",")
	if strings.Contains(flag, " ") {
		flag = "'" + flag + "'"
	}
	return "--map " + flag
}

// paths returns the paths of an object's members, nil if the line has no object, and
// the first one that is a string of JSON.
func (j *jsonDecoder) paths(text []byte) (names []string, embedding string) {
	brace := bytes.IndexByte(text, '{')
	if brace < 0 {
		return nil, ""
	}
	j.source.Reset(text[brace:])
	j.dec.Reset(&j.source)
	var walk func(prefix string) func(name string) error
	walk = func(prefix string) func(name string) error {
		return func(name string) error {
			if j.dec.PeekKind() == '{' {
				return j.object(walk(prefix + name + "."))
			}
			names = append(names, prefix+name)
			value, err := j.dec.ReadValue()
			if bytes.HasPrefix(value, []byte(`"{\"`)) && !isValue(prefix+name) {
				embedding = cmp.Or(embedding, prefix+name)
			}
			return err
		}
	}
	if j.object(walk("")) != nil {
		return nil, ""
	}
	return names, embedding
}
