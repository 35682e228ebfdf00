package sqlite

import (
	"context"
	"sync"

	lib "modernc.org/sqlite/lib"

	"cvvrotation/rotation/engine/store"
)

// lease implements store.Lease.
type lease struct {
	once sync.Once
	lock fileLock
	lost chan struct{}
}

// AcquireLease implements store.Outbox. The lease ends when it is released, when the
// store is closed and when the process ends.
func (s *Store) AcquireLease(ctx context.Context) (store.Lease, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	lock, err := openFileLock(ctx, s.path+"-relay-lock", 0)
	if err != nil {
		return nil, explain(err)
	}
	if err := lock.acquire(ctx); err != nil {
		lock.Close()
		if resultCode(err) == lib.SQLITE_BUSY {
			return nil, store.ErrLeaseHeld
		}
		return nil, explain(err)
	}
	l := &lease{lock: lock, lost: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		l.Release()
		return nil, store.ErrClosed
	default:
	}
	s.lease = l // the previous one has been released
	return l, nil
}

// Lost implements store.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Held implements store.Lease.
func (l *lease) Held() bool {
	select {
	case <-l.lost:
		return false
	default:
		return true
	}
}

// Release implements store.Lease.
func (l *lease) Release() {
	l.once.Do(func() {
		l.lock.Close()
		close(l.lost)
	})
}
