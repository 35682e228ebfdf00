package checktest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
)

// OpenDB is [sql.Open] for a database that calls crash before and after each statement
// and commit (see [Crash]). The driver must support contexts, as those in use do.
func OpenDB(driverName, dataSourceName string, crash func(where string, disconnect func())) (*sql.DB, error) {
	db, err := sql.Open(driverName, dataSourceName)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return sql.OpenDB(connector{db.Driver(), dataSourceName, crash}), nil
}

type connector struct {
	driver driver.Driver
	source string
	crash  func(where string, disconnect func())
}

func (c connector) Driver() driver.Driver { return c.driver }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.driver.Open(c.source)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: inner, crash: c.crash}, nil
}

// conn prepares each statement, because database/sql then passes all of them through
// stmt.
type conn struct {
	driver.Conn
	crash func(where string, disconnect func())
	tx    driver.Tx   // nil: none
	rows  driver.Rows // of the query that has just run; nil: none
	dead  bool        // the process has died and this was its connection
}

var (
	errDead      = errors.New("checktest: the process has died")
	errNoContext = errors.New("checktest: the driver does not support contexts")
)

// disconnect does what the server does when a process dies.
func (c *conn) disconnect() {
	if c.rows != nil {
		_ = c.rows.Close()
	}
	if c.tx != nil {
		_ = c.tx.Rollback()
	}
	c.dead, c.rows, c.tx = true, nil, nil
}

// IsValid keeps a dead connection out of the pool.
func (c *conn) IsValid() bool { return !c.dead }

// around calls do between two calls of crash.
func (c *conn) around(what string, do func() error) error {
	if c.dead {
		return errDead
	}
	c.crash("before "+what, c.disconnect)
	if c.dead {
		return errDead
	}
	err := do()
	c.crash("after "+what, c.disconnect)
	if c.dead {
		return errDead
	}
	return err
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	p, ok := c.Conn.(driver.ConnPrepareContext)
	switch {
	case c.dead:
		return nil, errDead
	case !ok:
		return nil, errNoContext
	}
	inner, err := p.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(query)
	return &stmt{inner, c, strings.Join(words[:min(3, len(words))], " ")}, nil
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	b, ok := c.Conn.(driver.ConnBeginTx)
	switch {
	case c.dead:
		return nil, errDead
	case !ok:
		return nil, errNoContext
	}
	inner, err := b.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	c.tx = inner
	return &tx{inner, c}, nil
}

// CheckNamedValue lets the driver convert arguments.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type tx struct {
	inner driver.Tx
	conn  *conn
}

func (t *tx) Commit() error {
	return t.conn.around("COMMIT", func() error {
		t.conn.tx = nil
		return t.inner.Commit()
	})
}

func (t *tx) Rollback() error {
	if t.conn.dead {
		return errDead
	}
	t.conn.tx = nil
	return t.inner.Rollback()
}

type stmt struct {
	driver.Stmt
	conn *conn
	what string // its first words
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (r driver.Result, err error) {
	x, ok := s.Stmt.(driver.StmtExecContext)
	if !ok {
		return nil, errNoContext
	}
	err = s.conn.around(s.what, func() (err error) { r, err = x.ExecContext(ctx, args); return err })
	return r, err
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (r driver.Rows, err error) {
	q, ok := s.Stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errNoContext
	}
	err = s.conn.around(s.what, func() (err error) {
		if r, err = q.QueryContext(ctx, args); err == nil {
			s.conn.rows = r
		}
		return err
	})
	s.conn.rows = nil
	return r, err
}
