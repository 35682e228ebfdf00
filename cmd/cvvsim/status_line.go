package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"
)

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
