package main

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cvvrotation/cmd/command"
)

// Exit statuses, as the help tells them.
const (
	exitDone       = command.ExitDone
	exitDifference = 1 // a difference, or a broken invariant, was found
	exitBadInput   = 2 // or usage
)

// help holds the hand-written help of each command.
//
//go:embed help/*.txt
var help embed.FS

// cli is what the commands share.
type cli struct{ command.Program }

func newCLI(stdin io.Reader, stdout, stderr io.Writer) *cli {
	return &cli{command.Program{Name: "cvvsim", Help: help, Failure: exitBadInput, Stdin: stdin, Stdout: stdout, Stderr: stderr}}
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := newCLI(stdin, stdout, stderr)
	return c.Execute(ctx, c.root(), args)
}

func (c *cli) root() *cobra.Command {
	root := c.Root(c.replayCommand(), c.verifyCommand(), c.scenariosCommand(), c.checkCommand(), c.fleetCommand())
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		fmt.Fprint(c.Stderr, cmd.UsageString())
		return command.Hint(errors.New("a command is needed"), "cvvsim scenarios shows what this is about")
	}
	return root
}

// flush writes what is buffered. It returns err, joined with an error of writing that
// err does not report yet.
func flush(out *bufio.Writer, err error) error {
	if failed := out.Flush(); !errors.Is(err, failed) {
		return errors.Join(err, failed)
	}
	return err
}

// terminal returns whether the standard output is a terminal, and its width.
func (c *cli) terminal() (is bool, width int) {
	f, ok := c.Stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return true, width
}

// statusLine is a line on a terminal that is written over; elsewhere nothing.
type statusLine struct {
	c    *cli
	on   bool
	last time.Time
}

func (c *cli) statusLine() *statusLine {
	f, ok := c.Stderr.(*os.File)
	return &statusLine{c: c, on: ok && term.IsTerminal(int(f.Fd()))}
}

func (l *statusLine) show(format string, args ...any) {
	if l.on && time.Since(l.last) > 200*time.Millisecond {
		l.last = time.Now()
		fmt.Fprintf(l.c.Stderr, "\r\x1b[K"+format, args...)
	}
}

func (l *statusLine) clear() {
	if l.on {
		fmt.Fprint(l.c.Stderr, "\r\x1b[K")
	}
}
