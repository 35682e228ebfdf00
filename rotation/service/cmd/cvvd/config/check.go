package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/loopback"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/rotation/service/postgres"
)

// Sections of the file that a command needs.
var (
	// Stored is what is needed to work on the store.
	Stored = []string{"store", "keys", "cvv", "rules", "engine", "log"}
	// All is what the daemon needs.
	All = append(slices.Clone(Stored), "listen", "auth", "limits", "events", "tracing")
)

// Check checks the sections: values, files and their permissions, keys and their
// lengths, addresses. It does not connect to anything. The error joins all that
// it finds, each a *FieldError.
func (c *Config) Check(ctx context.Context, sections ...string) error {
	var p problems
	for _, s := range sections {
		switch s {
		case "store":
			c.checkStore(&p)
		case "keys": // with the generator that uses them
			if _, err := c.Generator(ctx, nil); err != nil {
				p.add(err)
			}
		case "cvv":
			p.oneOf("cvv.kind", c.CVV.Kind, "random", "derived")
		case "rules":
			if _, err := c.RotationRules(); err != nil {
				p.add(err)
			}
		case "engine":
			c.checkEngine(&p)
		case "listen":
			c.checkListen(&p)
		case "auth":
			c.checkAuth(&p)
		case "limits":
			c.checkLimits(&p)
		case "events":
			c.checkEvents(&p)
		case "log":
			if _, err := c.Level(); err != nil {
				p.add(err)
			}
			p.oneOf("log.format", c.Log.Format, "json", "text")
			p.need("log.audit_file", c.Log.AuditFile != "-", "must be a file, or empty for standard error")
			if c.Log.AuditFile != "" {
				if _, err := os.Stat(filepath.Dir(c.Log.AuditFile)); err != nil {
					p.add(&FieldError{"log.audit_file", err.Error()})
				}
			}
		case "tracing":
			if c.Tracing.Endpoint != "" {
				p.isURL("tracing.endpoint", c.Tracing.Endpoint, "http", "https")
				p.isPublic("tracing.endpoint", c.Tracing.Endpoint)
			}
			p.need("tracing.share", c.Tracing.Share > 0 && c.Tracing.Share <= 1, "over 0 and up to 1 is needed")
		}
	}
	return errors.Join(p...)
}

// problems collects what is wrong.
type problems []error

func (p *problems) add(err error) { *p = append(*p, err) }

func (p *problems) need(field string, ok bool, detail string) {
	if !ok {
		p.add(&FieldError{field, detail})
	}
}

func (p *problems) oneOf(field, value string, known ...string) {
	if !slices.Contains(known, value) {
		p.add(&FieldError{field, fmt.Sprintf("%q: one of %s is needed", value, strings.Join(known, ", "))})
	}
}

// isURL does not quote the value: URLs may hold passwords.
func (p *problems) isURL(field, value string, schemes ...string) {
	u, err := url.Parse(value)
	p.need(field, err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme), "a URL is needed that begins with "+strings.Join(schemes, ":// or ")+"://")
}

// isSafeURL wants what nobody on the way can read or alter.
func (p *problems) isSafeURL(field, value string) {
	u, err := url.Parse(value)
	p.need(field, err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopback.IsHost(u.Hostname())), "an https URL is needed (http on loopback alone)")
}

// isPublic is for URLs that are listed as they are.
func (p *problems) isPublic(field, value string) {
	if u, err := url.Parse(value); err == nil && u.Host != "" { // else it is refused already
		p.need(field, u.User == nil && !hasPassword(value), "must hold no user, password or token: it is shown")
	}
}

func (p *problems) address(field, value string) (local bool) {
	host, port, err := net.SplitHostPort(value)
	n, numErr := strconv.Atoi(port)
	if err != nil || numErr != nil || n < 0 || n > 65535 {
		p.add(&FieldError{field, fmt.Sprintf("%q: an address is needed, host:port, such as 127.0.0.1:8443", value)})
		return true
	}
	return loopback.IsHost(host)
}

func (c *Config) checkStore(p *problems) {
	switch c.Store.Kind {
	case "sqlite":
		if c.Store.Path == "" {
			p.add(&FieldError{"store.path", "is required"})
			return
		}
		dir := filepath.Dir(c.Store.Path)
		if info, err := os.Stat(dir); err != nil {
			p.add(&FieldError{"store.path", err.Error()})
		} else if !info.IsDir() {
			p.add(&FieldError{"store.path", dir + " is not a directory"})
		}
		if _, err := os.Stat(c.Store.Path); err == nil {
			if err := private(c.Store.Path); err != nil {
				p.add(&FieldError{"store.path", err.Error()})
			}
		}
	case "postgres":
		text, err := c.PostgresURL()
		if err != nil {
			p.add(err)
			return
		}
		if err := postgres.CheckURL(text); err != nil {
			p.add(&FieldError{"store.url", err.Error()})
		}
	default:
		p.oneOf("store.kind", c.Store.Kind, "sqlite", "postgres")
	}
	p.need("store.connections", c.Store.Connections >= 1 && c.Store.Connections <= 1000, "1 to 1000 is needed")
	p.need("store.background", c.Store.Background >= 3 && c.Store.Background <= 1000, "3 to 1000 is needed")
}

func (c *Config) checkEngine(p *problems) {
	e := &c.Engine
	p.need("engine.grace", e.Grace.d >= 0 && e.Grace.d <= 24*time.Hour, "0s to 24h is needed")
	p.need("engine.max_tries", e.MaxTries >= 1 && e.MaxTries <= 1000, "1 to 1000 is needed")
	p.need("engine.workers", e.Workers >= 1 && e.Workers <= 64, "1 to 64 is needed")
	if c.Store.Kind == "postgres" {
		p.need("store.background", c.Store.Background < 3 || c.Store.Background >= e.Workers+2, fmt.Sprintf("%d or more is needed: two more than engine.workers", e.Workers+2))
	}
	p.need("engine.batch", e.Batch >= 1 && e.Batch <= 10000, "1 to 10000 is needed")
	p.need("engine.poll", e.Poll.d >= 10*time.Millisecond && e.Poll.d <= time.Hour, "10ms to 1h is needed")
	p.need("engine.sweep", e.Sweep.d >= time.Second, "1s or more is needed")
	p.need("engine.keep_events", e.KeepEvents.d >= time.Minute, "1m or more is needed")
}

func (c *Config) checkListen(p *problems) {
	l := &c.Listen
	local := p.address("listen.pci", l.PCI)
	p.address("listen.ops", l.Ops)
	_, port, _ := net.SplitHostPort(l.PCI)
	p.need("listen.ops", l.Ops != l.PCI || port == "0", "must be another address than listen.pci")
	switch {
	case l.TLSCertFile != "" && l.TLSKeyFile != "":
		if _, err := c.TLS(); err != nil {
			p.add(err)
		}
	case l.TLSCertFile != "" || l.TLSKeyFile != "":
		p.add(&FieldError{"listen.tls_cert_file", "must be given together with tls_key_file"})
	case l.ClientCAFile != "":
		p.add(&FieldError{"listen.client_ca_file", "needs tls_cert_file and tls_key_file"})
	default:
		p.need("listen.pci", local || l.Plaintext, "beyond loopback, tls_cert_file and tls_key_file are needed, or plaintext = true where something in front ends TLS")
	}
	p.need("listen.drain", l.Drain.d >= 0 && l.Drain.d < l.Shutdown.d, "0s or more is needed, and less than listen.shutdown")
	p.need("listen.shutdown", l.Shutdown.d >= time.Second && l.Shutdown.d <= 10*time.Minute, "1s to 10m is needed")
}

func (c *Config) checkAuth(p *problems) {
	a := &c.Auth
	p.need("auth.issuer", a.Issuer != "", "is required")
	p.need("auth.audience", a.Audience != "", "is required")
	p.need("auth.algorithms", len(a.Algorithms) > 0, "at least one is required, such as RS256")
	known := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	for _, name := range a.Algorithms {
		p.oneOf("auth.algorithms", name, known...)
	}
	switch {
	case a.JWKSURL == "" && a.JWKSFile == "":
		p.add(&FieldError{"auth.jwks_url", "is required, or jwks_file"})
	case a.JWKSURL != "" && a.JWKSFile != "":
		p.add(&FieldError{"auth.jwks_url", "is given beside jwks_file: leave one out"})
	case a.JWKSFile != "":
		if err := auth.CheckKeySet(a.JWKSFile); err != nil {
			p.add(&FieldError{"auth.jwks_file", err.Error()})
		}
	default:
		p.isSafeURL("auth.jwks_url", a.JWKSURL)
		p.isPublic("auth.jwks_url", a.JWKSURL)
	}
	p.need("auth.account_claim", a.AccountClaim != "", "is required")
	p.need("auth.leeway", a.Leeway.d >= 0 && a.Leeway.d <= 5*time.Minute, "0s to 5m is needed")
}

func (c *Config) checkLimits(p *problems) {
	l := &c.Limits
	p.need("limits.card_per_second", l.CardPerSecond >= 0 && l.CardPerSecond <= 1e6, "0 to 1000000 is needed")
	p.need("limits.card_burst", l.CardPerSecond == 0 || l.CardBurst >= 1, "1 or more is needed")
	p.need("limits.caller_per_second", l.CallerPerSecond >= 0 && l.CallerPerSecond <= 1e6, "0 to 1000000 is needed")
	p.need("limits.caller_burst", l.CallerPerSecond == 0 || l.CallerBurst >= 1, "1 or more is needed")
	p.need("limits.request", l.Request.d >= 100*time.Millisecond && l.Request.d <= 5*time.Minute, "100ms to 5m is needed")
}

func (c *Config) checkEvents(p *problems) {
	e := &c.Events
	_, err := url.Parse(e.Source)
	p.need("events.source", err == nil && e.Source != "", "a URI reference is needed, such as /cvvrotation")
	p.need("events.max_attempts", e.MaxAttempts >= 1 && e.MaxAttempts <= 1000, "1 to 1000 is needed")
	p.need("events.max_backoff", e.MaxBackoff.d >= time.Second, "1s or more is needed")
	switch e.Sink {
	case "none":
	case "jsonl":
		if e.File == "" {
			p.add(&FieldError{"events.file", "is required; - is standard output"})
		} else if e.File != "-" {
			if _, err := os.Stat(filepath.Dir(e.File)); err != nil {
				p.add(&FieldError{"events.file", err.Error()})
			}
		}
	case "webhook":
		if text, err := c.WebhookURL(); err != nil {
			p.add(err)
		} else {
			p.isSafeURL("events.webhook_url", text)
		}
		if _, err := c.WebhookSecrets(); err != nil {
			p.add(err)
		}
	case "jetstream":
		if text, err := c.NATSURL(); err != nil {
			p.add(err)
		} else {
			for one := range strings.SplitSeq(text, ",") {
				p.isURL("events.nats_url", one, "nats", "tls", "ws", "wss")
			}
		}
		p.need("events.nats_stream", e.NATSStream != "", "is required")
		p.need("events.nats_prefix", e.NATSPrefix != "", "is required")
		if e.NATSCredentials != "" {
			err := private(e.NATSCredentials)
			if err == nil {
				err = jetstream.CheckCredentials(e.NATSCredentials)
			}
			if err != nil {
				p.add(&FieldError{"events.nats_credentials", err.Error()})
			}
		}
	default:
		p.oneOf("events.sink", e.Sink, "none", "jsonl", "webhook", "jetstream")
	}
	if e.Sink == "webhook" || e.Sink == "jetstream" {
		if _, err := c.SinkTLS(); err != nil {
			p.add(err)
		}
	}
}

// RotationRules returns the rules.
func (c *Config) RotationRules() (rotation.Rules, error) {
	var from rotation.GuardFrom
	if err := from.UnmarshalText([]byte(c.Rules.GuardFrom)); err != nil {
		return rotation.Rules{}, &FieldError{"rules.guard_from", fmt.Sprintf("%q: one of request, scheduling is needed", c.Rules.GuardFrom)}
	}
	rules, err := rotation.NewRules(c.Rules.Guard.d, from)
	if err != nil {
		return rotation.Rules{}, &FieldError{"rules.guard", err.Error()}
	}
	return rules, nil
}

// Level returns the level of logs.
func (c *Config) Level() (level slog.Level, err error) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return 0, &FieldError{"log.level", fmt.Sprintf("%q: one of debug, info, warn, error is needed", c.Log.Level)}
	}
	return level, level.UnmarshalText([]byte(c.Log.Level))
}

// TLS returns how the PCI side speaks TLS; nil when it does not. It reads the
// files.
func (c *Config) TLS() (*tls.Config, error) {
	l := &c.Listen
	if l.TLSCertFile == "" {
		return nil, nil
	}
	if err := private(l.TLSKeyFile); err != nil {
		return nil, &FieldError{"listen.tls_key_file", err.Error()}
	}
	pair, err := tls.LoadX509KeyPair(l.TLSCertFile, l.TLSKeyFile)
	if err != nil {
		return nil, &FieldError{"listen.tls_cert_file", err.Error()}
	}
	t := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if l.ClientCAFile == "" {
		return t, nil
	}
	if t.ClientCAs, err = authorities("listen.client_ca_file", l.ClientCAFile); err != nil {
		return nil, err
	}
	t.ClientAuth = tls.RequireAndVerifyClientCert
	return t, nil
}

// SinkTLS returns how a sink speaks TLS; nil where nothing is set. It reads the
// files, and those of the client's certificate again for each connection.
func (c *Config) SinkTLS() (*tls.Config, error) {
	e := &c.Events
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.TLSCAFile != "" {
		var err error
		if t.RootCAs, err = authorities("events.tls_ca_file", e.TLSCAFile); err != nil {
			return nil, err
		}
	}
	switch {
	case e.TLSCertFile != "" && e.TLSKeyFile != "":
		if err := private(e.TLSKeyFile); err != nil {
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
		return nil, &FieldError{"events.tls_cert_file", "must be given together with tls_key_file"}
	case e.TLSCAFile == "":
		return nil, nil
	}
	return t, nil
}

// authorities reads certificates that others must be issued by.
func authorities(field, file string) (*x509.CertPool, error) {
	pem, err := readFile(file)
	if err != nil {
		return nil, &FieldError{field, err.Error()}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &FieldError{field, "holds no certificate"}
	}
	return pool, nil
}
