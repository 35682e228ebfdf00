package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

// readers is the maximum number of concurrent reads.
const readers = 4

// read runs a query on a reading connection.
func (s *Store) read(ctx context.Context, scan func(*row) error, query string, args ...any) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	select {
	case c := <-s.idle:
		defer func() { s.idle <- c }()
		return explain(c.query(ctx, scan, query, args...))
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return store.ErrClosed
	}
}
