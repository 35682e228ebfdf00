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

// classes has the class of each error of the server that is not the fault of one call,
// by the beginning of its code (SQLSTATE).
var classes = []struct {
	code  string
	class error
}{
	{readOnlyTransaction, store.ErrReadOnly}, // a standby, or default_transaction_read_only
	{"53100", store.ErrReadOnly},             // disk_full
	{"53", store.ErrUnavailable},             // out of memory, too many connections
	{"08", store.ErrUnavailable},             // connection exceptions
	{"57P", store.ErrUnavailable},            // the server stops, or is not up yet
	{"55P03", store.ErrUnavailable},          // lock_not_available: lock_timeout
	{"57014", store.ErrUnavailable},          // query_canceled: statement_timeout
	{"58030", store.ErrUnavailable},          // io_error
	{"40", store.ErrUnavailable},             // transaction_rollback: serialization failures and deadlocks, after the retries
	{"42P01", store.ErrSchema},               // undefined_table
	{"42703", store.ErrSchema},               // undefined_column
}

// wrapError adds the name of the operation and the class of the error.
func wrapError(what string, err error) error {
	if class := classOf(err); class != nil {
		return fmt.Errorf("postgres: %s: %w: %w", what, class, err)
	}
	return fmt.Errorf("postgres: %s: %w", what, err)
}

// classOf returns store.ErrReadOnly, store.ErrUnavailable or store.ErrSchema, or nil for
// any other error.
func classOf(err error) error {
	answer, answered := errors.AsType[*pgconn.PgError](err)
	if answered {
		for _, c := range classes {
			if strings.HasPrefix(answer.Code, c.code) {
				return c.class
			}
		}
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return store.ErrUnavailable // such as a wrong password
	}
	if answered {
		return nil
	}
	if _, ok := errors.AsType[*net.OpError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return store.ErrUnavailable
	}
	return nil
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
