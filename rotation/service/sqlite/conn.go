package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"modernc.org/sqlite"

	"cvvrotation/rotation/engine/store"
)

// conn is a connection and the statements that it has prepared, each when it is
// first used. It is for one goroutine at a time.
type conn struct {
	driver.Conn
	statements map[string]driver.Stmt
	args       []driver.NamedValue
}

// The function is one of the driver, with a name that no other package is likely to use:
// connections of a driver of our own would lack what programs add to the driver.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("cvvrotation_hash_key", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		card, _ := args[0].(string)
		key, _ := args[1].(string)
		return store.HashKey(card, key), nil
	})
}

// connect opens a connection to the file that a DSN names.
func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, statements: make(map[string]driver.Stmt)}, nil
}

// statement returns a prepared statement and its converted arguments. Arguments are
// int64, string, []byte or nil. The converted ones are valid until the next call.
func (c *conn) statement(query string, args []any) (driver.Stmt, []driver.NamedValue, error) {
	s, ok := c.statements[query]
	if !ok {
		var err error
		if s, err = c.Prepare(query); err != nil {
			return nil, nil, err
		}
		c.statements[query] = s
	}
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s, c.args, nil
}

// Close closes the connection and its statements.
func (c *conn) Close() error {
	for _, s := range c.statements {
		s.Close()
	}
	return c.Conn.Close()
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, values, err := c.statement(query, args)
	if err != nil {
		return 0, err
	}
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, values)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// begin starts a write transaction. After an error there is none: if ctx ends, the
// driver returns an error even after a successful BEGIN, so begin rolls back.
func (c *conn) begin(ctx context.Context) error {
	_, err := c.exec(ctx, "BEGIN IMMEDIATE")
	if err != nil {
		c.rollback()
	}
	return err
}

// rollback ends the transaction, unless SQLite has already done so.
func (c *conn) rollback() { _, _ = c.exec(context.Background(), "ROLLBACK") }

// script runs statements without preparing them.
func (c *conn) script(ctx context.Context, statements string) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, statements, nil)
	return err
}

// errEnough ends a query early, without an error.
var errEnough = errors.New("enough rows")

// query calls scan with each row. scan must not use the connection.
func (c *conn) query(ctx context.Context, scan func(*row) error, query string, args ...any) (err error) {
	s, values, err := c.statement(query, args)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, values)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	r := row{values: make([]driver.Value, len(rows.Columns()))}
	for {
		switch err := rows.Next(r.values); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		r.next, r.err = 0, nil
		if err := errors.Join(scan(&r), r.err); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
