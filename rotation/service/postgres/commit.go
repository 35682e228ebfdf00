package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// commit stores what was asked for and commits, in one round trip. Where a
// statement fails, the server passes over those behind it, the COMMIT too. The
// key is that of the only card.
func (s *Store) commit(ctx context.Context, conn *pgxpool.Conn, cards []*locked, id, key string) error {
	b := &pgx.Batch{}
	queueCards(b, cards, id)
	queueEvents(b, cards)
	if key != "" && cards[0].tx.Answer != nil {
		a := cards[0].tx.Answer
		sql := "INSERT INTO answers (card, key, request, body, expires) VALUES ($1, $2, $3, $4, $5)"
		if cards[0].kept {
			sql = "UPDATE answers SET request = $3, body = $4, expires = $5 WHERE card = $1 AND key = $2"
		}
		b.Queue(sql, id, key, a.Request[:], append([]byte{}, a.Body...), a.Expires.UnixNano())
	}
	b.Queue("COMMIT")
	return outcome(conn.SendBatch(ctx, b).Close())
}

// rollback ends a transaction that was not committed. Closing a connection that
// does not answer is the pool's work.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = conn.Exec(ctx, "ROLLBACK")
	}
}

// release ends a transaction that was not committed, and gives the connection
// back.
func release(ctx context.Context, conn *pgxpool.Conn) {
	rollback(ctx, conn)
	conn.Release()
}
