// Package postgres is a store.Store on PostgreSQL (14 or newer), for any number
// of processes.
//
// Time is the database's, so that nodes with skewed clocks agree. A card is read
// and locked in one round trip to the database, and written and committed in a
// second one, be it one card or a batch of a thousand.
//
// The statements rely on settings of the session and on advisory locks, so a
// pooler in between must hand out sessions, not transactions.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// Options say how to open a database.
type Options struct {
	// URL is the database's:
	// postgres://user:password@host:5432/database?sslmode=verify-full. Unless the
	// host is this machine, it must decide whether the connection is encrypted,
	// or PGSSLMODE must. Settings of the session can be given as parameters:
	// search_path for a schema of its own, statement_timeout (30 s unless set),
	// synchronous_commit (on unless it is remote_apply) and so on.
	URL string

	// Clock is the store's time, for tests. nil: the database's clock.
	Clock clock.Clock

	// Conns is how many connections at most serve callers that wait for one
	// card: Update, Card, Now. 0 stands for 8.
	Conns int

	// Background is how many connections at most serve the rest: claims, the
	// relay, lists and figures. They are apart, so that however many claims
	// there are, a forced call finds a connection. 0 stands for 4: two more
	// than two workers that claim.
	Background int
}

// Store is a PostgreSQL database. It implements store.Store.
type Store struct {
	front, back *pgxpool.Pool
	clock       clock.Clock // nil: the database's
	timer       clock.Clock // for waiting; tests replace it
	lease       *pgx.ConnConfig
	cursor      cursor
	floor       floor

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
	leases map[*lease]struct{}
}

// Open opens the database, which must have the schema of this program: the
// error matches store.ErrSchema where it does not, and says what to run. A server
// that runs with fsync or full_page_writes off is refused, unless the setting
// cvvd.fsync or cvvd.full_page_writes is off as well, which says that this is
// known.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{clock: o.Clock, timer: clock.New(), leases: make(map[*lease]struct{})}
	var err error
	if s.front, err = newPool(o.URL, o.Conns, 8); err != nil {
		return nil, err
	}
	if s.back, err = newPool(o.URL, o.Background, 4); err != nil {
		s.front.Close()
		return nil, err
	}
	s.lease = s.back.Config().ConnConfig
	err = checkServer(ctx, s.front)
	if err == nil {
		err = checkSchema(ctx, s.front)
	}
	if err != nil {
		s.front.Close()
		s.back.Close()
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	return s, nil
}

func newPool(url string, conns, standard int) (*pgxpool.Pool, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	if conns <= 0 {
		conns = standard
	}
	config.MaxConns = int32(conns)
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerArrays(conn)
		return nil
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return pool, nil
}

// Close implements store.Store. It gives up the relay's lease, too.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	leases := s.leases
	s.leases = nil
	s.mu.Unlock()
	for l := range leases {
		l.Release()
	}
	s.calls.Wait()
	s.front.Close()
	s.back.Close()
	return nil
}

// begin counts a call that Close has to wait for, until end.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) end() { s.calls.Done() }

// with calls f with a connection of the pool, and wraps its error.
func (s *Store) with(ctx context.Context, pool *pgxpool.Pool, what string, f func(*pgxpool.Conn) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	conn, err := pool.Acquire(ctx)
	if err == nil {
		defer conn.Release()
		err = f(conn)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return failed(what, err)
	}
	return err
}

// failed wraps an error, and tells a server that can't be reached from other
// causes.
func failed(what string, err error) error {
	if unreachable(err) {
		return fmt.Errorf("postgres: %s: %w: %w", what, store.ErrUnavailable, err)
	}
	return fmt.Errorf("postgres: %s: %w", what, err)
}

func unreachable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(answer.Code, "57P") // the server stops, or is not up yet
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// The database's time in nanoseconds: as the transaction began, which an index
// can be searched with, and at this instant.
const (
	beganSQL = "(extract(epoch FROM now()) * 1000000)::bigint * 1000"
	clockSQL = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"
)

// given returns the time to use in place of the database's, nil for none.
func (s *Store) given() *int64 {
	if s.clock == nil {
		return nil
	}
	ns := s.clock.Now().UnixNano()
	return &ns
}

// at returns the store's time, which was ns when the database was asked.
func (s *Store) at(ns int64) time.Time {
	if g := s.given(); g != nil {
		ns = *g
	}
	return time.Unix(0, ns).UTC()
}

// Now implements store.Store.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.with(ctx, s.front, "now", func(conn *pgxpool.Conn) error {
		var ns int64
		err := conn.QueryRow(ctx, "SELECT "+clockSQL).Scan(&ns)
		now = s.at(ns)
		return err
	})
	return now, err
}
