package command

import (
	"errors"
	"fmt"
	"strings"
)

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint returns err with advice for the user. Of several in a chain the innermost
// one is printed.
func Hint(err error, advice string) error { return hinted{err, advice} }

type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// Usage returns err as bad usage: its exit status is ExitUsage.
func Usage(err error) error { return usage{err} }

// IsUsage reports whether err is bad usage.
func IsUsage(err error) bool { return errors.As(err, new(usage)) }

// Refuse returns bad usage with advice.
func Refuse(advice, format string, args ...any) error {
	return Usage(Hint(fmt.Errorf(format, args...), advice))
}

// Status is an exit status as an error. Execute returns it and prints nothing: it
// is for a command that has already printed what it found.
type Status int

// Error returns the status.
func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// report prints err and its hint, and returns its exit status.
func (p *Program) report(err error) int {
	if err == nil {
		return ExitDone
	}
	var status Status
	if errors.As(err, &status) {
		return int(status)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(p.Stderr, "error: %s\n", strings.TrimSpace(line))
	}
	var advice hinted
	for inner := err; errors.As(inner, &advice); inner = advice.error {
	}
	if advice.hint != "" {
		fmt.Fprintf(p.Stderr, "hint: %s\n", advice.hint)
	}
	switch {
	case IsUsage(err):
		return ExitUsage
	case p.Failure != 0:
		return p.Failure
	}
	return ExitFailed
}
