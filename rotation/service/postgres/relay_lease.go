package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
)

// A relay's connection is asked every leaseCheck whether it is still there, and
// must answer within leasePatience. The server is told to notice a relay's host
// that has vanished in about the same time.
const (
	leaseCheck    = 5 * time.Second
	leasePatience = 5 * time.Second
)

// lease is an advisory lock of a session of its own: the server frees it when
// the connection ends, however that comes.
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
	config := s.lease.Copy()
	for name, value := range map[string]string{
		"application_name":        "cvvd relay",
		"tcp_keepalives_idle":     "5",
		"tcp_keepalives_interval": "2",
		"tcp_keepalives_count":    "3",
	} {
		config.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: lead: %w", err)
	}
	var got bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, "+relayLock+")", lockClass).Scan(&got); err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("postgres: lead: %w", err)
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

// watch returns when the connection breaks or ctx ends. A connection that the
// server closes is noticed at once, one that went silent by asking.
func (s *Store) watch(ctx context.Context, conn *pgx.Conn) {
	for ctx.Err() == nil {
		wait, done := s.timer.WithTimeout(ctx, leaseCheck)
		_, err := conn.WaitForNotification(wait)
		expired := wait.Err() != nil
		done()
		if err != nil && (!expired || conn.IsClosed()) || ctx.Err() != nil {
			return
		}
		ping, done := s.timer.WithTimeout(ctx, leasePatience)
		err = conn.Ping(ping)
		done()
		if err != nil {
			return
		}
	}
}

// free frees the lock, whose connection may be broken.
func free(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), leasePatience)
	defer cancel()
	_, _ = conn.Exec(ctx, "SELECT pg_advisory_unlock_all()")
	_ = conn.Close(ctx)
}

// closeConn closes a connection, and does not wait for long.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), leasePatience)
	defer cancel()
	_ = conn.Close(ctx)
}

// Lost implements store.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Release implements store.Lease. When it returns, another relay can lead.
func (l *lease) Release() {
	l.cancel()
	<-l.freed
}
