package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"cvvrotation/rotation/engine/store"
)

// ErrOtherDatabase is for a transaction that was not begun on the store's database.
var ErrOtherDatabase = errors.New("the transaction is on another database than the store")

// Tx is a store in a transaction of the service's own. Make one with [Store.InTx]. Like
// the transaction it is not for concurrent use. It implements store.Tx.
type Tx struct {
	store   *Store
	tx      pgx.Tx
	written []*lockedRow
}

var _ store.Tx = (*Tx)(nil)

// InTx returns the store in a transaction on its database, for engine.Engine.InTx. The
// transaction may be a savepoint (pgx.Tx.Begin), have any isolation level, search_path
// and pgx.QueryExecMode, and belong to any pool, also behind a pooler in transaction
// mode. Its role needs SELECT, INSERT and UPDATE on cards, outbox and answers, SELECT on
// migrations, and with derived CVVs SELECT, INSERT and DELETE on fingerprints. An operation
// takes two round trips, three for a new card, six with derived CVVs, and one for each
// statement in the modes that do not prepare statements.
//
// The relay delivers the events of the transaction once it is committed, however many
// later ones were delivered meanwhile. Its commit waits for the disk, whatever the
// session's synchronous_commit.
func (s *Store) InTx(tx pgx.Tx) *Tx { return &Tx{store: s, tx: tx} }

// Committed implements store.Tx: the store's next claim finds the cards that became
// due. Otherwise one finds them within a second or so; see claimCursor.
func (t *Tx) Committed() {
	t.store.cursor.written(t.written...)
	t.written = nil
}

// Update implements store.Updater. Its error matches ErrOtherDatabase if the
// transaction is on another database, and *pgconn.PgError if the database refused a
// statement. The transaction must then be rolled back; with the code 40001
// (serialization_failure) or 40P01 (deadlock_detected) a new one may succeed.
func (t *Tx) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	if err := t.store.begin(); err != nil {
		return err
	}
	defer t.store.end()
	err := t.check()
	for again := true; err == nil && again; {
		again, err = t.update(ctx, id, key, fn)
	}
	var no *callerError
	if errors.As(err, &no) {
		return no.err
	}
	if err != nil {
		return wrapError("update in a transaction", err)
	}
	return nil
}

// check returns an error unless the transaction is running.
func (t *Tx) check() error {
	conn := t.tx.Conn()
	switch status := conn.PgConn().TxStatus(); status {
	case 'T':
		registerArrays(conn)
		return nil
	case 'E':
		return errors.New("the transaction is aborted by an earlier error: roll it back")
	}
	return pgx.ErrTxClosed
}

// update returns true if another transaction has inserted the card meanwhile, so that
// fn must be called again.
func (t *Tx) update(ctx context.Context, id, key string, fn func(*store.Change) error) (again bool, err error) {
	s := t.store
	b := &pgx.Batch{}
	s.queueIdentity(b)
	l, err := s.lock(ctx, b, id, key, t.send)
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && (refused.Code == "42P01" || refused.Code == "3F000") {
		return false, fmt.Errorf("%w: %w", ErrOtherDatabase, err) // no such table, no such schema
	}
	if err != nil {
		return false, err
	}
	if err := fn(&l.change); err != nil {
		return false, &callerError{err}
	}
	if again, err := t.insert(ctx, l, id); err != nil || again {
		return again, err
	}
	b = &pgx.Batch{}
	s.queueCards(b, []*lockedRow{l}, id)
	s.queueEvents(b, []*lockedRow{l})
	s.queueAnswer(b, l, id, key)
	if err := t.send(ctx, b); err != nil {
		return false, err
	}
	t.written = append(t.written, l)
	return false, nil
}

// insert sets the fingerprints and inserts the card if it is new. It returns true if
// another transaction has inserted the card meanwhile. A savepoint undoes the fingerprints
// then, and if another card has one of them, because the caller's transaction continues.
func (t *Tx) insert(ctx context.Context, l *lockedRow, id string) (again bool, err error) {
	s := t.store
	if l.change.Fingerprints != nil {
		var savepoint pgx.Tx
		if savepoint, err = t.tx.Begin(ctx); err != nil {
			return false, err
		}
		defer func() {
			if refused := (*callerError)(nil); again || errors.As(err, &refused) {
				err = cmp.Or(savepoint.Rollback(ctx), err)
			} else if err == nil {
				err = savepoint.Commit(ctx)
			}
		}()
		if err := s.putFingerprints(ctx, l, id, t.send); err != nil {
			return false, err
		}
	}
	if l.exists || !l.change.Write {
		return false, nil
	}
	b := &pgx.Batch{}
	s.queueInsert(b, l, id, " ON CONFLICT (id) DO NOTHING").Exec(func(tag pgconn.CommandTag) error {
		again = tag.RowsAffected() == 0
		return nil
	})
	if err := t.send(ctx, b); err != nil || again {
		return again, err
	}
	l.change.Write, l.before.Due = false, l.change.Card.Due
	return false, nil
}

// send sends a batch whose results are in the binary format, in any mode of the
// connection. The two modes that do not describe statements, which poolers need, would
// return text.
func (t *Tx) send(ctx context.Context, b *pgx.Batch) error {
	switch t.tx.Conn().Config().DefaultQueryExecMode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
	default:
		return t.tx.SendBatch(ctx, b).Close()
	}
	for _, q := range b.QueuedQueries {
		if q.Fn == nil {
			q.Exec(func(pgconn.CommandTag) error { return nil })
		}
		if err := q.Fn(described{ctx: ctx, tx: t.tx, q: q}); err != nil {
			return err
		}
	}
	return nil
}

// described runs one query of a batch by itself, and has PostgreSQL describe it.
type described struct {
	pgx.BatchResults // nil: the other methods are not called
	ctx              context.Context
	tx               pgx.Tx
	q                *pgx.QueuedQuery
}

func (d described) args() []any {
	return append([]any{pgx.QueryExecModeDescribeExec}, d.q.Arguments...)
}

// Exec implements pgx.BatchResults.
func (d described) Exec() (pgconn.CommandTag, error) { return d.tx.Exec(d.ctx, d.q.SQL, d.args()...) }

// Query implements pgx.BatchResults.
func (d described) Query() (pgx.Rows, error) { return d.tx.Query(d.ctx, d.q.SQL, d.args()...) }

// QueryRow implements pgx.BatchResults.
func (d described) QueryRow() pgx.Row { return d.tx.QueryRow(d.ctx, d.q.SQL, d.args()...) }

// identitySQL returns the statement that identifies the database: its name, and when
// its tables were created. It also makes the commit wait for the disk.
func (s *Store) identitySQL() string {
	return "SELECT concat(current_database(), ' ', (SELECT extract(epoch FROM applied) FROM " + s.schema + "migrations WHERE version = 1))," +
		" set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
}

func (s *Store) queueIdentity(b *pgx.Batch) {
	b.Queue(s.identitySQL()).QueryRow(func(row pgx.Row) error {
		var database, setting string
		if err := row.Scan(&database, &setting); err != nil {
			return err
		}
		if database != s.database {
			return ErrOtherDatabase
		}
		return nil
	})
}

// identify finds the schema of the tables and identifies the database.
func (s *Store) identify(ctx context.Context) error {
	if err := s.foreground.QueryRow(ctx, "SELECT quote_ident(nspname) || '.' FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE pg_class.oid = 'cards'::regclass").Scan(&s.schema); err != nil {
		return err
	}
	var setting string
	return s.foreground.QueryRow(ctx, s.identitySQL()).Scan(&s.database, &setting)
}
