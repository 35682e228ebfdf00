package sqlite

import "context"

// begin starts a write transaction. It holds the writer lock while it waits for
// SQLite's own write lock. Waiters for SQLite's lock poll, so without the writer lock
// a process that commits one transaction after another would starve the others.
func (s *Store) begin(ctx context.Context) error {
	if err := s.writerLock.acquire(ctx); err != nil {
		return err
	}
	defer s.writerLock.release()
	return s.writer.begin(ctx)
}

// fileLock is a lock between processes: the write lock of an empty database. It ends
// with its process.
type fileLock struct{ *conn }

// openFileLock opens the lock at path. The timeout of acquire is in milliseconds.
func openFileLock(ctx context.Context, path string, timeout int) (fileLock, error) {
	if err := create(path); err != nil {
		return fileLock{}, err
	}
	c, err := connect(ctx, dsn(path, pragma{"busy_timeout", timeout}, pragma{"journal_mode", "memory"}))
	return fileLock{c}, err
}

func (l fileLock) acquire(ctx context.Context) error { return l.begin(ctx) }

func (l fileLock) release() { l.rollback() }
