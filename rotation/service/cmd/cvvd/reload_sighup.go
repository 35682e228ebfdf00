package main

import (
	"crypto/tls"
	"log/slog"
	"sync/atomic"

	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// reload handles SIGHUP: it reloads the certificate and the token signing keys, and
// reopens the audit log and the events file.
func (d *daemon) reload() {
	if d.cert != nil {
		d.cert.reload(d.log)
	}
	if d.verifier != nil {
		d.verifier.Reload()
	}
	d.audit.reopen(d.log)
	if file, ok := d.sink.(interface{ Reopen() error }); ok {
		if err := file.Reopen(); err != nil {
			d.log.Error("reopening the events file failed; still writing to the old one", "error", err)
			return
		}
		d.log.Info("events file reopened")
	}
}

// certificate holds the current TLS certificate of the PCI side.
type certificate struct {
	cfg     *config.Config
	current atomic.Pointer[tls.Certificate]
}

// newCertificate returns the PCI side's TLS configuration, and the certificate that it
// serves. Both are nil if no TLS is configured.
func newCertificate(cfg *config.Config) (*certificate, *tls.Config, error) {
	t, err := cfg.TLS()
	if t == nil || err != nil {
		return nil, nil, err
	}
	c := &certificate{cfg: cfg}
	c.current.Store(&t.Certificates[0])
	t.Certificates = nil
	t.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil }
	return c, t, nil
}

// reload reads the files. If that fails, it keeps the old certificate.
func (c *certificate) reload(logger *slog.Logger) {
	t, err := c.cfg.TLS()
	if err != nil {
		logger.Error("TLS certificate reload failed; still serving the old certificate", "error", err)
		return
	}
	c.current.Store(&t.Certificates[0])
	logger.Info("TLS certificate reloaded")
}
