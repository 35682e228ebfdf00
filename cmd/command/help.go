package command

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpText returns the hand-written help of the command.
func (p *Program) helpText(cmd *cobra.Command) string {
	name := cmd.Name()
	if cmd.HasParent() && cmd.Parent().HasParent() {
		name = cmd.Parent().Name() + "_" + name
	}
	text, err := fs.ReadFile(p.Help, "help/"+name+".txt")
	if err != nil {
		return "Usage:\n  " + cmd.UseLine() + "\n"
	}
	return string(text)
}

// CheckHelp compares the help of root and of all commands below it with their
// flags, for a test of the program. It returns an error for each command or flag
// that the help lacks, for each flag that no command has, and for each line over 80
// columns. Run runs the program once.
func CheckHelp(root *cobra.Command, run func(args ...string) (status int, stdout, stderr string)) error {
	c := helpCheck{run: run, flags: map[string]bool{"--": true}}
	c.collect(root)
	c.check(root, nil)
	return errors.Join(c.problems...)
}

type helpCheck struct {
	run      func(args ...string) (status int, stdout, stderr string)
	flags    map[string]bool // of all commands: examples pipe one into another
	problems []error
}

func (c *helpCheck) collect(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.Flags().VisitAll(func(f *pflag.Flag) { c.flags["--"+f.Name] = true })
	for _, sub := range cmd.Commands() {
		c.collect(sub)
	}
}

func (c *helpCheck) check(cmd *cobra.Command, path []string) {
	name := strings.Join(append([]string{cmd.Root().Name()}, path...), " ")
	status, out, errs := c.run(append(path, "--help")...)
	must := func(ok bool, format string, args ...any) {
		if !ok {
			c.problems = append(c.problems, fmt.Errorf("%s --help: %s", name, fmt.Sprintf(format, args...)))
		}
	}
	must(status == ExitDone && errs == "", "status %d, stderr %q", status, errs)
	_, again, _ := c.run(append([]string{"help"}, path...)...)
	must(again == out, "%s help prints another text", cmd.Root().Name())
	must(strings.Contains(out, "\nUsage:\n  "+name), "no line says how to call it")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "version" {
			return
		}
		must(strings.Contains(out, "--"+f.Name), "lacks --%s", f.Name)
		must(f.Shorthand == "" || strings.Contains(out, "-"+f.Shorthand+", --"+f.Name), "lacks -%s", f.Shorthand)
	})
	for _, word := range strings.FieldsFunc(out, func(r rune) bool { return !strings.ContainsRune("-abcdefghijklmnopqrstuvwxyz", r) }) {
		must(!strings.HasPrefix(word, "--") || c.flags[word], "no command has %s", word)
	}
	for line := range strings.SplitSeq(out, "\n") {
		must(len([]rune(line)) <= 80, "a line over 80 columns: %s", line)
	}
	for _, sub := range cmd.Commands() {
		must(strings.Contains(out, "\n  "+sub.Name()+" ") || sub.Name() == "help", "lacks the command %s", sub.Name())
		c.check(sub, append(path[:len(path):len(path)], sub.Name()))
	}
}
