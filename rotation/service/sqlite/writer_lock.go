package sqlite

import (
	"context"
)

// begin starts a transaction, under a lock that all processes take for the
// start alone: who waits for a transaction of another process to end can't be
// overtaken by the next one of that process.
func (s *Store) begin(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return err
	}
	defer s.turn.leave()
	return s.writer.begin(ctx)
}

// lock is a lock between processes, which ends with its process: a write lock on
// an empty database of its own.
type lock struct{ *conn }

// openLock opens the lock with that path. Who waits for it gives up after a time
// in milliseconds.
func openLock(ctx context.Context, path string, timeout int) (lock, error) {
	if err := create(path); err != nil {
		return lock{}, err
	}
	c, err := connect(ctx, dsn(path, pragma{"busy_timeout", timeout}, pragma{"journal_mode", "memory"}))
	return lock{c}, err
}

func (l lock) take(ctx context.Context) error { return l.begin(ctx) }

func (l lock) leave() { l.rollback() }
