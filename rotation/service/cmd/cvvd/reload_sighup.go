package main

import (
	"crypto/tls"
	"log/slog"
	"sync/atomic"

	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// reload does what SIGHUP asks for.
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
			d.log.Error("the file of events could not be opened again; the one before stays", "error", err)
			return
		}
		d.log.Info("the file of events was opened again")
	}
}

// certificate is the PCI side's, which can change while it serves.
type certificate struct {
	cfg     *config.Config
	current atomic.Pointer[tls.Certificate]
}

// newCertificate returns how to speak TLS; nil when the configuration says not
// to.
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

// reload reads the files again. After an error the one before stays.
func (c *certificate) reload(logger *slog.Logger) {
	t, err := c.cfg.TLS()
	if err != nil {
		logger.Error("the certificate could not be read again; the one before stays", "error", err)
		return
	}
	c.current.Store(&t.Certificates[0])
	logger.Info("the certificate was read again")
}
