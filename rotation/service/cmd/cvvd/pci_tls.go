package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// pciTLS holds the TLS files of the PCI side, which reload replaces while it serves.
type pciTLS struct {
	cfg         *config.Config
	certificate atomic.Pointer[tls.Certificate]
	clients     atomic.Pointer[clientAuthorities] // nil: callers need no certificate
}

// clientAuthorities are the authorities that issue certificates of callers.
type clientAuthorities struct {
	config *tls.Config     // for connections that begin now
	known  map[string]bool // by authorityKey
}

// newPCITLS reads the files. It returns nil if no TLS is configured.
func newPCITLS(cfg *config.Config) (*pciTLS, error) {
	p := &pciTLS{cfg: cfg}
	pair, err := cfg.ServerCertificate()
	if pair == nil || err != nil {
		return nil, err
	}
	p.certificate.Store(pair)
	all, err := cfg.ClientAuthorities()
	if err != nil {
		return nil, err
	}
	p.setClients(all)
	return p, nil
}

// server returns the TLS configuration of the PCI side.
func (p *pciTLS) server() *tls.Config {
	t := p.base()
	if p.clients.Load() != nil {
		t.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return p.clients.Load().config, nil }
	}
	return t
}

func (p *pciTLS) base() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.certificate.Load(), nil },
	}
}

func (p *pciTLS) setClients(all []*x509.Certificate) {
	if all == nil {
		return
	}
	c := &clientAuthorities{config: p.base(), known: make(map[string]bool)}
	c.config.ClientAuth, c.config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	for _, one := range all {
		c.config.ClientCAs.AddCert(one)
		c.known[authorityKey(one)] = true
	}
	p.clients.Store(c)
}

// authorityKey identifies an authority by name and key, so that a renewed certificate
// is the same authority.
func authorityKey(c *x509.Certificate) string {
	return string(c.RawSubject) + string(c.RawSubjectPublicKeyInfo)
}

// reload reads the files. It keeps the old certificate and the old authorities if
// theirs cannot be read.
func (p *pciTLS) reload(logger *slog.Logger) {
	if pair, err := p.cfg.ServerCertificate(); err != nil {
		logger.Error("TLS certificate reload failed; still serving the old certificate", "error", err)
	} else {
		p.certificate.Store(pair)
		logger.Info("TLS certificate reloaded")
	}
	if p.clients.Load() == nil {
		return
	}
	all, err := p.cfg.ClientAuthorities()
	if err != nil {
		logger.Error("client certificate authorities reload failed; still accepting the old authorities", "error", err)
		return
	}
	p.setClients(all)
	logger.Info("client certificate authorities reloaded", "authorities", len(all))
}

// withdrawn reports whether no authority that verified the connection's client
// certificate is known any more. A resumed TLS session shows the authorities of the
// original handshake.
func (p *pciTLS) withdrawn(r *http.Request) bool {
	clients := p.clients.Load()
	if clients == nil || r.TLS == nil {
		return false
	}
	known := func(c *x509.Certificate) bool { return clients.known[authorityKey(c)] }
	return !slices.ContainsFunc(r.TLS.VerifiedChains, func(chain []*x509.Certificate) bool { return slices.ContainsFunc(chain, known) })
}

// handler closes connections whose client certificate was withdrawn, after the answer.
func (p *pciTLS) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.withdrawn(r) {
			w.Header().Set("Connection", "close") // the next one is verified with the new authorities
		}
		next.ServeHTTP(w, r)
	})
}

// authenticator refuses requests of connections whose client certificate was
// withdrawn, and asks next about the others.
func (p *pciTLS) authenticator(next api.Authenticator) api.Authenticator {
	return certified{p, next}
}

type certified struct {
	tls  *pciTLS
	next api.Authenticator
}

var errWithdrawn = fmt.Errorf("%w: the authority of the client certificate was removed from listen.client_ca_file", auth.ErrUnauthenticated)

// AuthenticateRequest implements api.Authenticator.
func (c certified) AuthenticateRequest(r *http.Request) (auth.Caller, error) {
	if c.tls.withdrawn(r) {
		return auth.Caller{}, errWithdrawn
	}
	return c.next.AuthenticateRequest(r)
}
