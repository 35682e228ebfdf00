package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// rulesFlags are the flags that override a timeline's header.
type rulesFlags struct {
	set       *pflag.FlagSet
	guard     time.Duration
	guardFrom rotation.GuardFrom
}

func (f *rulesFlags) add(cmd *cobra.Command) {
	f.set = cmd.Flags()
	f.set.DurationVar(&f.guard, "guard", rotation.DefaultGuard, "")
	f.set.TextVar(&f.guardFrom, "guard-from", rotation.GuardFromRequest, "")
	mustComplete(cmd, "guard", cobra.NoFileCompletions)
	mustComplete(cmd, "guard-from", cobra.FixedCompletions([]cobra.Completion{"request", "scheduling"}, cobra.ShellCompDirectiveNoFileComp))
}

// check reports a bad flag before any input is read.
func (f *rulesFlags) check() error {
	_, err := f.over(rotation.Rules{})
	return err
}

// over returns the rules of the header with the flags' in their place.
func (f *rulesFlags) over(header rotation.Rules) (rotation.Rules, error) {
	guard, from := header.Guard(), header.GuardFrom()
	if f.set.Changed("guard") {
		guard = f.guard
	}
	if f.set.Changed("guard-from") {
		from = f.guardFrom
	}
	return rotation.NewRules(guard, from)
}

// of returns the rules to decide r's events under.
func (f *rulesFlags) of(r *timeline.Reader) (rotation.Rules, error) {
	if f.set.Changed("guard") || f.set.Changed("guard-from") {
		r.IgnoreRules()
	}
	header, err := r.Rules()
	if err != nil {
		return rotation.Rules{}, err
	}
	return f.over(header)
}

func mustComplete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag is not defined
	}
}

// mappingFlags are the flags that describe another system's log.
type mappingFlags struct {
	fields, events map[string]string
	mapping        *timeline.Mapping // nil without the flags
}

func (f *mappingFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringToStringVar(&f.fields, "map", nil, "")
	cmd.Flags().StringToStringVar(&f.events, "map-event", nil, "")
}

// check makes the mapping.
func (f *mappingFlags) check() (err error) {
	if len(f.fields) > 0 || len(f.events) > 0 {
		f.mapping, err = timeline.NewMapping(f.fields, f.events)
	}
	return err
}

// eachFile calls read with each of the named files, one after the other, and then
// reports what was passed over. No name, and "-", are the standard input. The
// mapping is that of a log, or nil.
func (c *cli) eachFile(names []string, m *timeline.Mapping, read func(r *timeline.Reader, name string) error) (err error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	skipped, unreadable, first := 0, 0, ""
	for _, name := range names {
		err = c.oneFile(name, func(r *timeline.Reader, name string) error {
			if m != nil {
				r.Map(m)
			}
			err := read(r, name)
			skipped += r.Skipped()
			n, line := r.Unreadable()
			if unreadable += n; n > 0 && first == "" {
				first = fmt.Sprintf("%s:%d", name, line)
			}
			return err
		})
		if err != nil {
			break
		}
	}
	if m != nil {
		field, unknown := m.UnknownEvents()
		for _, name := range slices.Sorted(maps.Keys(unknown)) {
			n := unknown[name]
			skipped -= n
			fmt.Fprintf(c.Stderr, "note: skipped %s: %s %q is no event of ours; to read it as one: --map-event %q=forced (or auto, set_interval, disable)\n", lines(n, ""), field, name, name)
		}
	}
	if skipped > 0 {
		fmt.Fprintf(c.Stderr, "note: skipped %s without an event\n", lines(skipped, ""))
	}
	if unreadable > 0 {
		fmt.Fprintf(c.Stderr, "note: passed over %s (first: %s); if one was an event, it is missing\n", lines(unreadable, "unreadable "), first)
	}
	if m != nil && err == nil {
		fields, events := m.Unseen()
		for _, theirs := range fields {
			fmt.Fprintf(c.Stderr, "warning: --map: no line has %s; is it misspelt?\n", theirs)
		}
		for _, theirs := range events {
			fmt.Fprintf(c.Stderr, "warning: --map-event: no line has the event %s; is it misspelt?\n", theirs)
		}
	}
	if bad := new(timeline.Error); errors.As(err, &bad) && bad.Hint != "" {
		err = command.Hint(err, bad.Hint)
	}
	return err
}

func (c *cli) oneFile(name string, read func(r *timeline.Reader, name string) error) error {
	in, shown := c.Stdin, "<stdin>"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in, shown = f, name
	}
	line := c.statusLine()
	if out, _ := c.terminal(); out {
		line.on = false // the results are shown there
	}
	line.last = time.Now() // nothing is shown of what is read within a moment
	defer line.clear()
	return read(timeline.NewReader(&watched{in, line, shown, 0}, shown), shown)
}

// watched shows how much has been read.
type watched struct {
	io.Reader
	line *statusLine
	name string
	read int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.read += int64(n)
	w.line.show("%s: %d MB read", w.name, w.read>>20)
	return n, err
}

// eachEntry calls apply with each entry. What apply refuses is reported with
// the entry's line.
func eachEntry(r *timeline.Reader, file string, apply func(timeline.Entry) error) error {
	for {
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := apply(e); err != nil {
			return atLine(file, e.Line, err)
		}
	}
}

// lines is a number of lines of a kind, such as "1 unreadable line".
func lines(n int, kind string) string { return count(n, kind+"line") }

// count is a number of things, such as "1 file" or "2 files".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
