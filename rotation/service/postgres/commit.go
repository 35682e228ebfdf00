package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// commit stores the changes and commits, in one round trip. If a statement fails,
// the server skips the following ones, including COMMIT. The key is empty, or there
// is one card.
func (s *Store) commit(ctx context.Context, conn *pgxpool.Conn, cards []*lockedRow, id, key string) error {
	b := &pgx.Batch{}
	s.queueCards(b, cards, id)
	s.queueEvents(b, cards)
	s.queueAnswer(b, cards[0], id, key)
	b.Queue("COMMIT")
	return commitError(conn.SendBatch(ctx, b).Close())
}

// rollback ends a transaction that was not committed. The pool closes a connection
// that does not answer.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = conn.Exec(ctx, "ROLLBACK")
	}
}

// release ends a transaction that was not committed, and returns the connection to
// the pool.
func release(ctx context.Context, conn *pgxpool.Conn) {
	rollback(ctx, conn)
	conn.Release()
}
