package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// After a failover a connection may lead to a server that accepts no writes: the former
// primary, which has come back as a standby, or one that its provider has made read-only.
// It still answers reads, with old data. So the store uses no such connection, not even
// for reads, and closes all others when it finds one: new ones may reach the new primary.

// readOnlyTransaction is the code (SQLSTATE) of a write that a read-only server refuses.
const readOnlyTransaction = "25006"

// readOnlyError returns the error of a connection to a server that accepts no writes. It
// has the code that the server itself gives to a write.
func readOnlyError(conn *pgconn.PgConn) error {
	why := "it is read-only (default_transaction_read_only)"
	if conn.ParameterStatus("in_hot_standby") == "on" {
		why = "it is a standby"
	}
	return &pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: readOnlyTransaction, Message: "the server accepts no writes: " + why}
}

// reportedWrites returns an error if the server has reported that it accepts no writes.
// PostgreSQL reports both parameters when a connection begins, and a change of them
// together with the result of the next statement. A pooler may not pass them on.
func reportedWrites(conn *pgx.Conn) error {
	c := conn.PgConn()
	if c.ParameterStatus("in_hot_standby") == "on" || c.ParameterStatus("default_transaction_read_only") == "on" {
		return readOnlyError(c)
	}
	return nil
}

// requireWrites adds a check to what a new connection is accepted for: that its server
// accepts writes. If it does not, the next host of the URL is tried.
func requireWrites(config *pgconn.Config) {
	given := config.ValidateConnect
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if given != nil {
			if err := given(ctx, conn); err != nil {
				return err
			}
		}
		result := conn.ExecParams(ctx, "SHOW transaction_read_only", nil, nil, nil, nil).Read()
		if result.Err != nil {
			return result.Err
		}
		if len(result.Rows) == 1 && string(result.Rows[0][0]) == "on" {
			return readOnlyError(conn)
		}
		return nil
	}
}

// isReadOnly reports whether a server accepts no writes.
func isReadOnly(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == readOnlyTransaction
}

// leave replaces all connections if a call has failed because its server accepts no
// writes.
func (s *Store) leave(err error) {
	var connecting *pgconn.ConnectError
	if !isReadOnly(err) || errors.As(err, &connecting) { // a new connection is not in the pool yet
		return
	}
	s.replaceConnections()
}
