// Package postgres implements store.Store on PostgreSQL 14 or newer, for any number
// of processes.
//
// The store's time is the database's, so nodes with skewed clocks agree. One round
// trip to the database locks and reads a card, a second one writes and commits it;
// a batch of a thousand cards needs no more.
//
// The statements rely on settings of the session and on advisory locks, so a pooler
// must be in session mode, not in transaction mode. That is not so for [Store.InTx],
// which changes cards in a transaction of the service's own.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// Options are settings of a store. The zero value stands for the defaults.
type Options struct {
	// Clock is the store's time, for tests. Defaults to the database's clock.
	Clock clock.Clock

	// Connections is the maximum number of connections for Update, Card and Now,
	// whose callers wait for one card. Defaults to 8.
	Connections int

	// BackgroundConnections is the maximum number of connections for everything
	// else: claims, the relay, lists and statistics. These have a pool of their
	// own, so claims never keep a forced call waiting for a connection. Defaults
	// to 4: two for workers that claim, two for the rest.
	BackgroundConnections int

	// Configure changes how the store connects, before it does: BeforeConnect for
	// passwords that expire (IAM, Vault), ConnConfig.DialFunc, Tracer, TLSConfig.
	// Every connection of the store and of Migrate follows it. The numbers of
	// connections and synchronous_commit stay the store's. Its error is returned.
	// Defaults to what the URL says.
	Configure func(*pgxpool.Config) error
}

// Store is a PostgreSQL database. It implements store.Store.
type Store struct {
	foreground, background *pgxpool.Pool
	clock                  clock.Clock   // nil: the database's clock
	timer                  clock.Clock   // for waiting; tests replace it
	timeout                time.Duration // callTimeout; tests shorten it
	schema                 string        // of the tables, quoted, with a dot
	database               string        // its identity: see identitySQL
	cursor                 claimCursor
	outboxMark             lowWaterMark
	scanning               chan struct{} // holds an element while a scan of the outbox for one card runs

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
	leases map[*lease]struct{}
}

// Open opens the database at url, such as
// postgres://user:password@host:5432/database?sslmode=verify-full. Unless the host
// is this machine, the URL or PGSSLMODE must decide whether the connection is
// encrypted. Other parameters of the URL are settings of the session: search_path,
// statement_timeout (defaults to 30s), synchronous_commit (on or remote_apply,
// defaults to on) and so on.
//
// It returns an error that matches store.ErrSchema unless the schema is the one
// that [Migrate] creates. It refuses a server that runs with fsync or
// full_page_writes off, unless the setting cvvd.fsync or cvvd.full_page_writes is
// off as well, which confirms the risk.
//
// The error matches store.ErrReadOnly if the server accepts no writes: it is a standby,
// or default_transaction_read_only is on. If the URL names several hosts, the store uses
// the first one that accepts writes, whatever target_session_attrs says. When a server
// stops accepting writes, the store closes its connections and opens new ones; until one
// reaches a server that accepts writes, calls fail with store.ErrReadOnly or
// store.ErrUnavailable, also those that only read. A call that gets no answer for a minute
// fails, and connections whose data the server's machine does not acknowledge for 5
// seconds are closed (on Linux).
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if o.Connections < 0 || o.BackgroundConnections < 0 {
		return nil, errors.New("postgres: Connections and BackgroundConnections must not be negative")
	}
	s := &Store{clock: o.Clock, timer: clock.New(), timeout: callTimeout, leases: make(map[*lease]struct{}), scanning: make(chan struct{}, 1)}
	var err error
	if s.foreground, err = newPool(url, o, cmp.Or(o.Connections, 8)); err != nil {
		return nil, err
	}
	if s.background, err = newPool(url, o, cmp.Or(o.BackgroundConnections, 4)); err != nil {
		s.foreground.Close()
		return nil, err
	}
	err = checkServer(ctx, s.foreground)
	if err == nil {
		err = checkSchema(ctx, s.foreground)
	}
	if err == nil {
		err = s.identify(ctx)
	}
	if err != nil {
		s.foreground.Close()
		s.background.Close()
		return nil, wrapError("open", err)
	}
	return s, nil
}

func newPool(url string, o Options, connections int) (*pgxpool.Pool, error) {
	config, err := parse(url, o.Configure)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(min(connections, math.MaxInt32))
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return pool, nil
}

// connectAlone opens a connection outside of the pool, with the pool's hooks and these
// settings of the session.
func connectAlone(ctx context.Context, pool *pgxpool.Config, settings map[string]string) (*pgx.Conn, error) {
	config := pool.ConnConfig.Copy()
	maps.Copy(config.RuntimeParams, settings)
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.AfterConnect(ctx, conn); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Clocked = (*Store)(nil)
)

// Close implements store.Store. It also releases the relay's lease.
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
	s.foreground.Close()
	s.background.Close()
	return nil
}

// begin registers a call that Close waits for, until end.
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
		defer s.bound(conn)()
		err = f(conn)
		if reported := reportedWrites(conn.Conn()); reported != nil && (err == nil || errors.Is(err, store.ErrNotFound)) {
			err = reported // what was read may be old
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.leave(err)
		return wrapError(what, err)
	}
	return err
}
