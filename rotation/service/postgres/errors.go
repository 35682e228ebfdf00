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

// wrapError adds the name of the operation, and store.ErrReadOnly if the server accepts
// no writes, or store.ErrUnavailable if it cannot be reached.
func wrapError(what string, err error) error {
	if isReadOnly(err) {
		return fmt.Errorf("postgres: %s: %w: %w", what, store.ErrReadOnly, err)
	}
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

// callerError is an error of the caller's function, which is returned unchanged.
type callerError struct{ err error }

func (r *callerError) Error() string { return r.err.Error() }

// unknownOutcome is the error of a commit whose response did not arrive.
type unknownOutcome struct{ err error }

func (u *unknownOutcome) Error() string {
	return "the outcome of the commit is unknown: " + u.err.Error()
}
func (u *unknownOutcome) Unwrap() error { return u.err }

// retryable reports whether an update that failed with the error changed nothing
// and may succeed if repeated.
func retryable(err error) bool {
	var lost *unknownOutcome
	if errors.As(err, &lost) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return true // the connection failed before the commit was sent
	}
	switch answer.Code {
	case "23505", // unique_violation: another update inserted the card or the answer first
		"40001", "40P01", // serialization_failure, deadlock_detected
		readOnlyTransaction,       // another server may accept writes; see leave
		"57P01", "57P02", "57P03": // the server stops, or is not up yet
		return true
	}
	return false
}

// commitError returns the error of a commit that changed nothing unchanged, and any
// other as unknownOutcome. SeverityUnlocalized is the one severity that the server
// does not translate.
func commitError(err error) error {
	var answer *pgconn.PgError
	if err == nil || pgconn.SafeToRetry(err) || errors.As(err, &answer) && answer.SeverityUnlocalized == "ERROR" {
		return err
	}
	return &unknownOutcome{err}
}
