package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"

	"cvvrotation/rotation/service/internal/filemode"
)

// ServerCertificate reads the certificate of the PCI side and its key. It returns nil
// if none is set.
func (c *Config) ServerCertificate() (*tls.Certificate, error) {
	l := &c.Listen
	if l.TLSCertFile == "" {
		return nil, nil
	}
	if err := filemode.Secret(l.TLSKeyFile); err != nil {
		return nil, &FieldError{"listen.tls_key_file", err.Error()}
	}
	pair, err := tls.LoadX509KeyPair(l.TLSCertFile, l.TLSKeyFile)
	if err != nil {
		return nil, &FieldError{"listen.tls_cert_file", err.Error()}
	}
	return &pair, nil
}

// ClientAuthorities reads the authorities that issue the certificates of callers. It
// returns nil if callers need none.
func (c *Config) ClientAuthorities() ([]*x509.Certificate, error) {
	if c.Listen.ClientCAFile == "" {
		return nil, nil
	}
	return authorities("listen.client_ca_file", c.Listen.ClientCAFile)
}

// JWKSTLS reads the authorities of the issuer's key set and returns its TLS
// configuration, or nil if those of the system apply.
func (c *Config) JWKSTLS() (*tls.Config, error) {
	if c.Auth.TLSCAFile == "" {
		return nil, nil
	}
	all, err := authorities("auth.tls_ca_file", c.Auth.TLSCAFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool(all)}, nil
}

// SinkTLS reads the files of the sink and returns its TLS configuration, or nil if none
// is set. The client certificate is reloaded for each connection.
func (c *Config) SinkTLS() (*tls.Config, error) {
	e := &c.Events
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.TLSCAFile != "" {
		all, err := authorities("events.tls_ca_file", e.TLSCAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool(all)
	}
	switch {
	case e.TLSCertFile != "" && e.TLSKeyFile != "":
		if err := filemode.Secret(e.TLSKeyFile); err != nil {
			return nil, &FieldError{"events.tls_key_file", err.Error()}
		}
		if _, err := tls.LoadX509KeyPair(e.TLSCertFile, e.TLSKeyFile); err != nil {
			return nil, &FieldError{"events.tls_cert_file", err.Error()}
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(e.TLSCertFile, e.TLSKeyFile)
			return &pair, err
		}
	case e.TLSCertFile != "" || e.TLSKeyFile != "":
		return nil, &FieldError{"events.tls_cert_file", "must be set together with tls_key_file"}
	case e.TLSCAFile == "":
		return nil, nil
	}
	return t, nil
}

// authorities reads the certificates of authorities. It refuses a file that all users of
// the machine may change. Like the standard library, it ignores blocks that are not
// certificates or cannot be parsed.
func authorities(field, file string) (all []*x509.Certificate, err error) {
	if err := filemode.Trusted(file); err != nil {
		return nil, &FieldError{field, err.Error()}
	}
	rest, err := readFile(file)
	if err != nil {
		return nil, &FieldError{field, err.Error()}
	}
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if one, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, one)
		}
	}
	if all == nil {
		return nil, &FieldError{field, "contains no certificate"}
	}
	return all, nil
}

func pool(all []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, one := range all {
		p.AddCert(one)
	}
	return p
}
