package pgtest

import (
	"io"
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
}

// NewProxy starts a proxy to the server and stops it when the test ends.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	p := &Proxy{listener: must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)}
	p.Move(s)
	t.Cleanup(func() { p.listener.Close() })
	go p.accept()
	return p
}

// Move makes new connections lead to the server.
func (p *Proxy) Move(s *Server) { p.server.Store(s) }

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
		go forward(server, client)
		go forward(client, server)
	}
}

// forward copies until either side ends, and then closes both.
func forward(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
}
