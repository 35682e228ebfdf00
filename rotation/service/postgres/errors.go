package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"cvvrotation/rotation/engine/store"
)

// failed wraps an error, and tells a server that can't be reached from other
// causes.
func failed(what string, err error) error {
	if unreachable(err) {
		return fmt.Errorf("postgres: %s: %w: %w", what, store.ErrUnavailable, err)
	}
	return fmt.Errorf("postgres: %s: %w", what, err)
}

func unreachable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(answer.Code, "57P") // the server stops, or is not up yet
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// refused is an error of fn.
type refused struct{ err error }

func (r *refused) Error() string { return r.err.Error() }

// unknown is for a commit whose answer did not arrive.
type unknown struct{ err error }

func (u *unknown) Error() string { return "the outcome of the commit is unknown: " + u.err.Error() }
func (u *unknown) Unwrap() error { return u.err }

// again reports whether what failed with the error did nothing, and may succeed
// another time.
func again(err error) bool {
	var lost *unknown
	if errors.As(err, &lost) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return true // the connection, before the commit was sent
	}
	switch answer.Code {
	case "23505", // unique_violation: somebody made the card, or kept an answer, first
		"40001", "40P01", // serialization_failure, deadlock_detected
		"57P01", "57P02", "57P03": // the server stops, or is not up yet
		return true
	}
	return false
}

// outcome tells an error of a commit after which nothing was done from one that
// leaves it open. The server translates what else it calls an error.
func outcome(err error) error {
	var answer *pgconn.PgError
	if err == nil || pgconn.SafeToRetry(err) || errors.As(err, &answer) && answer.SeverityUnlocalized == "ERROR" {
		return err
	}
	return &unknown{err}
}
