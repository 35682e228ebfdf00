package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ProblemKind is what is wrong with a chain.
type ProblemKind string

// The kinds of problems.
const (
	ProblemAltered  ProblemKind = "altered"  // the hash of a record is not that of its bytes and of the previous hash
	ProblemMissing  ProblemKind = "missing"  // sequence numbers do not occur
	ProblemMoved    ProblemKind = "moved"    // a record comes after a later one
	ProblemInserted ProblemKind = "inserted" // a line that is no record of the chain, or a second one with its number
	ProblemLinked   ProblemKind = "linked"   // the file continues another one than the previous file
)

// Problem is a place where a file differs from what was recorded.
type Problem struct {
	File   string      `json:"file"`
	Line   int         `json:"line"` // from 1
	Kind   ProblemKind `json:"kind"`
	Seq    int64       `json:"seq,omitempty"` // of the record; the first of several that are missing
	Detail string      `json:"detail"`
}

// FileReport is what Verifier found in a file.
type FileReport struct {
	File string `json:"file"`
	// Records is the number of chained records.
	Records int64 `json:"records"`
	// Last is the last position. Records that were cut off after it are missed only if
	// it is compared with a position that was kept elsewhere.
	Last Position `json:"last"`
	// Unchained is the number of records before the first chained one, which an earlier
	// version wrote. Nothing protects them.
	Unchained int64 `json:"unchained,omitempty"`
	// Incomplete is the number of lines that a crash or a full disk cut off, and
	// FirstIncomplete the first of them. Nothing is missing because of them: the next
	// record has their sequence number.
	Incomplete      int64 `json:"incomplete,omitempty"`
	FirstIncomplete int   `json:"first_incomplete,omitempty"`
	// Continues is the end of the previous file that a record of this file names. The
	// zero value means none.
	Continues Position `json:"continues,omitzero"`
}

// MaxProblems is the maximum number of problems that a Verifier lists for each file.
const MaxProblems = 100

// Verifier checks the chains of audit files. The zero value is ready.
type Verifier struct {
	// Files are the reports of the files, in order.
	Files []FileReport
	// Problems are what is wrong, by file and line.
	Problems []Problem
	// Unlisted is the number of problems beyond MaxProblems of a file.
	Unlisted int

	previous *chainCheck // of the last file with a chain
}

// ErrInput is returned for a file that cannot be checked.
var ErrInput = errors.New("audit: not an audit file")

// File checks a file, plain or compressed by gzip. Files that log rotation has moved
// are passed in order, the oldest first, so that the connection between them is
// checked, too. The error names the file; it matches ErrInput for a line over 1 MiB
// and for a damaged compressed file. What was found before an error is reported.
func (v *Verifier) File(name string, r io.Reader) error {
	c := &chainCheck{report: FileReport{File: name}, previous: v.previous}
	err := c.read(r)
	c.settle(nil, Position{})
	c.addMissing()
	c.addLaterFiles(v.Files)
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	n := min(len(c.problems), MaxProblems)
	v.Files = append(v.Files, c.report)
	v.Problems = append(v.Problems, c.problems[:n]...)
	v.Unlisted += c.unlisted + len(c.problems) - n
	if c.report.Records > 0 {
		v.previous = c
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// maxRecent is how many positions at the end of a file are kept for the next file:
// other processes may append to the old file for a while.
const maxRecent = 1000

// maxKept is how many problems of a file are kept until it is sorted.
const maxKept = 10 * MaxProblems

// chainCheck is the check of one file.
type chainCheck struct {
	report   FileReport
	previous *chainCheck // of the previous file; nil: none
	line     int         // the current one
	suspect  *suspect    // nil: none
	recent   []Position  // the last records, in order
	missing  []gap       // in order
	problems []Problem
	unlisted int
}

// gap is a range of sequence numbers that did not occur before line.
type gap struct {
	from, to int64
	line     int
}

func (c *chainCheck) read(r io.Reader) error {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInput, err)
		}
		r = unpacked
	} else {
		r = in
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEnd)
	lines.Split(splitLines)
	for lines.Scan() {
		c.line++
		c.check(lines.Bytes())
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%w: line %d is longer than 1 MiB", ErrInput, c.line+1)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: line %d: %w", ErrInput, c.line+1, err)
	default:
		return err
	}
}

// splitLines is bufio.ScanLines, but keeps a carriage return: it was not written.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (c *chainCheck) problem(line int, kind ProblemKind, seq int64, format string, args ...any) {
	if len(c.problems) == maxKept {
		c.unlisted++
		return
	}
	c.problems = append(c.problems, Problem{c.report.File, line, kind, seq, fmt.Sprintf(format, args...)})
}

// check checks a line.
func (c *chainCheck) check(line []byte) {
	body, p, ok := parseChained(line)
	if !ok {
		c.unchained(line)
		return
	}
	c.settle(body, p)
	expected := c.report.Last.Seq + 1
	if p.Seq != expected {
		c.suspect = &suspect{p, c.line, bytes.Clone(line)}
		return
	}
	if c.report.Last.sum(body) != p.Hash {
		c.problem(c.line, ProblemAltered, p.Seq, "record %d or its hash was altered", p.Seq)
	}
	c.accept(p, c.line, line)
}

// suspect is a record with another sequence number than expected. The next record
// shows whether the number alone was altered.
type suspect struct {
	Position
	line int
	text []byte
}

// settle decides about the suspect. The next record is p, with the body, or none.
func (c *chainCheck) settle(body []byte, p Position) {
	s, last := c.suspect, c.report.Last
	c.suspect = nil
	switch {
	case s == nil:
	case p.Seq == last.Seq+2 && s.sum(body) == p.Hash:
		c.problem(s.line, ProblemAltered, last.Seq+1, "the sequence number of record %d was altered", last.Seq+1)
		c.accept(Position{last.Seq + 1, s.Hash}, s.line, s.text)
	case s.Seq > last.Seq: // its hash covers that of a record that is not here
		c.missing = append(c.missing, gap{last.Seq + 1, s.Seq - 1, s.line})
		c.accept(s.Position, s.line, s.text)
	case c.found(s.Seq):
		c.problem(s.line, ProblemMoved, s.Seq, "record %d comes after record %d", s.Seq, last.Seq)
	default:
		c.problem(s.line, ProblemInserted, s.Seq, "a second record %d, after record %d", s.Seq, last.Seq)
	}
}

// accept adds a record to the chain.
func (c *chainCheck) accept(p Position, line int, text []byte) {
	c.report.Records++
	c.report.Last = p
	if len(c.recent) == maxRecent {
		c.recent = slices.Delete(c.recent, 0, maxRecent/2)
	}
	c.recent = append(c.recent, p)
	c.link(line, text)
}

// unchained classifies a line without a position.
func (c *chainCheck) unchained(line []byte) {
	switch {
	case len(line) == 0: // two processes without locks
	case json.Valid(line) && c.report.Records == 0 && c.suspect == nil:
		c.report.Unchained++
	case json.Valid(line):
		c.problem(c.line, ProblemInserted, 0, "a line without a sequence number and a hash, after record %d", c.report.Last.Seq)
	case line[0] == '{' || line[0] == 0: // zeros: after a power cut
		if c.report.Incomplete++; c.report.FirstIncomplete == 0 {
			c.report.FirstIncomplete = c.line
		}
	default:
		c.problem(c.line, ProblemInserted, 0, "a line that is not JSON, after record %d", c.report.Last.Seq)
	}
}

// found reports whether the sequence number was missing so far, and removes it from
// the gaps.
func (c *chainCheck) found(seq int64) bool {
	i := slices.IndexFunc(c.missing, func(g gap) bool { return g.from <= seq && seq <= g.to })
	if i < 0 {
		return false
	}
	g := c.missing[i]
	var rest []gap
	if g.from < seq {
		rest = append(rest, gap{g.from, seq - 1, g.line})
	}
	if seq < g.to {
		rest = append(rest, gap{seq + 1, g.to, g.line})
	}
	c.missing = slices.Replace(c.missing, i, i+1, rest...)
	return true
}

// addMissing adds a problem for each gap that remains.
func (c *chainCheck) addMissing() {
	n := min(len(c.missing), MaxProblems)
	for _, g := range c.missing[:n] {
		c.problems = append(c.problems, Problem{c.report.File, g.line, ProblemMissing, g.from, recordsAre(g.from, g.to) + " missing before this line"})
	}
	c.unlisted += len(c.missing) - n
}

// addLaterFiles adds a problem for each file before this one that continues it: in this
// order, the connection between the two is not checked. A file that continues another
// one is checked by link.
func (c *chainCheck) addLaterFiles(before []FileReport) {
	if c.report.Continues.Seq > 0 {
		return
	}
	for _, f := range before {
		if f.Continues.Seq > 0 && slices.Contains(c.recent, f.Continues) {
			c.problem(1, ProblemLinked, f.Continues.Seq, "%s continues this file, but was given before it; name the files oldest first", f.File)
		}
	}
}

func recordsAre(from, to int64) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}

// link compares a record that names the end of another file with the previous file.
func (c *chainCheck) link(line int, text []byte) {
	if !bytes.Contains(text, []byte(OperationContinueLog)) {
		return
	}
	var r struct {
		Operation Operation
		Seq       int64  `json:"previous_seq"`
		Hash      string `json:"previous_hash"`
	}
	if json.Unmarshal(text, &r) != nil || r.Operation != OperationContinueLog {
		return
	}
	c.report.Continues = Position{r.Seq, r.Hash}
	if c.previous == nil {
		return
	}
	was := &c.previous.report
	switch known := slices.IndexFunc(c.previous.recent, func(p Position) bool { return p.Seq == r.Seq }); {
	case r.Seq > was.Last.Seq:
		c.problem(line, ProblemMissing, was.Last.Seq+1, "%s missing at the end of %s, or a file between the two was not given: this file continues record %d", recordsAre(was.Last.Seq+1, r.Seq), was.File, r.Seq)
	case known < 0 || c.previous.recent[known].Hash != r.Hash:
		c.problem(line, ProblemLinked, r.Seq, "this file does not continue %s: it names another hash of record %d; name the files oldest first", was.File, r.Seq)
	}
}
