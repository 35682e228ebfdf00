package timeline

import (
	"bytes"
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
)

// csvReader reads the rows of a CSV log, a line each.
type csvReader struct {
	*csv.Reader
	source  bytes.Reader
	columns []*mapped // by their place; nil: ignored
}

func newCSVReader(comma rune) *csvReader {
	c := &csvReader{}
	c.Reader = csv.NewReader(&c.source)
	c.Comma, c.FieldsPerRecord, c.ReuseRecord = comma, -1, true
	return c
}

// csvHeader reports whether the line is a header with columns for card, event and
// instant, and reads rows from then on. A header that lacks one of them is an error.
func (r *Reader) csvHeader() (bool, error) {
	for _, comma := range ",;\t" {
		c := newCSVReader(comma)
		names, err := c.row(r.untrimmed)
		if err != nil || len(names) < 3 {
			continue
		}
		has := map[string]bool{}
		named := false
		for i, name := range names {
			names[i] = strings.TrimSpace(name)
			field := r.json.mapping.fields[names[i]]
			if field != nil {
				field.seen, has[field.ours] = true, true
				named = named || field.asked
			}
			c.columns = append(c.columns, field)
		}
		if has[keyAt] && has[keyCard] && has[keyEvent] {
			r.csv, r.parse = c, r.parseRow
			return true, nil
		}
		if named {
			lacking := slices.DeleteFunc([]string{keyAt, keyCard, keyEvent}, func(ours string) bool { return has[ours] })
			return false, syntaxErrorf("the columns %s have no %s: map it", list(names), strings.Join(lacking, ", "))
		}
	}
	return false, nil
}

// row returns the cells of a line.
func (c *csvReader) row(line []byte) ([]string, error) {
	c.source.Reset(line)
	return c.Read()
}

func (r *Reader) parseRow(text []byte) (e Entry, isEvent bool, err error) {
	cells, err := r.csv.row(r.untrimmed)
	if err != nil || len(cells) != len(r.csv.columns) {
		r.passOver(text)
		return e, false, nil
	}
	r.json.beginMapped()
	for i, field := range r.csv.columns {
		if field == nil {
			continue
		}
		cell := strings.TrimSpace(cells[i])
		switch {
		case isNull(field.ours, cell):
			r.json.setField(field, nil)
		case cell != "" || field.ours == keyEvent:
			r.json.setField(field, []byte(cell))
		default: // unknown: many systems fill a column only where it changes
			field.seen = true
		}
	}
	return r.logEntry()
}

// isNull reports whether a cell of our field says that there is no value.
func isNull(ours, cell string) bool {
	switch cell = strings.ToLower(cell); cell {
	case "null", `\n`:
		return true
	case "none", "off":
		return ours == keyNext || ours == keyInterval || ours == keyIntervalHours
	}
	return false
}

// nameForm is what a member or a column is called. Anything else could be a value,
// and is not printed.
var nameForm = regexp.MustCompile(`^[A-Za-z_@][A-Za-z_@0-9 -]{0,59}(\.[A-Za-z_@][A-Za-z_@0-9 -]{0,59})*$`)

func isValue(name string) bool { return !nameForm.MatchString(name) }

// list names what a file has.
func list(names []string) string {
	const most = 20
	names = slices.DeleteFunc(slices.Clone(names), isValue)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, ", ")
}
