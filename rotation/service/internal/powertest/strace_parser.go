package powertest

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// call is a system call.
type call struct {
	name   string
	args   []string // as strace writes them
	result int64    // below 0: it failed
}

// event is the beginning or the end of a system call. Its effect happens at some time
// between them.
type event struct {
	*call
	begins bool
}

// parse reads the output of strace -f -xx. A call that was interrupted by the end of
// the program has no end.
func parse(in io.Reader) (events []event, err error) {
	open := map[string]*call{} // by thread
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<28)
	for n := 1; lines.Scan(); n++ {
		thread, line, _ := strings.Cut(lines.Text(), " ")
		line = strings.TrimLeft(line, " ")
		if strings.HasPrefix(line, "+++ ") { // the thread has ended
			continue
		}
		// Strings are in hexadecimal: there are no other parentheses.
		before, after, ends := strings.Cut(line, ")")
		before, unfinished := strings.CutSuffix(before, " <unfinished ...>")
		if !strings.HasPrefix(line, "<... ") {
			name, args, ok := strings.Cut(before, "(")
			if !ok || ends == unfinished || strings.Contains(args, "...") {
				return nil, fmt.Errorf("strace, line %d: incomplete call: %.99s", n, line)
			}
			open[thread] = &call{name: name, args: strings.Split(args, ", ")}
			events = append(events, event{open[thread], true})
		}
		if !ends {
			continue
		}
		c, result := open[thread], strings.Fields(after)
		if c == nil || len(result) < 2 || result[0] != "=" {
			return nil, fmt.Errorf("strace, line %d: end of an unknown call: %.99s", n, line)
		}
		delete(open, thread)
		if result[1] == "?" { // the program has ended
			continue
		}
		if c.result, err = strconv.ParseInt(result[1], 0, 64); err != nil {
			return nil, fmt.Errorf("strace, line %d: %w", n, err)
		}
		events = append(events, event{c, false})
	}
	return events, lines.Err()
}

func (c *call) isSync() bool { return c.name == "fsync" || c.name == "fdatasync" }

func (c *call) isOutput() bool { return c.name == "write" && c.arg(0) == "1" }

func (c *call) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// text returns an argument that is a string.
func (c *call) text(i int) ([]byte, error) {
	s, begins := strings.CutPrefix(c.arg(i), `"`)
	s, ends := strings.CutSuffix(s, `"`)
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if !begins || !ends || err != nil {
		return nil, fmt.Errorf("%s: argument %d is not a hexadecimal string", c.name, i)
	}
	return b, nil
}

// number returns an argument that is a decimal number.
func (c *call) number(i int) (int, error) {
	n, err := strconv.Atoi(c.arg(i))
	if err != nil {
		return 0, fmt.Errorf("%s: argument %d: %w", c.name, i, err)
	}
	return n, nil
}
