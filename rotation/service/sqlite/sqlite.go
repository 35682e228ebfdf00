// Package sqlite implements store.Store in one file, with SQLite translated to Go, so
// that nothing needs to be installed.
//
// One goroutine writes. It commits all waiting updates in one transaction (group
// commit), so they share one sync to disk. Between two groups it runs one claim, so
// neither starves the other. Reads have connections of their own, see the latest
// commit and do not wait for writes. Every commit is on disk when a call returns
// (write-ahead log, synchronous=FULL).
//
// Several processes of one machine may use a file at the same time, such as a daemon
// and the commands of its operator; a writer lock decides which one writes next.
// PATH-wal and PATH-shm belong to the database, and the empty files PATH-writer-lock
// and PATH-relay-lock are locks. Do not delete any of them, and do not copy the
// database, while a process has it open.
package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
)

// Store is a SQLite database. It implements store.Store. Open one with [Open].
type Store struct {
	clk  clock.Clock
	path string

	updates chan *request // may share a transaction
	others  chan *request // have a transaction each
	closing chan struct{} // closed when Close is called
	stopped chan struct{} // closed when the writer has ended

	// Used by the writer goroutine alone.
	writer     *conn
	writerLock fileLock
	members    []*request

	idle chan *conn // connections for reading

	mu    sync.Mutex
	lease *lease
	once  sync.Once
	err   error // of Close
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Clocked = (*Store)(nil)
)

// Close implements store.Store. Later calls return the result of the first one.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		close(s.closing)
		if s.lease != nil {
			s.lease.Release()
		}
		s.mu.Unlock()
		<-s.stopped
		for range cap(s.idle) {
			s.err = errors.Join(s.err, (<-s.idle).Close())
		}
		s.err = errors.Join(s.err, s.writerLock.Close(), s.writer.Close())
	})
	return s.err
}

// open returns an error if the store is closed or ctx has ended.
func (s *Store) open(ctx context.Context) error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// Now implements store.Cards. It returns the clock's time.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if err := s.open(ctx); err != nil {
		return time.Time{}, err
	}
	return s.now(), nil
}

// Clock implements store.Clocked.
func (s *Store) Clock() clock.Clock { return s.clk }

// now returns the time without its monotonic reading, which is not stored.
func (s *Store) now() time.Time { return s.clk.Now().UTC().Round(0) }
