package postgres

import (
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A server that dies with its machine, or is paused behind a proxy, does not close its
// connections. Three limits notice it: connectTimeout for new connections, deadAfter for
// connections whose data the other machine does not acknowledge, and callTimeout for
// calls without an answer, because the kernel of a proxy acknowledges everything.
const (
	connectTimeout        = 10 * time.Second
	connectTimeoutOfHosts = 3 * time.Second // for each host, if the URL has several
	deadAfter             = 5 * time.Second
	callTimeout           = time.Minute // longer than any call takes: a statement ends after 30 s
)

// dialer returns what connects to a server.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadAfter, Interval: time.Second, Count: int(deadAfter / time.Second)},
		Control:         setUserTimeout,
	}
}

// bound replaces all connections of the store unless stop is called within the store's
// timeout. The connection's call fails then.
func (s *Store) bound(conn *pgxpool.Conn) (stop func()) {
	network := conn.Conn().PgConn().Conn()
	timer := s.timer.AfterFunc(s.timeout, func() {
		s.replaceConnections()
		network.Close()
	})
	return func() { timer.Stop() }
}

// replaceConnections makes the store use new connections alone. It ends the relay's lease,
// too: that of another server does not count.
func (s *Store) replaceConnections() {
	s.foreground.Reset()
	s.background.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		l.cancel()
	}
}
