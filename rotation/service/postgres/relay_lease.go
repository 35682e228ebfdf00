package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// The relay pings the server every leaseCheck and gives up the lease unless the
// server answers within leaseTimeout. The server ends a session that was silent for
// leaseIdle, because the kernel of a frozen process, or a stalled proxy, still answers
// TCP keepalives. A holder whose last ping was leaseFresh ago does not rely on the lease
// any more, before the server may end it.
const (
	leaseCheck   = 5 * time.Second
	leaseTimeout = 5 * time.Second
	leaseFresh   = 12 * time.Second
	leaseIdle    = 15 * time.Second
)

// lease is an advisory lock, held by a session of its own. The server frees it when
// that connection ends for any reason.
type lease struct {
	lost   chan struct{}
	freed  chan struct{}
	cancel context.CancelFunc
	pinged atomic.Pointer[time.Time] // when the latest answered ping was sent
}

// AcquireLease implements store.Outbox.
func (s *Store) AcquireLease(ctx context.Context) (store.Lease, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	conn, err := connectAlone(ctx, s.background.Config(), map[string]string{
		"application_name":        "cvvd relay",
		"tcp_keepalives_idle":     "5",
		"tcp_keepalives_interval": "2",
		"tcp_keepalives_count":    "3",
	})
	if err != nil {
		return nil, wrapError("acquire lease", err)
	}
	var got bool
	asked := time.Now()
	_, err = conn.Exec(ctx, fmt.Sprintf("SET idle_session_timeout = %d", leaseIdle.Milliseconds()))
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, "+relayLock+")", lockClass).Scan(&got)
	}
	if err != nil {
		closeConn(conn)
		return nil, wrapError("acquire lease", err)
	}
	if !got {
		closeConn(conn)
		return nil, store.ErrLeaseHeld
	}
	watch, cancel := context.WithCancel(context.Background())
	l := &lease{lost: make(chan struct{}), freed: make(chan struct{}), cancel: cancel}
	l.pinged.Store(&asked)
	s.mu.Lock()
	open := s.leases != nil
	if open {
		s.leases[l] = struct{}{}
	}
	s.mu.Unlock()
	if !open {
		cancel()
		closeConn(conn)
		return nil, store.ErrClosed
	}
	s.calls.Add(1)
	go func() {
		defer s.calls.Done()
		s.watch(watch, conn, l)
		cancel()
		s.mu.Lock()
		delete(s.leases, l)
		s.mu.Unlock()
		close(l.lost)
		free(conn)
		close(l.freed)
	}()
	return l, nil
}

// watch returns when the connection breaks, its server accepts no more writes, or ctx
// ends. It notices a connection that the server closes immediately, and a silent one by
// pings.
func (s *Store) watch(ctx context.Context, conn *pgx.Conn, l *lease) {
	for ctx.Err() == nil {
		wait, done := s.timer.WithTimeout(ctx, leaseCheck)
		_, err := conn.WaitForNotification(wait)
		expired := wait.Err() != nil
		done()
		if err != nil && (!expired || conn.IsClosed()) || ctx.Err() != nil {
			return
		}
		asked := time.Now()
		ping, done := s.timer.WithTimeout(ctx, leaseTimeout)
		var readOnly bool
		err = conn.QueryRow(ping, "SELECT current_setting('transaction_read_only')::bool").Scan(&readOnly)
		done()
		if err != nil || readOnly {
			return
		}
		l.pinged.Store(&asked)
	}
}

// free releases the lock and closes the connection, which may be broken.
func free(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, "SELECT pg_advisory_unlock_all()")
	_ = conn.Close(ctx)
}

// closeConn closes a connection within leaseTimeout.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// Lost implements store.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Held implements store.Lease. It compares the wall clock, too: the monotonic clock may
// stand still while a virtual machine is paused.
func (l *lease) Held() bool {
	select {
	case <-l.lost:
		return false
	default:
	}
	now, pinged := time.Now(), *l.pinged.Load()
	return now.Sub(pinged) < leaseFresh && now.Round(0).Sub(pinged.Round(0)) < leaseFresh
}

// Release implements store.Lease. When it returns, another relay can acquire the
// lease.
func (l *lease) Release() {
	l.cancel()
	<-l.freed
}
