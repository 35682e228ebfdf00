package main

import (
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// eachFile calls read with each of the named files, one after the other. No
// name, and "-", are the standard input.
func (c *cli) eachFile(names []string, read func(r *timeline.Reader, name string) error) error {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if err := c.oneFile(name, read); err != nil {
			return err
		}
	}
	return nil
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
