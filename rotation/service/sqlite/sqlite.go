// Package sqlite is the store that needs nothing else installed: one file, in
// SQLite translated to Go.
//
// One goroutine writes. It does all updates that wait in one transaction, so
// that they share one wait for the disk, and lets one claim in between, so that
// neither starves the other. Reads have connections of their own and see what
// was committed last; they wait for nobody. Every commit is on the disk when a
// call returns (write-ahead log, synchronous=FULL).
//
// Several processes may use one file at the same time, on one machine: a daemon
// and the commands of its operator. They take turns to write. Beside the file
// there are PATH-wal and PATH-shm, which belong to it, and the empty files
// PATH-turn and PATH-lead, which are locks. None of them must be deleted, or the
// file copied, while a process has it open.
package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
)

// Store is a store.Store in a file. Make one with [Open].
type Store struct {
	clk  clock.Clock
	path string

	updates chan *request // that can share a transaction
	others  chan *request // that want one each
	closing chan struct{} // closed when Close is called
	stopped chan struct{} // closed when the writer has ended

	// The writer's own.
	writer  *conn
	turn    lock
	members []*request

	idle chan *conn // connections that read

	mu    sync.Mutex
	lease *lease
	once  sync.Once
	err   error // of Close
}

var _ store.Store = (*Store)(nil)

// Close implements store.Store. The second time it does nothing but return what
// the first one has.
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
		s.err = errors.Join(s.err, s.turn.Close(), s.writer.Close())
	})
	return s.err
}

// open returns an error if a call can't begin.
func (s *Store) open(ctx context.Context) error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
		return ctx.Err()
	}
}

// Now implements store.Store: it is the clock's time.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if err := s.open(ctx); err != nil {
		return time.Time{}, err
	}
	return s.now(), nil
}

// Clock implements store.Clocked.
func (s *Store) Clock() clock.Clock { return s.clk }

// now is without a reading of the monotonic clock, which no file keeps.
func (s *Store) now() time.Time { return s.clk.Now().UTC().Round(0) }
