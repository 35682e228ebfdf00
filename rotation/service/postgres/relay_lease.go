package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// The relay pings the server every leaseCheck and gives up the lease unless the
// server answers within leaseTimeout. TCP keepalives make the server notice a
// vanished client in about the same time.
const (
	leaseCheck   = 5 * time.Second
	leaseTimeout = 5 * time.Second
)

// lease is an advisory lock, held by a session of its own. The server frees it when
// that connection ends for any reason.
type lease struct {
	lost   chan struct{}
	freed  chan struct{}
	cancel context.CancelFunc
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
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, "+relayLock+")", lockClass).Scan(&got); err != nil {
		closeConn(conn)
		return nil, wrapError("acquire lease", err)
	}
	if !got {
		closeConn(conn)
		return nil, store.ErrLeaseHeld
	}
	watch, cancel := context.WithCancel(context.Background())
	l := &lease{make(chan struct{}), make(chan struct{}), cancel}
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
		s.watch(watch, conn)
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

// watch returns when the connection breaks or ctx ends. It notices a connection
// that the server closes immediately, and a silent one by pings.
func (s *Store) watch(ctx context.Context, conn *pgx.Conn) {
	for ctx.Err() == nil {
		wait, done := s.timer.WithTimeout(ctx, leaseCheck)
		_, err := conn.WaitForNotification(wait)
		expired := wait.Err() != nil
		done()
		if err != nil && (!expired || conn.IsClosed()) || ctx.Err() != nil {
			return
		}
		ping, done := s.timer.WithTimeout(ctx, leaseTimeout)
		err = conn.Ping(ping)
		done()
		if err != nil {
			return
		}
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

// Release implements store.Lease. When it returns, another relay can acquire the
// lease.
func (l *lease) Release() {
	l.cancel()
	<-l.freed
}
