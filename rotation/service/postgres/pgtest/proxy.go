package pgtest

import (
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"cvvrotation/sim/must"
)

// Proxy is an address that leads to a server and can be moved to another one, as a load
// balancer or a DNS name is. It forwards TCP. Connections that are open when it is moved
// stay with their server.
type Proxy struct {
	listener net.Listener
	server   atomic.Pointer[Server]
	silenced atomic.Pointer[atomic.Bool] // of the connections that are open
}

// NewProxy starts a proxy to the server and stops it when the test ends.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	p := &Proxy{listener: must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)}
	p.Move(s)
	p.silenced.Store(new(atomic.Bool))
	t.Cleanup(func() { p.listener.Close() })
	go p.accept()
	return p
}

// Move makes new connections lead to the server.
func (p *Proxy) Move(s *Server) { p.server.Store(s) }

// Silence makes all open connections silent, as those to a paused machine are behind a
// load balancer: what is sent is accepted and never answered. They stay open.
func (p *Proxy) Silence() { p.silenced.Swap(new(atomic.Bool)).Store(true) }

// URL returns the URL of a database, as Server.Database returned it, through the proxy.
func (p *Proxy) URL(t testing.TB, database string) string {
	t.Helper()
	u := must.Get(url.Parse(database))(t)
	query := u.Query()
	query.Del("host")
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = p.listener.Addr().String(), query.Encode()
	return u.String()
}

// HostsURL returns the URL of a database, as Server.Database returned it, with several
// servers as its hosts.
func HostsURL(t testing.TB, database string, servers ...*Server) string {
	t.Helper()
	u := must.Get(url.Parse(database))(t)
	var hosts, ports []string
	for _, s := range servers {
		hosts, ports = append(hosts, s.dir), append(ports, "5432")
	}
	query := u.Query()
	query.Set("host", strings.Join(hosts, ","))
	query.Set("port", strings.Join(ports, ","))
	u.RawQuery = query.Encode()
	return u.String()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server.Load().dir+"/.s.PGSQL.5432")
		if err != nil {
			client.Close()
			continue
		}
		silenced := p.silenced.Load()
		go forward(server, client, silenced)
		go forward(client, server, silenced)
	}
}

// forward copies until either side ends, and then closes both. While silenced is true it
// reads what it does not forward.
func forward(to, from net.Conn, silenced *atomic.Bool) {
	defer to.Close()
	defer from.Close()
	for b := make([]byte, 64<<10); ; {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if silenced.Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
